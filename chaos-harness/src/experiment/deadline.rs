//! When an experiment ends, whatever it is doing.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::hypothesis::Aborted;
use crate::safety::halt;

/// The end of the time limit, which counts from the beginning of the preflight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// The deadline of an experiment that began with `clock`; `limit` is a valid one.
    pub(super) fn new(clock: Clock, limit: Duration) -> Self {
        Self { at: clock.instant(limit).into(), limit }
    }

    pub(super) fn at(&self) -> std::time::Instant {
        self.at.into_std()
    }

    /// Why the experiment is over: halted, or out of time.
    pub(super) fn reached(&self) -> Option<Aborted> {
        if halt::is_halted() {
            return Some(Aborted::Halted);
        }
        (Instant::now() >= self.at).then_some(Aborted::TimeLimit { limit: self.limit })
    }

    /// Ends when the experiment is over, and says why.
    pub(super) async fn passed(&self) -> Aborted {
        tokio::select! {
            biased;
            () = halt::halted() => Aborted::Halted,
            () = tokio::time::sleep_until(self.at) => Aborted::TimeLimit { limit: self.limit },
        }
    }

    /// Takes a step, and breaks it off when the experiment is over.
    ///
    /// # Errors
    /// Why it is over.
    pub(super) async fn within<T>(&self, step: impl Future<Output = T>) -> Result<T, Aborted> {
        tokio::select! {
            biased;
            done = step => Ok(done),
            condition = self.passed() => Err(condition),
        }
    }

    /// When something that may take `longest` has to end: at the latest a second after the deadline.
    pub(super) fn end_of(&self, longest: Duration) -> Instant {
        let now = Instant::now();
        let latest = self.at.max(now) + GRACE;
        now.checked_add(longest).map_or(latest, |end| end.min(latest))
    }
}

/// What is measured of a fault that is rolled back at the deadline may take this long.
const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_broken_off_at_the_limit() {
        let (second, began) = (Duration::from_secs(1), Instant::now());
        let deadline = Deadline { at: began + 8 * second, limit: 8 * second };
        assert_eq!(deadline.within(tokio::time::sleep(5 * second)).await, Ok(()));
        assert_eq!((deadline.reached(), deadline.end_of(second)), (None, began + 6 * second));
        assert_eq!(deadline.end_of(Duration::MAX), began + 9 * second);
        let over = Aborted::TimeLimit { limit: 8 * second };
        assert_eq!(deadline.within(std::future::pending::<()>()).await, Err(over.clone()));
        assert_eq!((began.elapsed(), deadline.reached()), (8 * second, Some(over)));
        tokio::time::advance(100 * second).await;
        assert_eq!(deadline.end_of(Duration::MAX), Instant::now() + second);
    }
}
