//! Watches a run: takes in samples and changes as they come, and looks for abort conditions.

use std::time::Duration;

use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::hypothesis::Aborted;
use crate::load::{LagReport, Running};
use crate::measure::{MIN_SAMPLES, Rates, Sample, SampleColumns, SlidingWindow};
use crate::runtime::Change;
use crate::safety::{Limits, halt};

/// How many samples go to disk at a time: often enough that a killed run is readable up to its last second.
const PIECE: usize = 64;

/// The live view of a run.
#[derive(Debug)]
pub(super) struct Watch {
    load: Option<Running>,
    changes: broadcast::Receiver<Change>,
    samples: Vec<Sample>,
    written: usize,
    window: SlidingWindow,
    began: Duration,
}

/// What a look brought.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Samples to write.
    pub(super) columns: Option<SampleColumns>,
    /// Changes of instances.
    pub(super) changes: Vec<Change>,
    /// An abort condition that is true.
    pub(super) abort: Option<Aborted>,
}

impl Watch {
    pub(super) fn new(
        load: Option<Running>,
        clock: Clock,
        changes: broadcast::Receiver<Change>,
        limits: &Limits,
    ) -> Self {
        let window = SlidingWindow::new(limits.window, MIN_SAMPLES);
        Self { load, changes, samples: Vec::new(), written: 0, window, began: clock.now() }
    }

    /// Takes in what has come since the last look.
    pub(super) fn look(&mut self, clock: Clock, limits: &Limits) -> Look {
        let new = self.load.as_ref().map(|load| load.feed().since(self.samples.len())).unwrap_or_default();
        new.iter().for_each(|sample| self.window.push(sample));
        self.samples.extend(new);
        let mut look = Look { abort: self.abort(clock.now(), limits), ..Look::default() };
        if self.samples.len() >= self.written + PIECE {
            look.columns = Some(SampleColumns::encode(&self.samples[self.written..]));
            self.written = self.samples.len();
        }
        while let Ok(change) = self.changes.try_recv() {
            look.changes.push(change);
        }
        look
    }

    fn abort(&mut self, now: Duration, limits: &Limits) -> Option<Aborted> {
        if halt::is_halted() {
            return Some(Aborted::Halted);
        }
        if now > limits.duration {
            return Some(Aborted::TimeLimit { limit: limits.duration });
        }
        let rates = self.rates(now, limits)?;
        if let Some(limit) = limits.error_rate.filter(|limit| rates.error_rate > *limit) {
            return Some(Aborted::ErrorRate { measured: rates.error_rate, limit });
        }
        let limit = limits.availability.filter(|limit| rates.availability < *limit)?;
        Some(Aborted::Availability { measured: rates.availability, limit })
    }

    /// The shares over the sliding window. Until it is full, what is not there yet counts as good: a short outage early in
    /// an experiment weighs as much as a later one. When hardly any request ended in all of it, yet many are under way,
    /// users are waiting for nothing: those count as failed.
    fn rates(&mut self, now: Duration, limits: &Limits) -> Option<Rates> {
        let stalled =
            |running: &Running| running.in_flight() as u64 >= MIN_SAMPLES && now >= self.began + limits.window;
        match self.window.rates(now) {
            Ok(Rates { availability, error_rate, degraded }) => {
                let full = now.saturating_sub(self.began).div_duration_f64(limits.window).min(1.0);
                let availability = 1.0 - (1.0 - availability) * full;
                Some(Rates { availability, error_rate: error_rate * full, degraded: degraded * full })
            }
            Err(_) if self.load.as_ref().is_some_and(stalled) => {
                Some(Rates { availability: 0.0, error_rate: 1.0, degraded: 0.0 })
            }
            Err(_) => None,
        }
    }

    /// Stops the load and waits for the requests under way until `cut` ends; then every sample is known, in order.
    pub(super) async fn stop_load(&mut self, cut: impl Future<Output = ()>) -> Option<LagReport> {
        let report = self.load.take()?.stop_unless(cut).await;
        self.samples = report.samples;
        Some(report.lag)
    }

    /// The samples so far, in the order in which they became known; after [`stop_load`](Self::stop_load) as they were due.
    pub(super) fn samples(&self) -> &[Sample] {
        &self.samples
    }

    pub(super) fn columns(&self) -> SampleColumns {
        SampleColumns::encode(&self.samples)
    }
}
