//! What becomes of one request.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// First it stalls, then it is refused or goes on.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) stalls: Vec<Stall>,
    pub(crate) refusal: Option<Refusal>,
}

impl Plan {
    /// The wait before the rest; `None` when there is none.
    pub(crate) fn wait(&mut self) -> Option<impl Future<Output = ()> + Send + use<>> {
        let stalls = std::mem::take(&mut self.stalls);
        if stalls.is_empty() {
            return None;
        }
        Some(async move {
            for stall in stalls {
                stall.wait().await;
            }
        })
    }
}

/// What a caller gets in place of the service's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It failed.
    Failed {
        /// The HTTP status.
        status: u16,
        /// The gRPC code in place of the one that the status stands for.
        grpc: Option<u8>,
    },
    /// It took too long.
    TimedOut,
    /// There were too many.
    TooMany {
        /// When the next window begins.
        retry_after: Duration,
    },
}

/// A wait that ends early with the rule that it comes from.
#[derive(Debug)]
pub(crate) struct Stall {
    pub(crate) by: Duration,
    pub(crate) lease: watch::Receiver<Instant>,
}

impl Stall {
    async fn wait(mut self) {
        let wanted = Instant::now() + self.by;
        loop {
            let ends = wanted.min(*self.lease.borrow_and_update());
            tokio::select! {
                () = sleep_until(ends) => return,
                changed = self.lease.changed() => if changed.is_err() { return },
            }
        }
    }
}
