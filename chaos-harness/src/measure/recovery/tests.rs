//! Scripted outages, and what must be true of any.
#![allow(clippy::single_range_in_vec_init, reason = "a list of outages, which may be one")]

use proptest::prelude::*;

use super::*;
use crate::measure::testing::{bad, good, ms};
use crate::measure::{Outage, Outcome, testing};

const NOT_SERVED: fn(&Sample) -> bool = |sample| !sample.outcome.is_served();

/// A request every `step` ms for `length` ms; those due in one of the `outages` fail.
fn run(step: u64, length: u64, outages: &[std::ops::Range<u64>]) -> Vec<Sample> {
    let down = |at: &u64| outages.iter().any(|outage| outage.contains(at));
    (0..length).step_by(step as usize).map(|at| if down(&at) { bad(at) } else { good(at) }).collect()
}

fn account(samples: &[Sample], from: u64, to: u64) -> (Recovery, Outages) {
    recovery(samples, Window::new(ms(from), ms(to)), ms(from), NOT_SERVED, &SteadyStretch::default())
}

fn measure(samples: &[Sample], from: u64, to: u64) -> Recovery {
    account(samples, from, to).0
}

fn recovered(first_bad: u64, steady: u64) -> Recovery {
    Recovery::Recovered { first_bad: ms(first_bad), steady: ms(steady) }
}

#[test]
fn an_outage_of_known_length() {
    let (recovery, outages) = account(&run(10, 10_000, &[2_005..3_505]), 2_000, 10_000);
    assert_eq!(recovery, recovered(2_010, 3_510));
    let list = vec![Outage { from: ms(2_010), to: Some(ms(3_510)) }];
    let (longest, total) = (ms(1_500), ms(1_500));
    let expected = Outages { count: 1, longest, total, bad: 150, requests: 150, list, ..Outages::default() };
    assert_eq!(outages, expected);
}

#[test]
fn nothing_bad_is_no_impact_if_there_are_enough_requests() {
    assert_eq!(measure(&run(10, 5_000, &[]), 2_000, 5_000), Recovery::NoImpact);
    assert_eq!(measure(&[], 0, 5_000), Recovery::TooFewSamples(TooFewSamples { have: 0, need: MIN_SAMPLES }));
    let one_too_few = TooFewSamples { have: MIN_SAMPLES - 1, need: MIN_SAMPLES };
    assert_eq!(measure(&run(10, 290, &[]), 0, 5_000), Recovery::TooFewSamples(one_too_few));
    assert_eq!(measure(&run(10, 300, &[]), 0, 5_000), Recovery::NoImpact);
}

#[test]
fn the_time_runs_to_the_end_of_the_last_outage() {
    // A drain: one 503, 1.7 s of good answers, then nothing for 5 s.
    let (recovery, outages) = account(&run(10, 12_000, &[2_000..2_010, 3_700..8_700]), 2_000, 12_000);
    assert_eq!(recovery, recovered(2_000, 8_700));
    assert_eq!((outages.count, outages.longest, outages.total), (2, ms(5_000), ms(5_010)));
    // A crash loop.
    let (recovery, outages) = account(&run(10, 9_000, &[2_000..2_500, 3_000..4_000, 4_100..4_400]), 2_000, 9_000);
    assert_eq!(recovery.time(), Some(ms(2_400)));
    assert_eq!((outages.count, outages.longest, outages.total), (3, ms(1_000), ms(1_800)));
}

#[test]
fn observation_must_reach_past_the_rollback_and_the_last_outage() {
    let samples = run(10, 5_000, &[2_000..2_500]);
    let over = |over| {
        let watch = Window::new(ms(2_000), ms(5_000));
        recovery(&samples, watch, ms(over), NOT_SERVED, &SteadyStretch::default()).0
    };
    assert_eq!(over(4_000), recovered(2_000, 2_500));
    let never = Recovery::NotRecovered { first_bad: ms(2_000), observed_until: ms(5_000) };
    assert_eq!(over(4_010), never);
    assert_eq!(never.time(), None);
    assert_eq!(measure(&run(10, 5_000, &[2_000..5_000]), 2_000, 5_000), never);
    // Back, but not for long enough to know.
    assert_eq!(measure(&run(10, 5_000, &[2_000..2_100, 4_000..4_100]), 2_000, 5_000), never);
    assert_eq!(measure(&run(10, 5_000, &[2_000..2_100, 3_900..4_000]), 2_000, 5_000), recovered(2_000, 4_000));
}

