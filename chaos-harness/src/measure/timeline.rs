//! A window cut into buckets, for drawing.

use std::time::Duration;

use super::{Latencies, Sample, Window};

/// Most buckets of a timeline; there are at least 95 unless the buckets are at their narrowest.
const MOST_BUCKETS: u128 = 240;

/// Widths of buckets in milliseconds: numbers that people read easily on an axis.
const WIDTHS: [u64; 13] =
    [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000];

/// What happened when, in buckets of one width, by the intended start of the requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// Width of every bucket; the last one may reach beyond the window.
    pub width: Duration,
    /// The buckets, from the start of the window to its end, empty ones included.
    pub buckets: Vec<Bucket>,
}

/// One bucket of a [`Timeline`].
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// Start of the bucket.
    pub from: Duration,
    /// Good answers.
    pub good: u64,
    /// Degraded answers.
    pub degraded: u64,
    /// Failed requests.
    pub failed: u64,
    /// Median latency; `None` in an empty bucket.
    pub p50: Option<Duration>,
    /// Latency that 99% did not exceed; `None` in an empty bucket.
    pub p99: Option<Duration>,
}

impl Timeline {
    /// The timeline of `samples` over `window`; its buckets are 100 ms wide or more, and at most 240
    /// unless the window is longer than 40 hours.
    pub fn of<'a>(samples: impl IntoIterator<Item = &'a Sample>, window: Window) -> Self {
        let width = width(window.length());
        let count = window.length().as_nanos().div_ceil(width.as_nanos()) as usize;
        let mut contents: Vec<Vec<&Sample>> = vec![Vec::new(); count];
        for sample in window.of(samples) {
            let at = (sample.intended - window.from).as_nanos() / width.as_nanos();
            contents[at as usize].push(sample);
        }
        let from = |at: usize| window.from + Duration::from_nanos((at as u128 * width.as_nanos()) as u64);
        let buckets = contents.iter().enumerate().map(|(at, samples)| Bucket::of(from(at), samples)).collect();
        Self { width, buckets }
    }
}

impl Bucket {
    fn of(from: Duration, samples: &[&Sample]) -> Self {
        let served = samples.iter().filter(|sample| sample.outcome.is_served()).count() as u64;
        let degraded = samples.iter().filter(|sample| sample.outcome.is_degraded()).count() as u64;
        let latencies = Latencies::of(samples.iter().copied());
        Self {
            from,
            good: served - degraded,
            degraded,
            failed: samples.len() as u64 - served,
            p50: latencies.quantile(0.5, 1).ok(),
            p99: latencies.quantile(0.99, 1).ok(),
        }
    }

    /// Requests in the bucket.
    pub fn all(&self) -> u64 {
        self.good + self.degraded + self.failed
    }

    /// Share of served requests, 0 to 1; `None` in an empty bucket.
    pub fn availability(&self) -> Option<f64> {
        (self.all() > 0).then(|| (self.good + self.degraded) as f64 / self.all() as f64)
    }
}

fn width(length: Duration) -> Duration {
    let fits = |&&millis: &&u64| length.as_millis().div_ceil(u128::from(millis)) <= MOST_BUCKETS;
    Duration::from_millis(*WIDTHS.iter().find(fits).unwrap_or(&WIDTHS[WIDTHS.len() - 1]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measure::testing::{bad, good, ms, samples};

    #[test]
    fn empty_stretches_stay_visible() {
        let samples = [good(1_000), bad(1_050), good(1_350)];
        let timeline = Timeline::of(&samples, Window::new(ms(1_000), ms(1_400)));
        assert_eq!(timeline.width, ms(100));
        let counts: Vec<_> = timeline.buckets.iter().map(|b| (b.from, b.good, b.failed)).collect();
        assert_eq!(counts, [(ms(1_000), 1, 1), (ms(1_100), 0, 0), (ms(1_200), 0, 0), (ms(1_300), 1, 0)]);
        assert_eq!(timeline.buckets[1].availability(), None);
        assert_eq!(timeline.buckets[1].p99, None);
        assert_eq!(timeline.buckets[0].availability(), Some(0.5));
    }

    #[test]
    fn no_window_no_buckets() {
        assert!(Timeline::of(&[good(1)], Window::new(ms(5), ms(5))).buckets.is_empty());
    }

    proptest! {
        #[test]
        fn buckets_hold_all_samples_and_are_neither_few_nor_many(samples in samples(), seconds in 10..86_400u64) {
            let window = Window::new(Duration::ZERO, Duration::from_secs(seconds));
            let timeline = Timeline::of(&samples, window);
            let held: u64 = timeline.buckets.iter().map(Bucket::all).sum();
            prop_assert_eq!(held, window.of(&samples).count() as u64);
            prop_assert!((95..=240).contains(&timeline.buckets.len()), "{}", timeline.buckets.len());
        }
    }
}
