//! What nobody measured is never upheld.

use std::time::Duration;

use super::*;
use crate::fault::Attestation;
use crate::hypothesis;
use crate::load::{Load, Request};
use crate::measure::Outcome;
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
fn an_interval_is_judged_by_its_worse_end() {
    let recovered = |time: u64| {
        let recovery = Recovery::Recovered { first_bad: ms(1000), steady: ms(1000 + time) };
        injection(recovery, true)
    };
    let injections: Vec<InjectionRecord> = [100, 200, 900].map(recovered).into();
    let (measured, _) = judge(&samples(good), &injections, hypothesis!(mttr < 1s));
    let Measured::Value { value, interval: Some([Threshold::Time(low), high]), count: 3 } = measured else {
        panic!("{measured:?}");
    };
    assert_eq!(value, high);
    assert!(low < ms(400) && high == Threshold::Time(ms(900)), "{low:?} {high:?}");
}

#[test]
fn without_a_signal_nothing_was_detected() {
    let (measured, _) = judge(&samples(good), &[injection(Recovery::NoImpact, true)], hypothesis!(mttd < 1s));
    assert_eq!(measured, Measured::Nothing { reason: Unmeasured::NotReached });
    let (measured, _) =
        judge(&samples(good), &[injection(Recovery::NoImpact, true)], hypothesis!(peak("breaker") >= 1));
    assert_eq!(measured, Measured::Nothing { reason: Unmeasured::NoReading });
}