#[test]
fn too_few_samples_do_not_show_a_recovery() {
    assert!(matches!(measure(&run(200, 5_900, &[2_000..2_200]), 2_000, 5_900), Recovery::NotRecovered { .. }));
    assert_eq!(measure(&run(200, 6_200, &[2_000..2_200]), 2_000, 6_200), recovered(2_000, 2_200));
}

#[test]
fn a_request_under_way_at_the_injection_counts_from_it() {
    let mut samples = run(10, 5_000, &[]);
    samples[199] = Sample { end: ms(2_100), outcome: Outcome::Timeout, ..samples[199] };
    assert_eq!(measure(&samples, 2_000, 5_000), recovered(2_000, 2_000));
}

#[test]
fn an_outage_from_before_is_shown_and_not_charged() {
    assert_eq!(measure(&run(10, 5_000, &[500..1_500]), 2_000, 5_000), Recovery::NoImpact, "it was over");
    let (recovery, outages) = account(&run(10, 6_000, &[1_000..2_800]), 2_000, 6_000);
    assert_eq!(recovery, Recovery::AlreadyDown { until: Some(ms(2_800)) });
    assert_eq!((outages.count, outages.begun_before), (0, Some(Outage { from: ms(1_000), to: Some(ms(2_800)) })));
    // The injection hits again later: that is its own.
    let (recovery, outages) = account(&run(10, 9_000, &[1_000..2_800, 3_000..4_000]), 2_000, 9_000);
    assert_eq!(recovery, recovered(3_000, 4_000));
    assert_eq!((outages.count, outages.total), (1, ms(1_000)));
    assert!(outages.begun_before.is_some());
    // One failure just before is no outage, and does not excuse the injection.
    assert_eq!(measure(&run(10, 6_000, &[1_990..3_000]), 2_000, 6_000), recovered(2_000, 3_000));
}

#[test]
fn a_black_hole_from_before_is_seen_though_its_timeouts_come_after() {
    let mut samples = run(10, 6_000, &[]);
    for sample in samples.iter_mut().filter(|sample| (ms(1_500)..ms(2_500)).contains(&sample.intended)) {
        *sample = Sample { end: sample.intended + ms(1_000), outcome: Outcome::Timeout, ..*sample };
    }
    assert_eq!(measure(&samples, 2_000, 6_000), Recovery::AlreadyDown { until: Some(ms(2_500)) });
}

/// Nothing is answered from 2 s to 7 s. Requests that can wait until then are answered at its end.
#[test]
fn a_black_hole_lasts_until_answers_come_again_whatever_the_deadline() {
    for (deadline, usual) in [(100, 1), (1_000, 1), (4_000, 1), (1_000, 400)] {
        let sample = |at: u64| match at {
            2_000..7_000 if at + deadline < 7_000 + usual => {
                Sample { end: ms(at + deadline), outcome: Outcome::Timeout, ..good(at) }
            }
            2_000..7_000 => Sample { end: ms(7_000 + usual), ..good(at) },
            _ => Sample { end: ms(at + usual), ..good(at) },
        };
        let samples: Vec<Sample> = (0..12_000).step_by(10).map(sample).collect();
        let (recovery, outages) = account(&samples, 2_000, 12_000);
        let near = |time: Duration| time.abs_diff(ms(5_000)) <= ms(10);
        let time = recovery.time().unwrap();
        assert!(near(time) && near(outages.longest) && near(outages.total), "{deadline} ms: {recovery:?} {outages:?}");
    }
}

#[test]
fn answers_that_are_always_slow_do_not_make_an_outage_longer() {
    let slow = |sample: Sample| Sample { end: sample.intended + ms(300), ..sample };
    let samples: Vec<Sample> = run(10, 8_000, &[2_000..3_000]).into_iter().map(slow).collect();
    let (recovery, _) = account(&samples, 2_010, 8_000);
    assert_eq!(recovery.time(), Some(ms(990)));
}

#[test]
fn a_request_that_was_not_sent_does_not_end_in_the_future() {
    let mut samples = run(10, 6_000, &[]);
    for sample in samples.iter_mut().filter(|sample| (ms(2_000)..ms(2_300)).contains(&sample.intended)) {
        *sample = Sample { end: sample.intended + ms(10_000), outcome: Outcome::Unsent, ..*sample };
    }
    let (recovery, outages) = account(&samples, 2_000, 6_000);
    assert_eq!((recovery, outages.total), (recovered(2_000, 2_300), ms(300)));
}

