//! Quantiles of latency.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Sample, TooFewSamples};

/// Longer latencies count as this one, in microseconds: a day.
const LONGEST: u64 = 86_400_000_000;

/// The distribution of latency, counted from the intended start.
///
/// Failed requests are part of it, with the time that their user spent on them: one which timed out
/// counts with its latency, a refused one with its short one (the error rate is where it shows), one
/// that was never sent with its whole deadline.
///
/// Held in an HdrHistogram of microseconds with 3 significant digits: a quantile is at most 0.1% above
/// the exact one, and at least 1 µs.
#[derive(Clone, Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
}

impl Latencies {
    /// The distribution of `samples`.
    pub fn of<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Self {
        Self::of_durations(samples.into_iter().map(Sample::latency))
    }

    /// The distribution of any durations.
    ///
    /// # Panics
    /// Never: 3 significant digits are valid, and the histogram grows to what it records.
    #[allow(clippy::unwrap_used)]
    pub fn of_durations(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut histogram = Histogram::new(3).unwrap();
        for duration in durations {
            histogram.record(u64::try_from(duration.as_micros()).unwrap_or(LONGEST).clamp(1, LONGEST)).unwrap();
        }
        Self { histogram }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The latency that the share `quantile` (over 0, up to 1) of requests did not exceed, from at least `need` of them.
    ///
    /// # Errors
    /// [`TooFewSamples`] when there are fewer, or none at all.
    pub fn quantile(&self, quantile: f64, need: u64) -> Result<Duration, TooFewSamples> {
        TooFewSamples::check(self.count(), need)?;
        Ok(Duration::from_micros(self.histogram.value_at_quantile(quantile)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measure::testing::{good, samples};

    #[test]
    fn nothing_is_claimed_from_too_few() {
        let latencies = Latencies::of(&[good(1)]);
        assert_eq!(latencies.quantile(0.99, 30), Err(TooFewSamples { have: 1, need: 30 }));
        assert!(Latencies::of(&[]).quantile(0.5, 0).is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_a_sorted_list(samples in samples(), quantile in 0.001..=1.0f64) {
            prop_assume!(!samples.is_empty());
            let mut exact: Vec<_> = samples.iter().map(Sample::latency).collect();
            exact.sort();
            let rank = ((quantile * exact.len() as f64).ceil() as usize).clamp(1, exact.len());
            let exact = exact[rank - 1].as_micros().max(1) as f64;
            let measured = Latencies::of(&samples).quantile(quantile, 1).unwrap().as_micros() as f64;
            prop_assert!(measured >= exact && measured <= exact * 1.001 + 1.0, "{measured} for {exact}");
        }
    }
}
