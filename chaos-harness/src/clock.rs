//! The one clock of an experiment: every event and sample counts from its origin.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Monotonic time since an experiment began, with the wall time at which it began.
///
/// Copies share the origin, so that moments taken anywhere can be compared.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    started_at: Timestamp,
}

impl Clock {
    /// Starts a clock at zero.
    pub fn start() -> Self {
        Self { origin: Instant::now(), started_at: Timestamp::now() }
    }

    /// Time since the origin.
    pub fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Time from the origin to `instant`; zero when `instant` lies before it.
    pub fn at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.origin)
    }

    /// The instant that lies `moment` after the origin.
    pub fn instant(&self, moment: Duration) -> Instant {
        self.origin + moment
    }

    /// Wall time of the origin.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }
}
