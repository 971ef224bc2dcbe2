//! How sure a mean over repetitions is.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Resamples that give the ends of a 95% interval to about 1% of its width.
pub const RESAMPLES: usize = 10_000;

/// A 95% interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// Lower end.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub low: Duration,
    /// Upper end.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub high: Duration,
}

/// The 95% percentile bootstrap interval of the mean of `times`: the 2.5% and 97.5% quantiles of the means of
/// `resamples` draws with replacement (B. Efron and R. J. Tibshirani, *An Introduction to the Bootstrap*,
/// Chapman & Hall 1993, section 13.3). The same seed gives the same interval.
///
/// `None` for fewer than two times or no resamples: one repetition says nothing about their spread. With a
/// handful of repetitions the interval is known to be somewhat too narrow.
pub fn bootstrap(times: &[Duration], resamples: usize, seed: u64) -> Option<Interval> {
    if times.len() < 2 || resamples == 0 {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> = (0..resamples).map(|_| resampled_mean(times, &mut rng)).collect();
    means.sort_by(f64::total_cmp);
    let quantile = |q: f64| Duration::from_secs_f64(means[((resamples - 1) as f64 * q).round() as usize]);
    Some(Interval { low: quantile(0.025), high: quantile(0.975) })
}

fn resampled_mean(times: &[Duration], rng: &mut ChaCha8Rng) -> f64 {
    let sum: f64 = (0..times.len()).map(|_| times[rng.random_range(0..times.len())].as_secs_f64()).sum();
    sum / times.len() as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measure::testing::ms;

    #[test]
    fn nothing_from_one_repetition() {
        assert_eq!(bootstrap(&[ms(5)], RESAMPLES, 1), None);
        assert_eq!(bootstrap(&[], RESAMPLES, 1), None);
    }

    #[test]
    fn near_the_normal_interval_for_many() {
        // 1..=100 ms: mean 50.5, standard error 28.87 / 10, so 50.5 +/- 1.96 * 2.887.
        let times: Vec<_> = (1..=100).map(ms).collect();
        let interval = bootstrap(&times, RESAMPLES, 7).unwrap();
        assert!((interval.low.as_secs_f64() * 1e3 - 44.84).abs() < 0.5, "{interval:?}");
        assert!((interval.high.as_secs_f64() * 1e3 - 56.16).abs() < 0.5, "{interval:?}");
    }

    proptest! {
        #[test]
        fn seeded_ordered_and_within_the_range(times in prop::collection::vec(0..10_000u64, 2..20), seed: u64) {
            let times: Vec<_> = times.into_iter().map(ms).collect();
            let interval = bootstrap(&times, 200, seed).unwrap();
            prop_assert_eq!(bootstrap(&times, 200, seed).unwrap(), interval);
            let nanosecond = Duration::from_nanos(1);
            prop_assert!(interval.low <= interval.high);
            prop_assert!(interval.low + nanosecond >= *times.iter().min().unwrap());
            prop_assert!(interval.high <= *times.iter().max().unwrap() + nanosecond);
        }
    }
}
