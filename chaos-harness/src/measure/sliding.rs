//! The last few seconds of a run, for abort conditions.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Outcome, Rates, Sample, TooFewSamples};

/// Availability and error rate over the last `width` of a running experiment.
///
/// Samples are pushed as they become known, and count by the moment at which they did: what is still
/// under way is not judged yet. Each costs amortised constant time.
#[derive(Clone, Debug)]
pub struct SlidingWindow {
    width: Duration,
    need: u64,
    known: VecDeque<(Duration, Outcome)>,
    served: u64,
    degraded: u64,
}

impl SlidingWindow {
    /// An empty window of `width` which claims nothing from fewer than `need` samples.
    pub fn new(width: Duration, need: u64) -> Self {
        Self { width, need, known: VecDeque::new(), served: 0, degraded: 0 }
    }

    /// Takes in one sample.
    pub fn push(&mut self, sample: &Sample) {
        // Samples of several workers may arrive a little out of order.
        let at = self.known.partition_point(|(known_at, _)| *known_at <= sample.known_at());
        self.known.insert(at, (sample.known_at(), sample.outcome));
        self.served += u64::from(sample.outcome.is_served());
        self.degraded += u64::from(sample.outcome.is_degraded());
    }

    /// The shares over the `width` that ends at `now`, which must not go back between calls.
    ///
    /// # Errors
    /// [`TooFewSamples`] when fewer than needed became known in it.
    pub fn rates(&mut self, now: Duration) -> Result<Rates, TooFewSamples> {
        self.forget(now.saturating_sub(self.width));
        let all = self.known.len() as u64;
        TooFewSamples::check(all, self.need)?;
        let share = |part: u64| part as f64 / all as f64;
        Ok(Rates {
            availability: share(self.served),
            error_rate: share(all - self.served),
            degraded: share(self.degraded),
        })
    }

    fn forget(&mut self, before: Duration) {
        while let Some((_, outcome)) = self.known.pop_front_if(|(known_at, _)| *known_at < before) {
            self.served -= u64::from(outcome.is_served());
            self.degraded -= u64::from(outcome.is_degraded());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measure::testing::{bad, good, ms, samples};
    use crate::measure::{Tally, Window};

    #[test]
    fn old_samples_no_longer_count() {
        let mut window = SlidingWindow::new(ms(100), 2);
        for sample in [bad(0), bad(10), good(100), good(110)] {
            window.push(&sample);
        }
        assert_eq!(window.rates(ms(100)).unwrap().availability, 0.5);
        assert_eq!(window.rates(ms(120)).unwrap().availability, 1.0);
        assert_eq!(window.rates(ms(500)), Err(TooFewSamples { have: 0, need: 2 }));
    }

    proptest! {
        #[test]
        fn agrees_with_counting_anew(samples in samples(), now in 0..4_000u64) {
            let (width, now) = (Duration::from_secs(900), Duration::from_secs(now));
            let mut sliding = SlidingWindow::new(width, 1);
            samples.iter().for_each(|sample| sliding.push(sample));
            let window = Window::new(now.saturating_sub(width), Duration::MAX);
            let counted = Tally::of(samples.iter().filter(|s| window.contains(s.known_at()))).rates(1);
            prop_assert_eq!(sliding.rates(now), counted);
        }
    }
}
