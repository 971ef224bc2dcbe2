//! What nobody measured is never upheld.

use std::time::Duration;

use super::*;
use crate::fault::Attestation;
use crate::hypothesis;
use crate::load::probe::Probe;
use crate::load::{Load, Request};
use crate::measure::{Outages, Outcome, ReadFailure, Reading, Signal, detection};
use crate::topology::{Service, Topology};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn plan() -> Plan {
    let mut plan = Plan::new("t", 7, Topology::new("t").service(Service::new("a").cargo("p", "b")));
    plan.load = Some(Load::get("a", "/one").also(Request::get("a", "/two")));
    plan
}

/// 100 requests per second for 4 s, alternating between the routes; `outcome` says how each ends.
fn samples(outcome: impl Fn(u64, u16) -> Outcome) -> Vec<Sample> {
    let sample = |at: u64| {
        let route = u16::try_from(at / 10 % 2).unwrap();
        Sample { route, intended: ms(at), sent: ms(at), end: ms(at + 5), outcome: outcome(at, route) }
    };
    (0..4000).step_by(10).map(sample).collect()
}

fn injection(recovery: Recovery, bite: bool) -> InjectionRecord {
    InjectionRecord {
        planned: 0,
        repetition: 1,
        fault: "kill a".to_owned(),
        mechanism: "test".to_owned(),
        links: Vec::new(),
        reached: None,
        began: ms(1000),
        applied: ms(1000),
        rolled_back: Some(ms(2000)),
        bite: Some(Attestation::when(bite, "process 1")),
        gone: None,
        recovery: Some(recovery),
        outages: None,
        detection: None,
        milestones: None,
    }
}

/// The finding on one claim, and the verdict on it.
fn judge(samples: &[Sample], injections: &[InjectionRecord], claim: Hypothesis) -> (Measured, Verdict) {
    let plan = plan();
    let load = Window::new(ms(0), ms(4000));
    let evidence = Evidence { plan: &plan, load, samples, injections, probes: &[], generator: None };
    let findings = evidence.findings(&[claim]);
    (findings[0].measured.clone(), evidence.verdict(&findings))
}

fn good(_: u64, _: u16) -> Outcome {
    Outcome::Good(200)
}

#[test]
fn a_claim_that_holds_under_a_fault_that_bit_is_upheld() {
    let (_, verdict) = judge(&samples(good), &[injection(Recovery::NoImpact, true)], hypothesis!(availability > 95%));
    assert_eq!(verdict, Verdict::Upheld);
}

#[test]
fn no_samples_uphold_nothing() {
    for claim in [hypothesis!(availability > 95%), hypothesis!(error_rate < 5%), hypothesis!(p99 < 1s)] {
        let (measured, verdict) = judge(&[], &[injection(Recovery::NoImpact, true)], claim);
        assert_eq!(measured, Measured::Nothing { reason: Unmeasured::TooFewSamples { have: 0, need: 30 } });
        assert_eq!(verdict.word(), "inconclusive");
    }
}

#[test]
fn a_misspelt_route_is_not_all_routes() {
    let claim = hypothesis!(availability("/oen") > 95%);
    let (_, verdict) = judge(&samples(good), &[injection(Recovery::NoImpact, true)], claim);
    assert_eq!(verdict.word(), "inconclusive");
}

#[test]
fn a_fault_that_did_not_bite_explains_nothing() {
    let injections = [injection(Recovery::NoImpact, false)];
    let (_, verdict) = judge(&samples(good), &injections, hypothesis!(availability > 95%));
    assert_eq!(verdict.to_string(), "inconclusive: the fault `kill a` could not be shown to have bitten (process 1)");
}

#[test]
fn a_route_is_judged_by_its_own_requests() {
    let second_fails = |at, route| if route == 1 && at >= 1000 { Outcome::Timeout } else { good(at, route) };
    let injections = [injection(Recovery::NoImpact, true)];
    let measure = |claim| judge(&samples(second_fails), &injections, claim).0;
    let share = |share, count| Measured::Value { value: Threshold::Ratio(share), interval: None, count };
    assert_eq!(measure(hypothesis!(availability("/one") > 95%)), share(1.0, 50));
    assert_eq!(measure(hypothesis!(availability("/two") > 95%)), share(0.0, 50));
    assert_eq!(measure(hypothesis!(error_rate < 5%)), share(0.5, 100));
    assert_eq!(measure(hypothesis!(availability > 95% during baseline)), share(1.0, 100));
}

#[test]
fn what_never_recovered_is_unbounded_and_refuted() {
    let never = Recovery::NotRecovered { first_bad: ms(1000), observed_until: ms(4000) };
    for claim in [hypothesis!(mttr < 30min), hypothesis!(recovery < 30min)] {
        let (measured, verdict) = judge(&samples(good), &[injection(never, true)], claim);
        assert_eq!(measured, Measured::Unbounded { observed: ms(3000) });
        assert!(verdict.is_refuted());
    }
}

