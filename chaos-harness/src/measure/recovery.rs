//! Time to recover of one injection.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outage::Observed;
use super::{MIN_SAMPLES, Outages, Sample, TooFewSamples, Window};

/// When the steady state counts as back: no outage any more, for a while.
///
/// A request may go bad by itself when all is well; `availability` says how many may. A single bad request between
/// good ones of its route is a stray, and no outage, where strays stay within that share of every stretch of
/// [`stretch`](Self::stretch) requests. Two bad requests in a row on one route are an outage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SteadyStretch {
    /// Share of requests that are not bad when all is well, 0 to 1.
    pub availability: f64,
    /// The hold-down: for how long there must be no outage, after the last one and after the rollback.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub duration: Duration,
    /// How many requests must be due in that time.
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
        /// When good answers came again after the last outage.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        steady: Duration,
    },
    /// The last outage did not end while it was watched, or too late to know that it was the last: how long it takes is not known, and
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

/// Measures the recovery from the injection at `watch.from`, which was over at `over` and watched until `watch.to`
/// (the next repetition, or the end of the load).
///
/// The time to recover runs from the first bad request to the end of the last outage. `bad` says which requests the
/// user would complain about. A request that was due before the injection and ended badly after it counts as hit by
/// it, from the moment of injection. The precision is one interval between the requests of a route.
///
/// Injections that overlap each get their own account of the same outages.
///
/// ```
/// use std::time::Duration;
///
/// use chaos_harness::measure::{Outcome, Sample, SteadyStretch, Window, recovery};
///
/// let ms = Duration::from_millis;
/// // A request every 10 ms for 6 s. The target is down from 1 s to 1.5 s and from 2 s to 3 s.
/// let samples: Vec<Sample> = (0..600)
///     .map(|at| {
///         let down = (100..150).contains(&at) || (200..300).contains(&at);
///         let outcome = if down { Outcome::Refused } else { Outcome::Good(200) };
///         Sample { route: 0, intended: ms(at * 10), sent: ms(at * 10), end: ms(at * 10 + 1), outcome }
///     })
///     .collect();
/// let watch = Window::new(ms(1_000), ms(6_000));
/// let failed = |sample: &Sample| !sample.outcome.is_served();
/// let (recovery, outages) = recovery(&samples, watch, ms(2_500), failed, &SteadyStretch::default());
/// assert_eq!(recovery.time(), Some(ms(2_000)));
/// assert_eq!((outages.count, outages.longest, outages.total), (2, ms(1_000), ms(1_500)));
/// ```
pub fn recovery(
    samples: &[Sample],
    watch: Window,
    over: Duration,
    bad: impl Fn(&Sample) -> bool,
    steady: &SteadyStretch,
) -> (Recovery, Outages) {
    let observed = Observed::new(samples, watch, &bad);
    let outages = observed.outages(steady);
    let recovery = match (outages.first, outages.last) {
        (Some(first), Some(last)) => match last.to.filter(|back| observed.holds(*back.max(&over), steady)) {
            Some(back) => Recovery::Recovered { first_bad: first.from, steady: back },
            None => Recovery::NotRecovered { first_bad: first.from, observed_until: watch.to },
        },
        _ => match outages.account.begun_before {
            Some(outage) => Recovery::AlreadyDown { until: outage.to },
            None => TooFewSamples::check(observed.due() as u64, MIN_SAMPLES)
                .map_or_else(Recovery::TooFewSamples, |()| Recovery::NoImpact),
        },
    };
    (recovery, outages.account)
}

impl SteadyStretch {
    /// Over how many requests strays are counted: enough of them to tell the allowed share from a larger one.
    pub fn stretch(&self) -> usize {
        // Three failures are expected in it at the allowed share; nothing is allowed where every request must be good.
        let enough = (3.0 / (1.0 - self.availability).max(f64::EPSILON)).ceil();
        (enough as usize).max(self.samples)
    }

    /// How many of `requests` may be strays.
    pub(super) fn allowed(&self, requests: usize) -> usize {
        ((1.0 - self.availability).max(0.0) * requests as f64 + 1e-9) as usize
    }
}

#[cfg(test)]
mod tests;
