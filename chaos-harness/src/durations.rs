//! Lengths of time as people write them in a test.

use std::time::Duration;

/// `5.secs()`, `250.millis()`, `2.mins()`.
///
/// ```
/// use chaos_harness::Durations;
///
/// assert_eq!(2.mins(), std::time::Duration::from_secs(120));
/// ```
pub trait Durations {
    /// This many milliseconds.
    fn millis(self) -> Duration;
    /// This many seconds.
    fn secs(self) -> Duration;
    /// This many minutes.
    fn mins(self) -> Duration;
}

impl Durations for u32 {
    fn millis(self) -> Duration {
        Duration::from_millis(self.into())
    }

    fn secs(self) -> Duration {
        Duration::from_secs(self.into())
    }

    fn mins(self) -> Duration {
        Duration::from_secs(u64::from(self) * 60)
    }
}