#[test]
fn what_hit_users_who_were_down_already_proves_nothing() {
    for until in [None, Some(ms(1500))] {
        let made = [injection(Recovery::AlreadyDown { until }, true)];
        for claim in [hypothesis!(mttr < 30min), hypothesis!(recovery < 30min)] {
            let (measured, verdict) = judge(&samples(good), &made, claim);
            assert_eq!(measured, Measured::Nothing { reason: Unmeasured::AlreadyDown });
            assert_eq!(verdict.word(), "inconclusive");
        }
    }
}

#[test]
fn an_interval_is_judged_by_its_worse_end() {
    let recovered = |time: u64| {
        let recovery = Recovery::Recovered { first_bad: ms(1000), steady: ms(1000 + time) };
        injection(recovery, true)
    };
    let injections: Vec<InjectionRecord> = [100, 200, 900].map(recovered).into();
    let (measured, _) = judge(&samples(good), &injections, hypothesis!(mttr < 1s));
    let Measured::Recovered { time, interval: Some(Interval { low, high }), injections: 3, .. } = measured else {
        panic!("{measured:?}");
    };
    assert_eq!(time, high);
    assert!(low < ms(400) && high == ms(900), "{low:?} {high:?}");
}

#[test]
fn the_longest_recovery_tells_its_outages() {
    let recovered = |time: u64, count| InjectionRecord {
        outages: Some(Outages { count, longest: ms(300), total: ms(400), ..Outages::default() }),
        ..injection(Recovery::Recovered { first_bad: ms(1000), steady: ms(1000 + time) }, true)
    };
    // The outage of the last is in the account of the others.
    let down = injection(Recovery::AlreadyDown { until: Some(ms(1500)) }, true);
    let injections = [recovered(500, 1), recovered(2000, 3), down];
    let (measured, verdict) = judge(&samples(good), &injections, hypothesis!(recovery < 1s));
    assert_eq!(measured.to_string(), "2s: 3 outages, longest 300ms, down 400ms in all");
    assert!(verdict.is_refuted());
}

#[test]
fn without_a_signal_nothing_was_detected() {
    let made = [injection(Recovery::NoImpact, true)];
    let (measured, _) = judge(&samples(good), &made, hypothesis!(mttd < 1s));
    assert_eq!(measured, Measured::Nothing { reason: Unmeasured::NotReached });
    let (measured, _) = judge(&samples(good), &made, hypothesis!(peak("breaker") >= 1));
    assert_eq!(measured, Measured::Nothing { reason: Unmeasured::NoReadingDue });
}

/// The finding on a claim about `up`, whose readings come every 100 ms; and the verdict.
fn probed(values: impl Fn(u64) -> Result<f64, u16>, claim: Hypothesis) -> (String, Verdict) {
    let mut plan = plan();
    let signal = Signal::AtLeast(1.0);
    plan.probes = vec![Probe { detects: Some(signal), ..Probe::health("up", "a", "/") }];
    let mut series = Series { name: "up".to_owned(), ..Series::default() };
    for at in (0..4000).step_by(100) {
        let value = values(at).map_err(|status| series.failed(ms(at), ReadFailure::Status { status })).ok();
        series.readings.push(Reading { at: ms(at), known: ms(at + 1), value });
    }
    let mut made = injection(Recovery::NoImpact, true);
    made.detection = Some(detection(&series.readings, signal, Window::new(ms(1000), ms(4000))));
    let (samples, injections, probes) = (samples(good), [made], [series]);
    let load = Window::new(ms(0), ms(4000));
    let evidence =
        Evidence { plan: &plan, load, samples: &samples, injections: &injections, probes: &probes, generator: None };
    let findings = evidence.findings(&[claim]);
    (findings[0].measured.to_string(), evidence.verdict(&findings))
}

