//! What cannot conclude is refused with its numbers; what can, and every default, is not.

use super::*;
use crate::fault::target;
use crate::hypothesis;
use crate::load::Request;
use crate::topology::{Service, Topology};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// All defaults: a service, a load, a fault, a claim.
fn plan() -> Plan {
    let mut plan = Plan::new("t", 7, Topology::new("t").service(Service::new("a").cargo("p", "b")));
    plan.load = Some(Load::get("a", "/a"));
    plan.injections = vec![target("a").kill()];
    plan.hypotheses = vec![hypothesis!(availability > 95%)];
    plan.complete();
    plan
}

fn checked(change: impl FnOnce(&mut Plan)) -> String {
    let mut plan = plan();
    change(&mut plan);
    plan.validate().unwrap();
    plan.check_that_it_can_conclude().map_or_else(|error| error.to_string(), |()| String::new())
}

fn slow(load: &mut Option<Load>, rate: f64) {
    *load = Some(Load::get("a", "/a").rate(rate));
}

#[test]
fn defaults_conclude_for_every_measure_and_part_with_three_routes() {
    let claims = [
        hypothesis!(availability > 95%),
        hypothesis!(p99("/a") < 1s),
        hypothesis!(error_rate("/b") < 5% during baseline),
        hypothesis!(degraded("/c") < 5% during after),
        hypothesis!(availability > 1% during recovery),
        hypothesis!(availability > 1% during overall),
        hypothesis!(mttr < 5s),
        hypothesis!(recovery < 5s),
        hypothesis!(mttd < 5s),
        hypothesis!(lowest("up") >= 0 during baseline),
        hypothesis!(last("up") >= 0 during after),
    ];
    let message = checked(|plan| {
        plan.load = Some(Load::get("a", "/a").also(Request::get("a", "/b")).also(Request::get("a", "/c")));
        plan.probes = vec![Probe::health("up", "a", "/").detects_below(1.0)];
        plan.hypotheses = claims.into();
    });
    assert_eq!(message, "");
}

#[test]
fn too_few_requests_are_refused_with_the_numbers() {
    let cases: [(String, &str); 7] = [
        (
            checked(|p| {
                slow(&mut p.load, 10.0);
                p.timing.baseline = secs(2);
            }),
            "`availability > 99% during baseline`: 20 requests are due in the 2s of the baseline, 30 are needed; \
             raise the rate to at least 15 per second, or the baseline to 3s",
        ),
        (
            checked(|p| {
                p.load = Some(Load::get("a", "/a").rate(20).also(Request::get("a", "/b").weight(3)));
                p.injections = vec![target("a").kill().hold(secs(4))];
                p.hypotheses = vec![hypothesis!(p99("/a") < 1s)];
            }),
            "`p99(\"/a\") < 1s`: 20 requests are due in the 4s of the fault, 30 are needed; \
             raise the rate to at least 30 per second, or the hold to 6s",
        ),
        (
            checked(|p| {
                p.injections = vec![target("a").kill().hold(Duration::from_millis(100))];
                p.repeat = 5;
            }),
            "`availability > 95%`: 25 requests are due in the 500ms of the fault, 30 are needed; \
             raise the rate to at least 60 per second, or the hold to 200ms",
        ),
        (
            checked(|p| {
                slow(&mut p.load, 10.0);
                p.timing.after = secs(1);
                p.hypotheses = vec![hypothesis!(availability > 95% during after)];
            }),
            "`availability > 95% during after`: 20 requests are due in the 2s of the time after, 30 are needed; \
             raise the rate to at least 15 per second",
        ),
        (
            checked(|p| p.load = Some(Load::get("a", "/a").ramp(0, 10, secs(2)))),
            "`availability > 99% during baseline`: 20 requests are due in the 3s of the baseline, 30 are needed; \
             raise the rate at least 1.5-fold, or the baseline to 4s",
        ),
        (
            checked(|p| p.load = Some(Load::get("a", "/a").ramp(0, 0, secs(60)).then(10, secs(0)))),
            "`availability > 99% during baseline`: 0 requests are due in the 3s of the baseline, 30 are needed; \
             begin the load with a higher rate, or the baseline to 1m 3s",
        ),
        (
            checked(|p| {
                slow(&mut p.load, 2.0);
                p.timing.baseline = secs(20);
                p.injections = vec![target("a").kill().hold(secs(20))];
                p.limits.abort_when = vec![hypothesis!(p99 > 10s)];
            }),
            "`p99 > 10s`: 20 requests are due in the 10s of the sliding window, 30 are needed; \
             raise the rate to at least 3 per second",
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(message, expected);
    }
}

#[test]
fn what_may_conclude_is_not_refused() {
    // Offsets widen the window, repetitions add up, and the length of a recovery is not known.
    let wide = |p: &mut Plan| {
        let short = || target("a").kill().hold(Duration::from_millis(300));
        p.injections = vec![short(), short().after(Duration::from_millis(300))];
    };
    assert_eq!(checked(wide), "");
    let often = |p: &mut Plan| {
        p.injections = vec![target("a").kill().hold(Duration::from_millis(200))];
        p.repeat = 3;
    };
    assert_eq!(checked(often), "");
    let unknown = |p: &mut Plan| {
        slow(&mut p.load, 10.0);
        p.injections = vec![target("a").kill().hold(secs(1))];
        p.hypotheses = vec![hypothesis!(availability > 95% during recovery), hypothesis!(mttr < 5s)];
    };
    assert_eq!(checked(unknown), "");
    let later = |p: &mut Plan| {
        // 10 per second in the baseline, and 100 when the fault comes.
        p.load = Some(Load::get("a", "/a").ramp(10, 10, secs(3)).then(100, secs(0)));
        p.injections = vec![target("a").kill().hold(Duration::from_millis(500))];
    };
    assert_eq!(checked(later), "");
}

#[test]
fn what_is_read_too_rarely_is_refused() {
    let rarely = |every: Duration| {
        checked(|p| {
            p.probes = vec![Probe::health("up", "a", "/").every(every)];
            p.injections = vec![target("a").kill().hold(secs(2))];
            p.hypotheses = vec![hypothesis!(lowest("up") >= 0)];
        })
    };
    // The fault lasts from 3 s to 5 s.
    assert_eq!(rarely(secs(4)), "");
    assert_eq!(
        rarely(secs(30)),
        "`lowest(\"up\") >= 0`: `up` is read every 30s, and not once in the 2s of the fault; read it more often"
    );
}

#[test]
fn a_plan_that_claims_nothing_or_does_nothing_is_refused() {
    assert!(checked(|p| p.hypotheses.clear()).starts_with("nothing is claimed"));
    let idle = |claim: Hypothesis| {
        checked(|p| {
            p.injections.clear();
            p.hypotheses = vec![claim];
        })
    };
    for claim in [hypothesis!(availability > 95%), hypothesis!(mttr < 5s), hypothesis!(p99 < 1s during overall)] {
        assert!(idle(claim.clone()).starts_with(&format!("`{claim}` speaks of a fault")), "{claim}");
    }
    assert_eq!(idle(hypothesis!(p99 < 1s during baseline)), "");
}