/// Two routes in turn; only requests of the second fail.
#[test]
fn an_outage_of_one_route_is_one_outage() {
    let mut samples = run(10, 8_000, &[]);
    for (nth, sample) in samples.iter_mut().enumerate() {
        sample.route = u16::try_from(nth % 2).unwrap();
        if sample.route == 1 && (ms(2_000)..ms(4_000)).contains(&sample.intended) {
            sample.outcome = Outcome::Status(503);
        }
    }
    let (recovery, outages) = account(&samples, 2_000, 8_000);
    assert_eq!(recovery, recovered(2_010, 4_010));
    assert_eq!((outages.count, outages.longest, outages.bad, outages.requests), (1, ms(2_000), 100, 200));
}

#[test]
fn degraded_can_be_bad_too() {
    let degraded = |at| testing::sample(at, Outcome::Degraded(200));
    let sample = |at: u64| if (2_000..2_500).contains(&at) { degraded(at) } else { good(at) };
    let samples: Vec<Sample> = (0..5_000).step_by(10).map(sample).collect();
    let (watch, steady) = (Window::new(ms(2_000), ms(5_000)), SteadyStretch::default());
    let bad = |sample: &Sample| sample.outcome.is_degraded();
    assert_eq!(recovery(&samples, watch, ms(2_000), bad, &steady).0, recovered(2_000, 2_500));
    assert_eq!(recovery(&samples, watch, ms(2_000), NOT_SERVED, &steady).0, Recovery::NoImpact);
}

#[test]
fn strays_within_the_steady_state_are_no_outage() {
    // One request in 300 fails when all is well; the outage is from 2 s to 3 s.
    let mut samples = run(10, 20_000, &[2_000..3_000]);
    samples.iter_mut().skip(17).step_by(300).for_each(|sample| sample.outcome = Outcome::Status(500));
    let (recovery, outages) = account(&samples, 2_000, 20_000);
    assert_eq!(recovery, recovered(2_000, 3_000));
    assert_eq!((outages.count, outages.stray), (1, 6));
    // One in 50 is more than 1%.
    let mut samples = run(10, 20_000, &[2_000..3_000]);
    samples.iter_mut().skip(17).step_by(50).for_each(|sample| sample.outcome = Outcome::Status(500));
    assert!(matches!(measure(&samples, 2_000, 20_000), Recovery::NotRecovered { .. }));
}

#[test]
fn a_part_of_the_requests_that_fails_is_an_outage_to_its_end() {
    let mut samples = run(10, 9_000, &[]);
    let partial = samples.iter_mut().filter(|sample| (ms(2_000)..ms(5_000)).contains(&sample.intended));
    partial.step_by(3).for_each(|sample| sample.outcome = Outcome::Status(503));
    let (recovery, outages) = account(&samples, 2_000, 9_000);
    assert_eq!(recovery.time(), Some(ms(2_980)), "the last that failed was due at 4.97 s");
    assert_eq!((outages.count, outages.bad, outages.requests, outages.stray), (100, 100, 298, 0));
}

#[test]
fn no_request_may_fail_where_all_must_be_good() {
    let strict = SteadyStretch { availability: 1.0, ..SteadyStretch::default() };
    let samples = run(10, 9_000, &[2_000..2_100, 5_000..5_010]);
    let watch = Window::new(ms(2_000), ms(9_000));
    assert_eq!(recovery(&samples, watch, ms(2_000), NOT_SERVED, &strict).0, recovered(2_000, 5_010));
    assert_eq!(measure(&samples, 2_000, 9_000), recovered(2_000, 2_100));
}

#[test]
fn injections_that_overlap_each_have_their_own_account() {
    let samples = run(10, 9_000, &[2_000..3_000, 3_500..4_000]);
    assert_eq!(measure(&samples, 2_000, 9_000), recovered(2_000, 4_000));
    assert_eq!(measure(&samples, 3_200, 9_000), recovered(3_500, 4_000));
}

#[test]
fn json_keeps_it() {
    for recovery in [recovered(2_010, 3_510), Recovery::AlreadyDown { until: None }, Recovery::NoImpact] {
        let json = serde_json::to_string(&recovery).unwrap();
        assert_eq!(serde_json::from_str::<Recovery>(&json).unwrap(), recovery);
    }
}