#[test]
fn what_a_probe_did_not_show_says_why() {
    let late = |from: u64| move |at| if at >= from { Ok(1.0) } else { Ok(0.0) };
    type Values<'a> = &'a dyn Fn(u64) -> Result<f64, u16>;
    let cases: [(Values<'_>, &str, &str); 6] = [
        (&late(1500), "501ms", "upheld"),
        (&|_| Ok(1.0), "not measured (the signal was already shown before the injection)", "inconclusive"),
        (&|_| Ok(0.0), "never shown in 30 readings of 0", "refuted"),
        (
            &|at| if at < 2000 { Ok(0.25) } else { Err(503) },
            "never shown in 10 readings of 0.25; 20 more could not be taken",
            "refuted",
        ),
        (
            &|at| if at < 1000 { Ok(0.0) } else { Err(404) },
            "not measured (none of 30 readings could be taken: status 404 Not Found)",
            "inconclusive",
        ),
        (
            &|at| if at < 1000 { Err(404) } else { Ok(1.0) },
            "not measured (no reading could be taken before the injection: status 404 Not Found)",
            "inconclusive",
        ),
    ];
    for (values, told, word) in cases {
        let (measured, verdict) = probed(values, hypothesis!(mttd < 1s));
        assert_eq!((measured.as_str(), verdict.word()), (told, word));
    }
    for claim in
        [hypothesis!(peak("up") < 9), hypothesis!(lowest("up") < 9), hypothesis!(last("up") < 9 during overall)]
    {
        let (measured, verdict) = probed(|_| Err(404), claim);
        assert!(measured.contains("readings could be taken: status 404 Not Found"), "{measured}");
        assert_eq!(verdict.word(), "inconclusive");
    }
}

/// Only what was sent while the fault was in force says anything about it.
#[test]
fn an_empty_fault_window_is_not_made_good_by_later_requests() {
    let all = samples(good);
    let afterwards: Vec<Sample> = all.iter().filter(|sample| sample.intended > ms(1990)).copied().collect();
    let few: Vec<Sample> = all.iter().filter(|sample| sample.intended > ms(1700)).copied().collect();
    for claim in [hypothesis!(mttr < 5s), hypothesis!(recovery < 5s), hypothesis!(mttr < 5s).during(Scope::Baseline)] {
        let made = [injection(Recovery::NoImpact, true)];
        let too_few = |have| Measured::Nothing { reason: Unmeasured::TooFewSamples { have, need: 30 } };
        let (measured, verdict) = judge(&afterwards, &made, claim.clone());
        assert_eq!((measured, verdict.word()), (too_few(0), "inconclusive"));
        assert_eq!(judge(&few, &made, claim.clone()).0, too_few(29));
        let enough = judge(&all, &made, claim.clone());
        assert_eq!(enough, (Measured::NoImpact { count: 100 }, Verdict::Upheld));
        // Without an injection there was nothing to recover from.
        let (measured, verdict) = judge(&all, &[], claim);
        assert_eq!(measured, Measured::Nothing { reason: Unmeasured::NotReached });
        assert_eq!(verdict.word(), "inconclusive");
    }
}

/// A share over all that came after the injection hid a fault during which nobody asked.
#[test]
fn a_fault_during_which_nobody_asked_is_not_made_good_by_what_came_later() {
    let made = [injection(Recovery::NoImpact, true)];
    let asked = |sample: &&Sample| sample.intended < ms(990) || sample.intended >= ms(2000);
    let later: Vec<Sample> = samples(good).iter().filter(asked).copied().collect();
    let without_two: Vec<Sample> =
        samples(good).iter().filter(|sample| sample.route == 0 || asked(sample)).copied().collect();
    let empty = Measured::Nothing { reason: Unmeasured::EmptyFault { repetition: 1 } };
    for claim in [hypothesis!(availability > 95% during overall), hypothesis!(p99 < 1s during overall)] {
        assert_eq!(judge(&later, &made, claim.clone()).0, empty);
        assert_eq!(judge(&samples(good), &made, claim).1, Verdict::Upheld);
    }
    let of_two = hypothesis!(availability("/two") > 95% during overall);
    assert_eq!(judge(&without_two, &made, of_two.clone()).0, empty);
    assert_eq!(judge(&samples(good), &made, of_two).1, Verdict::Upheld);
}

/// A fault that no request can have felt has no impact, and says nothing of a recovery.
#[test]
fn what_nothing_reaches_is_not_recovered_from() {
    let unreached = InjectionRecord { reached: Some(false), ..injection(Recovery::NoImpact, true) };
    for claim in [hypothesis!(mttr < 5s), hypothesis!(recovery < 5s)] {
        let (measured, verdict) = judge(&samples(good), std::slice::from_ref(&unreached), claim);
        assert_eq!(measured, Measured::Nothing { reason: Unmeasured::Unreached { fault: "kill a".to_owned() } });
        assert_eq!(verdict.word(), "inconclusive");
    }
    let users = hypothesis!(availability > 95%);
    assert_eq!(judge(&samples(good), &[unreached], users).1, Verdict::Upheld);
}

#[test]
fn a_repetition_in_which_nothing_was_observed_is_not_made_good_by_another() {
    let second = InjectionRecord {
        repetition: 2,
        began: ms(2500),
        applied: ms(2500),
        rolled_back: Some(ms(3000)),
        ..injection(Recovery::NoImpact, true)
    };
    let made = [injection(Recovery::NoImpact, true), second];
    let silent: Vec<Sample> = samples(good).into_iter().filter(|sample| sample.intended < ms(2400)).collect();
    let empty = Measured::Nothing { reason: Unmeasured::EmptyRepetition { repetition: 2 } };
    for claim in
        [hypothesis!(availability > 95%), hypothesis!(p50("/one") < 1s), hypothesis!(degraded < 5% during after)]
    {
        assert_eq!(judge(&silent, &made, claim).0, empty);
    }
    let claim = hypothesis!(mttr < 5s);
    assert_eq!(judge(&silent, &made, claim.clone()).1.word(), "inconclusive");
    assert_eq!(judge(&samples(good), &made, claim).1, Verdict::Upheld);
    // What was never steady again has nothing that comes after; the other repetition does not stand in for it.
    let never = Recovery::NotRecovered { first_bad: ms(2500), observed_until: ms(4000) };
    let made = [made[0].clone(), InjectionRecord { recovery: Some(never), ..made[1].clone() }];
    let (measured, _) = judge(&samples(good), &made, hypothesis!(availability > 95% during after));
    assert_eq!(measured, Measured::Nothing { reason: Unmeasured::NotReached });
}
