//! Whether the generator kept its own schedule.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Load;
use crate::measure::{Latencies, Outcome, Sample};

/// How late the generator sent, against its schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LagReport {
    /// Requests sent.
    pub sends: u64,
    /// Requests that were due and not sent.
    pub unsent: u64,
    /// Median lag.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub p50: Duration,
    /// Lag that 99% of sends did not exceed.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub p99: Duration,
    /// Longest lag.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub max: Duration,
    /// Share of sends within 1 ms of their time, 0 to 1.
    pub within_1ms: f64,
    /// The longest `p99` with which the run counts.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub limit: Duration,
}

/// Why a run is void: it was the generator that fell behind, so that nothing is known about the target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GeneratorLag {
    /// Requests left too late.
    #[error(
        "the load generator sent 1% of its requests more than {p99:?} late, where {limit:?} is the limit; lower the rate or free this machine's processors"
    )]
    Late {
        /// Lag that 99% of sends did not exceed.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        p99: Duration,
        /// What it may be.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        limit: Duration,
    },
    /// Requests did not leave at all.
    #[error(
        "the load generator did not send {unsent} of {due} requests, since too many were under way; raise `max_in_flight`, or the limit of open files, or shorten the deadline"
    )]
    Unsent {
        /// Requests not sent.
        unsent: u64,
        /// Requests due.
        due: u64,
    },
}

impl LagReport {
    /// The lag of `samples` of `load`.
    pub fn of(samples: &[Sample], load: &Load) -> Self {
        let sent = || samples.iter().filter(|sample| sample.outcome != Outcome::Unsent);
        let sends = sent().count() as u64;
        let lags = Latencies::of_durations(sent().map(Sample::lag));
        let quantile = |q| lags.quantile(q, 1).unwrap_or_default();
        let punctual = sent().filter(|sample| sample.lag() <= Duration::from_millis(1)).count();
        Self {
            sends,
            unsent: samples.len() as u64 - sends,
            p50: quantile(0.5),
            p99: quantile(0.99),
            max: sent().map(Sample::lag).max().unwrap_or_default(),
            within_1ms: if sends == 0 { 1.0 } else { punctual as f64 / sends as f64 },
            limit: limit(load),
        }
    }

    /// Whether the run counts: every due request was sent, and 99% of them no later than two intervals between
    /// requests at the highest rate, but at least 10 ms and at most 50 ms.
    ///
    /// # Errors
    /// [`GeneratorLag`] when it is void.
    pub fn kept_up(&self) -> Result<(), GeneratorLag> {
        if self.unsent > 0 {
            return Err(GeneratorLag::Unsent { unsent: self.unsent, due: self.sends + self.unsent });
        }
        if self.p99 > self.limit {
            return Err(GeneratorLag::Late { p99: self.p99, limit: self.limit });
        }
        Ok(())
    }
}

fn limit(load: &Load) -> Duration {
    let highest = load.rate.ramps.iter().map(|ramp| ramp.to).fold(load.rate.start, f64::max);
    Duration::from_secs_f64((2.0 / highest.max(1.0)).clamp(0.010, 0.050))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::{good, ms, sample};

    fn late(by: u64) -> Sample {
        Sample { sent: ms(by), ..good(0) }
    }

    #[test]
    fn late_sends_void_a_run() {
        let load = Load::get("a", "/").rate(100);
        let samples: Vec<_> = (0..98).map(|_| late(1)).chain([late(21), late(30)]).collect();
        let report = LagReport::of(&samples, &load);
        assert_eq!((report.sends, report.max, report.within_1ms), (100, ms(30), 0.98));
        assert!(matches!(report.kept_up(), Err(GeneratorLag::Late { limit, .. }) if limit == ms(20)));
        assert_eq!(LagReport::of(&samples[..99], &load.rate(50)).kept_up(), Ok(()));
    }

    #[test]
    fn one_unsent_request_voids_a_run() {
        let samples = [good(0), sample(1, Outcome::Unsent)];
        let report = LagReport::of(&samples, &Load::get("a", "/"));
        assert_eq!(report.kept_up(), Err(GeneratorLag::Unsent { unsent: 1, due: 2 }));
    }
}