fn shifted(samples: &[Sample], by: Duration) -> Vec<Sample> {
    let shift = |s: &Sample| Sample { intended: s.intended + by, sent: s.sent + by, end: s.end + by, ..*s };
    samples.iter().map(shift).collect()
}

/// Any samples, observed in a window of theirs.
fn any(samples: &[Sample], by: Duration) -> (Recovery, Outages) {
    let steady = SteadyStretch { availability: 0.5, duration: ms(60_000), samples: 3 };
    let window = Window::new(Duration::from_secs(100) + by, Duration::from_secs(3_000) + by);
    recovery(&shifted(samples, by), window, window.from, NOT_SERVED, &steady)
}

proptest! {
    #[test]
    fn the_truth_within_one_interval(
        step in 1..50u64,
        injection in 0..3_000u64,
        phases in prop::collection::vec((100..1_000u64, 60..1_000u64), 1..6),
    ) {
        let (mut at, mut outages) = (injection, Vec::new());
        for (down, up) in phases {
            outages.push(at..at + down);
            at += down + up;
        }
        let end = outages.last().unwrap().end;
        let (recovery, account) = account(&run(step, end + 3_000, &outages), injection, end + 3_000);
        let lengths = || outages.iter().map(|outage| ms(outage.end - outage.start));
        let (longest, total): (Duration, Duration) = (lengths().max().unwrap(), lengths().sum());
        prop_assert_eq!(account.count, outages.len() as u64);
        prop_assert!(recovery.time().unwrap().abs_diff(ms(end - injection)) < ms(step));
        prop_assert!(account.longest.abs_diff(longest) < ms(step));
        prop_assert!(account.total.abs_diff(total) < ms(step) * outages.len() as u32);
    }

    #[test]
    fn shifting_all_shifts_the_moments_alone(samples in testing::samples(), by in 0..1_000u64) {
        let by = Duration::from_secs(by);
        let ((here, outages), (there, later)) = (any(&samples, Duration::ZERO), any(&samples, by));
        let expected = match here {
            Recovery::NoImpact | Recovery::TooFewSamples(_) => here,
            Recovery::AlreadyDown { until } => Recovery::AlreadyDown { until: until.map(|until| until + by) },
            Recovery::Recovered { first_bad, steady } =>
                Recovery::Recovered { first_bad: first_bad + by, steady: steady + by },
            Recovery::NotRecovered { first_bad, observed_until } =>
                Recovery::NotRecovered { first_bad: first_bad + by, observed_until: observed_until + by },
        };
        prop_assert_eq!(there, expected);
        prop_assert_eq!((later.count, later.longest, later.total), (outages.count, outages.longest, outages.total));
        prop_assert_eq!((later.bad, later.requests, later.stray), (outages.bad, outages.requests, outages.stray));
    }

    #[test]
    fn an_account_adds_up(samples in testing::samples()) {
        let (recovery, outages) = any(&samples, Duration::ZERO);
        let (from, to) = (Duration::from_secs(100), Duration::from_secs(3_000));
        prop_assert!(outages.longest <= outages.total && outages.total <= to - from);
        prop_assert!(outages.bad <= outages.requests);
        for pair in outages.list.windows(2) {
            prop_assert!(pair[0].to.is_some_and(|to| to < pair[1].from), "{pair:?}");
        }
        match recovery {
            Recovery::Recovered { first_bad, steady } => {
                prop_assert!(from <= first_bad && first_bad <= steady && steady < to);
                prop_assert!(recovery.time().unwrap() >= outages.longest && outages.count > 0);
                prop_assert_eq!(Some(steady), outages.list.last().unwrap().to);
            }
            Recovery::NotRecovered { first_bad, .. } => prop_assert!(first_bad >= from && outages.count > 0),
            _ => prop_assert_eq!((outages.count, outages.total), (0, Duration::ZERO)),
        }
    }

    #[test]
    fn good_samples_after_it_change_nothing(outage in 1..3_000u64, more in 0..3_000u64) {
        let samples = run(10, 5_000, &[1_000..1_000 + outage]);
        let mut longer = samples.clone();
        longer.extend((5_000..5_000 + more).step_by(10).map(good));
        let before = account(&samples, 1_000, 5_000);
        prop_assert_eq!(account(&longer, 1_000, 5_000 + more), before);
    }
}
