//! MTTR and MTTD: the mean over injections.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Detection, Recovery};

/// The mean of one time per injection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeanTime {
    /// No injection has such a time: none had an impact, or there was none.
    Nothing {
        /// Injections that were left out.
        excluded: usize,
    },
    /// The mean of `times`.
    Mean {
        /// The mean.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        mean: Duration,
        /// Injections in the mean.
        count: usize,
        /// Injections that were left out: they had no impact, or their signal had been there before.
        excluded: usize,
    },
    /// At least one injection never ended while it was watched, so that the mean is bounded by nothing.
    Unbounded {
        /// How many did not end.
        censored: usize,
        /// How many did.
        count: usize,
    },
}

/// What one injection adds to a mean.
enum Part {
    Time(Duration),
    Excluded,
    Censored,
}

impl MeanTime {
    /// Mean time to recover. Injections without impact are left out and counted.
    pub fn to_recover(recoveries: &[Recovery]) -> Self {
        Self::of(recoveries.iter().map(|recovery| match recovery {
            Recovery::NoImpact | Recovery::TooFewSamples(_) | Recovery::AlreadyDown { .. } => Part::Excluded,
            Recovery::NotRecovered { .. } => Part::Censored,
            Recovery::Recovered { first_bad, steady } => Part::Time(steady.saturating_sub(*first_bad)),
        }))
    }

    /// Mean time to detect. Injections whose signal had been there before, or was not read, are left out and counted.
    pub fn to_detect(detections: &[Detection]) -> Self {
        Self::of(detections.iter().map(|detection| match detection {
            Detection::AlreadyShown | Detection::NotRead | Detection::NotReadBefore => Part::Excluded,
            Detection::NotDetected { .. } => Part::Censored,
            Detection::Detected { injected, detected } => Part::Time(detected.saturating_sub(*injected)),
        }))
    }

    fn of(parts: impl Iterator<Item = Part>) -> Self {
        let (mut sum, mut count, mut excluded, mut censored) = (Duration::ZERO, 0, 0, 0);
        for part in parts {
            match part {
                Part::Time(time) => {
                    sum += time;
                    count += 1;
                }
                Part::Excluded => excluded += 1,
                Part::Censored => censored += 1,
            }
        }
        match (censored, count) {
            (0, 0) => Self::Nothing { excluded },
            (0, _) => Self::Mean { mean: sum.div_f64(count as f64), count, excluded },
            _ => Self::Unbounded { censored, count },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::ms;

    const NEVER: Recovery = Recovery::NotRecovered { first_bad: Duration::ZERO, observed_until: Duration::MAX };

    fn recovered(time: u64) -> Recovery {
        Recovery::Recovered { first_bad: ms(5), steady: ms(5 + time) }
    }

    #[test]
    fn no_impact_is_left_out_and_counted() {
        let recoveries = [recovered(100), Recovery::NoImpact, recovered(300)];
        let expected = MeanTime::Mean { mean: ms(200), count: 2, excluded: 1 };
        assert_eq!(MeanTime::to_recover(&recoveries), expected);
        assert_eq!(MeanTime::to_recover(&[Recovery::NoImpact]), MeanTime::Nothing { excluded: 1 });
        assert_eq!(MeanTime::to_recover(&[]), MeanTime::Nothing { excluded: 0 });
    }

    #[test]
    fn one_that_never_recovered_unbounds_the_mean() {
        let expected = MeanTime::Unbounded { censored: 1, count: 1 };
        assert_eq!(MeanTime::to_recover(&[recovered(100), NEVER]), expected);
    }

    #[test]
    fn detection_likewise() {
        let detected = Detection::Detected { injected: ms(10), detected: ms(40) };
        let missed = Detection::NotDetected { observed_until: ms(99) };
        let expected = MeanTime::Mean { mean: ms(30), count: 1, excluded: 1 };
        assert_eq!(MeanTime::to_detect(&[detected, Detection::AlreadyShown]), expected);
        assert_eq!(MeanTime::to_detect(&[detected, missed]), MeanTime::Unbounded { censored: 1, count: 1 });
    }
}
