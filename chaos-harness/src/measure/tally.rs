//! Counting: availability, error rate, degraded share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Outcome, Sample};

/// How many samples a number needs unless the caller says otherwise.
pub const MIN_SAMPLES: u64 = 30;

/// A window held too few samples to claim anything from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, JsonSchema)]
#[error("{have} samples where at least {need} are needed; send more load or measure a longer window")]
pub struct TooFewSamples {
    /// Samples in the window.
    pub have: u64,
    /// Samples needed.
    pub need: u64,
}

impl TooFewSamples {
    /// Fails when `have` is less than `need` or zero.
    ///
    /// # Errors
    /// [`TooFewSamples`] itself.
    pub fn check(have: u64, need: u64) -> Result<(), Self> {
        if have < need.max(1) { Err(Self { have, need: need.max(1) }) } else { Ok(()) }
    }
}

/// How many samples ended in which way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// Accepted answers, not degraded.
    pub good: u64,
    /// Accepted answers from a fallback.
    pub degraded: u64,
    /// Everything else, by outcome, in the order of [`Outcome`].
    pub failures: Vec<FailureCount>,
}

/// How often requests failed in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureCount {
    /// The way.
    pub outcome: Outcome,
    /// How often.
    pub count: u64,
}

/// Shares of all samples, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// (good + degraded) / all.
    pub availability: f64,
    /// Failed / all.
    pub error_rate: f64,
    /// Degraded / all.
    pub degraded: f64,
}

impl Tally {
    /// Counts `samples`.
    pub fn of<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Self {
        let mut tally = Self::default();
        for sample in samples {
            tally.add(sample.outcome);
        }
        tally
    }

    /// Counts one more.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Good(_) => self.good += 1,
            Outcome::Degraded(_) => self.degraded += 1,
            failure => match self.failures.binary_search_by_key(&failure, |count| count.outcome) {
                Ok(at) => self.failures[at].count += 1,
                Err(at) => self.failures.insert(at, FailureCount { outcome: failure, count: 1 }),
            },
        }
    }

    /// Samples counted.
    pub fn all(&self) -> u64 {
        self.served() + self.failed()
    }

    /// Samples that served their user: good and degraded.
    pub fn served(&self) -> u64 {
        self.good + self.degraded
    }

    /// Samples that failed.
    pub fn failed(&self) -> u64 {
        self.failures.iter().map(|failure| failure.count).sum()
    }

    /// The shares, from at least `need` samples (usually [`MIN_SAMPLES`]).
    ///
    /// # Errors
    /// [`TooFewSamples`] when there are fewer, or none at all.
    pub fn rates(&self, need: u64) -> Result<Rates, TooFewSamples> {
        let all = self.all();
        TooFewSamples::check(all, need)?;
        let share = |part: u64| part as f64 / all as f64;
        Ok(Rates {
            availability: share(self.served()),
            error_rate: share(self.failed()),
            degraded: share(self.degraded),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measure::testing::{bad, good, sample, samples};

    #[test]
    fn shares_add_up() {
        let samples = [good(1), good(2), sample(3, Outcome::Degraded(200)), bad(4)];
        let rates = Tally::of(&samples).rates(4).unwrap();
        assert_eq!(rates, Rates { availability: 0.75, error_rate: 0.25, degraded: 0.25 });
    }

    #[test]
    fn nothing_is_claimed_from_too_few() {
        assert_eq!(Tally::default().rates(0), Err(TooFewSamples { have: 0, need: 1 }));
        assert_eq!(Tally::of(&[good(1)]).rates(MIN_SAMPLES), Err(TooFewSamples { have: 1, need: 30 }));
    }

    proptest! {
        #[test]
        fn every_sample_is_counted_once(samples in samples()) {
            let tally = Tally::of(&samples);
            prop_assert_eq!(tally.all(), samples.len() as u64);
            let served = samples.iter().filter(|s| s.outcome.is_served()).count() as u64;
            prop_assert_eq!(tally.served(), served);
            prop_assert!(tally.failures.is_sorted_by_key(|f| f.outcome));
            for failure in &tally.failures {
                let count = samples.iter().filter(|s| s.outcome == failure.outcome).count() as u64;
                prop_assert_eq!(failure.count, count);
            }
        }
    }
}
