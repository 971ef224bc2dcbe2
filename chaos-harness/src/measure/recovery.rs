//! Time to recover of one injection.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MIN_SAMPLES, Sample, TooFewSamples, Window};

/// When the steady state counts as back: it holds from some request on, and keeps holding for a while.
///
/// A stretch starts with a request that is not bad. At every request of it, the share of requests since
/// its start that are not bad must be at least `availability`; so one lucky answer in the middle of an
/// outage does not count as its end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SteadyStretch {
    /// Share of requests that must not be bad, 0 to 1.
    pub availability: f64,
    /// Shortest stretch.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub duration: Duration,
    /// Fewest requests in it.
    pub samples: usize,
}

impl Default for SteadyStretch {
    /// 99% over 1 s and 20 samples.
    fn default() -> Self {
        Self { availability: 0.99, duration: Duration::from_secs(1), samples: 20 }
    }
}

/// What one injection did to the users of a system, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// No request went bad.
    NoImpact,
    /// No request went bad, but too few were due to say anything.
    TooFewSamples(TooFewSamples),
    /// Users were down already when it was injected, and were not hit again later: what it did to them
    /// cannot be told.
    AlreadyDown {
        /// When good answers came again; `None` when they had not by the end of observation.
        #[serde(default, with = "humantime_serde::option")]
        #[schemars(with = "Option<String>")]
        until: Option<Duration>,
    },
    /// The steady state came back.
    Recovered {
        /// When the first bad request was due; the injection, for one that was under way by then.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        first_bad: Duration,
        /// When the first request of the steady stretch was due.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        steady: Duration,
    },
    /// The steady state did not come back while it was watched: how long it takes is not known, and
    /// bounded by nothing (a right-censored observation, never to be counted as the watched time).
    NotRecovered {
        /// When the first bad request was due; the injection, for one that was under way by then.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        first_bad: Duration,
        /// End of the watch.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        observed_until: Duration,
    },
}

impl Recovery {
    /// Time to recover; `None` without impact or without recovery.
    pub fn time(&self) -> Option<Duration> {
        match self {
            Self::Recovered { first_bad, steady } => Some(steady.saturating_sub(*first_bad)),
            _ => None,
        }
    }
}

/// Measures the recovery from the injection at `watch.from`, watched until `watch.to` (the next
/// injection, or the end of the load).
///
/// `bad` says which requests the user would complain about: those not served, perhaps also slow ones.
/// A request that was due before the injection and ended badly after it counts as hit by it, from the
/// moment of injection. The precision is one interval between requests.
pub fn recovery(samples: &[Sample], watch: Window, bad: impl Fn(&Sample) -> bool, steady: &SteadyStretch) -> Recovery {
    let watched = watched(samples, watch);
    let Some(first) = watched.iter().position(|sample| bad(sample)) else {
        let due = window_count(&watched, watch);
        return TooFewSamples::check(due, MIN_SAMPLES).map_or_else(Recovery::TooFewSamples, |()| Recovery::NoImpact);
    };
    let first_bad = watched[first].intended.max(watch.from);
    let candidates = (first..watched.len()).filter(|&at| watched[at].intended >= first_bad && !bad(watched[at]));
    match candidates.into_iter().find(|&at| steady.holds(&watched[at..], watch.to, &bad)) {
        Some(at) => Recovery::Recovered { first_bad, steady: watched[at].intended },
        None => Recovery::NotRecovered { first_bad, observed_until: watch.to },
    }
}

fn window_count(watched: &[&Sample], watch: Window) -> u64 {
    watched.iter().filter(|sample| watch.contains(sample.intended)).count() as u64
}

/// The requests that the injection can have hit, in the order in which they were due.
fn watched(samples: &[Sample], watch: Window) -> Vec<&Sample> {
    let mut watched: Vec<_> = samples.iter().filter(|s| s.end >= watch.from && s.intended < watch.to).collect();
    watched.sort_by_key(|sample| sample.intended);
    watched
}

