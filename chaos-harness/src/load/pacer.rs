//! The thread that keeps the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Schedule, Slot};
use crate::clock::Clock;

/// At thousands of requests per second several leave per nap: a little late, and at a fraction of the
/// wake-ups, which are what a request costs most.
const SHORTEST_NAP: Duration = Duration::from_micros(200);

/// Calls a function at every slot of a schedule, on a thread of its own.
///
/// A thread, since tokio's timers tick in milliseconds, and a busy runtime ticks late.
#[derive(Debug)]
pub(super) struct Pacer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pacer {
    /// Starts now. `send` gets every slot and its moment on the clock; it must not block.
    pub(super) fn start(
        schedule: Schedule,
        clock: Clock,
        send: impl FnMut(Slot, Duration) + Send + 'static,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("chaos-load-pacer".to_owned())
            .spawn(move || pace(schedule, clock, &stopped, send))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops; when it returns, `send` is called no more. Takes microseconds.
    pub(super) fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if let Err(panic) = thread.join() {
                tracing::error!(?panic, "the load generator's pacer panicked");
            }
        }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn pace(schedule: Schedule, clock: Clock, stop: &AtomicBool, mut send: impl FnMut(Slot, Duration)) {
    let start = clock.now();
    for slot in schedule {
        let intended = start + slot.at;
        loop {
            if stop.load(Ordering::Acquire) {
                return;
            }
            match intended.checked_sub(clock.now()) {
                Some(early) if !early.is_zero() => thread::park_timeout(early.max(SHORTEST_NAP)),
                _ => break,
            }
        }
        send(slot, intended);
    }
}