impl SteadyStretch {
    /// Whether a stretch starts at the first of `samples` and is complete before `until`.
    fn holds(&self, samples: &[&Sample], until: Duration, bad: impl Fn(&Sample) -> bool) -> bool {
        let Some(end) = samples.first().map(|first| first.intended + self.duration) else {
            return false;
        };
        let mut served = 0;
        for (before, sample) in samples.iter().enumerate() {
            if before >= self.samples && sample.intended >= end {
                return true;
            }
            served += usize::from(!bad(sample));
            if (served as f64) < self.availability * (before + 1) as f64 {
                return false;
            }
        }
        samples.len() >= self.samples && until >= end
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measure::testing::{bad, good, ms};
    use crate::measure::{Outcome, testing};

    const NOT_SERVED: fn(&Sample) -> bool = |sample| !sample.outcome.is_served();

    /// A request every `step` ms for `length` ms; those due in `outage` fail.
    fn run(step: u64, length: u64, outage: std::ops::Range<u64>) -> Vec<Sample> {
        (0..length).step_by(step as usize).map(|at| if outage.contains(&at) { bad(at) } else { good(at) }).collect()
    }

    fn measure(samples: &[Sample], from: u64, to: u64) -> Recovery {
        recovery(samples, Window::new(ms(from), ms(to)), NOT_SERVED, &SteadyStretch::default())
    }

    #[test]
    fn an_outage_of_known_length() {
        let recovery = measure(&run(10, 10_000, 2_005..3_505), 2_000, 10_000);
        assert_eq!(recovery, Recovery::Recovered { first_bad: ms(2_010), steady: ms(3_510) });
        assert_eq!(recovery.time(), Some(ms(1_500)));
    }

    #[test]
    fn nothing_bad_is_no_impact() {
        assert_eq!(measure(&run(10, 5_000, 0..0), 2_000, 5_000), Recovery::NoImpact);
        assert_eq!(measure(&[], 0, 5_000), Recovery::TooFewSamples(TooFewSamples { have: 0, need: MIN_SAMPLES }));
        let one_too_few = TooFewSamples { have: MIN_SAMPLES - 1, need: MIN_SAMPLES };
        assert_eq!(measure(&run(10, 290, 0..0), 0, 5_000), Recovery::TooFewSamples(one_too_few));
        assert_eq!(measure(&run(10, 300, 0..0), 0, 5_000), Recovery::NoImpact);
    }

    #[test]
    fn bad_before_the_injection_is_not_its_doing() {
        assert_eq!(measure(&run(10, 5_000, 500..1_500), 2_000, 5_000), Recovery::NoImpact);
    }

    #[test]
    fn a_request_under_way_at_the_injection_counts_from_it() {
        let mut samples = run(10, 5_000, 0..0);
        samples[199] = Sample { end: ms(2_100), outcome: Outcome::Timeout, ..samples[199] };
        assert_eq!(measure(&samples, 2_000, 5_000), Recovery::Recovered { first_bad: ms(2_000), steady: ms(2_000) });
    }

    #[test]
    fn never_steady_again_is_unbounded() {
        let expected = Recovery::NotRecovered { first_bad: ms(2_000), observed_until: ms(5_000) };
        assert_eq!(measure(&run(10, 5_000, 2_000..5_000), 2_000, 5_000), expected);
        // Back, but not for long enough to know.
        assert_eq!(measure(&run(10, 5_000, 2_000..4_100), 2_000, 5_000), expected);
        assert_eq!(expected.time(), None);
    }

    #[test]
    fn too_few_samples_do_not_show_a_recovery() {
        let samples = run(200, 5_000, 2_000..2_200);
        assert!(matches!(measure(&samples, 2_000, 5_000), Recovery::NotRecovered { .. }));
        let samples = run(100, 5_000, 2_000..2_200);
        assert!(matches!(measure(&samples, 2_000, 5_000), Recovery::Recovered { .. }));
    }

    #[test]
    fn one_lucky_answer_does_not_end_an_outage() {
        let mut samples = run(10, 10_000, 2_000..4_000);
        samples[250] = good(2_500);
        let lenient = SteadyStretch { availability: 0.5, ..SteadyStretch::default() };
        let recovery = recovery(&samples, Window::new(ms(2_000), ms(10_000)), NOT_SERVED, &lenient);
        assert_eq!(recovery.time(), Some(ms(2_000)));
    }

    #[test]
    fn slow_can_be_bad_too() {
        let mut samples = run(10, 5_000, 0..0);
        samples[210].end += ms(500);
        let slow = |sample: &Sample| NOT_SERVED(sample) || sample.latency() > ms(100);
        let window = Window::new(ms(2_000), ms(5_000));
        assert_eq!(recovery(&samples, window, slow, &SteadyStretch::default()).time(), Some(ms(10)));
    }

    #[test]
    fn json_keeps_it() {
        let recovery = Recovery::Recovered { first_bad: ms(2_010), steady: Duration::from_nanos(3_510_000_001) };
        let json = serde_json::to_string(&recovery).unwrap();
        assert_eq!(serde_json::from_str::<Recovery>(&json).unwrap(), recovery);
    }

    fn shifted(samples: &[Sample], by: Duration) -> Vec<Sample> {
        let shift = |s: &Sample| Sample { intended: s.intended + by, sent: s.sent + by, end: s.end + by, ..*s };
        samples.iter().map(shift).collect()
    }

    proptest! {
        #[test]
        fn the_truth_within_one_interval(step in 1..50u64, injection in 0..3_000u64, outage in 1..3_000u64) {
            let samples = run(step, 10_000, injection..injection + outage);
            let measured = measure(&samples, injection, 10_000);
            match measured.time() {
                Some(time) => prop_assert!(time.abs_diff(ms(outage)) < ms(step), "{time:?} for {outage} ms"),
                None => {
                    prop_assert_eq!(measured, Recovery::NoImpact);
                    prop_assert!(outage < step);
                }
            }
        }

        #[test]
        fn shifting_all_shifts_the_moments_alone(samples in testing::samples(), by in 0..1_000u64) {
            let by = Duration::from_secs(by);
            let steady = SteadyStretch { availability: 0.5, duration: ms(60_000), samples: 3 };
            let window = Window::new(Duration::from_secs(100), Duration::from_secs(3_000));
            let later = Window::new(window.from + by, window.to + by);
            let here = recovery(&samples, window, NOT_SERVED, &steady);
            let there = recovery(&shifted(&samples, by), later, NOT_SERVED, &steady);
            let expected = match here {
                Recovery::NoImpact | Recovery::TooFewSamples(_) | Recovery::AlreadyDown { .. } => here,
                Recovery::Recovered { first_bad, steady } =>
                    Recovery::Recovered { first_bad: first_bad + by, steady: steady + by },
                Recovery::NotRecovered { first_bad, observed_until } =>
                    Recovery::NotRecovered { first_bad: first_bad + by, observed_until: observed_until + by },
            };
            prop_assert_eq!(there, expected);
        }

        #[test]
        fn moments_are_in_order(samples in testing::samples()) {
            let steady = SteadyStretch { availability: 0.5, duration: ms(60_000), samples: 3 };
            let window = Window::new(Duration::from_secs(100), Duration::from_secs(3_000));
            match recovery(&samples, window, NOT_SERVED, &steady) {
                Recovery::Recovered { first_bad, steady } =>
                    prop_assert!(window.from <= first_bad && first_bad <= steady && steady < window.to),
                Recovery::NotRecovered { first_bad, .. } => prop_assert!(first_bad >= window.from),
                _ => {}
            }
        }

        #[test]
        fn good_samples_after_it_change_nothing(outage in 1..3_000u64, more in 0..3_000u64) {
            let samples = run(10, 5_000, 1_000..1_000 + outage);
            let mut longer = samples.clone();
            longer.extend((5_000..5_000 + more).step_by(10).map(good));
            let before = measure(&samples, 1_000, 5_000);
            prop_assert_eq!(measure(&longer, 1_000, 5_000 + more), before);
        }
    }
}
