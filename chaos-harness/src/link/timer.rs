//! Alarms finer than the runtime's: tokio's timer ticks once per millisecond, a link promises a fifth of that.
//!
//! One thread per process sleeps until the earliest alarm (a futex wait with a timer slack of 1 ns)
//! and wakes the tasks that are due. It starts with the first alarm and lives as long as the process.
//!
//! A core that has rested takes 50 to 100 us to wake, and two have to: the thread's and the task's. So after a rest
//! the thread wakes the task ahead of time, and the task waits for the moment without sleeping.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// A rest after which cores are slow to wake.
const REST: Duration = Duration::from_millis(2);

/// How far ahead of time a task is woken after a rest; a tenth of a core at most is spent on waiting.
const LEAD: Duration = Duration::from_micros(200);

/// Wakes one task at one moment; both can change.
pub(super) struct Alarm {
    id: u64,
    armed: Option<Instant>,
}

impl Alarm {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), armed: None }
    }

    /// Wakes the task of `cx` at `deadline`, and no longer at any moment set before.
    pub(super) fn set(&mut self, deadline: Option<Instant>, cx: &Context<'_>) {
        if self.armed == deadline {
            return;
        }
        let clock = AlarmClock::get();
        let mut pending = clock.pending.lock();
        if let Some(armed) = self.armed {
            pending.remove(&(armed, self.id));
        }
        if let Some(deadline) = deadline {
            let first = pending.first_key_value().is_none_or(|((earliest, _), _)| deadline < *earliest);
            pending.insert((deadline, self.id), cx.waker().clone());
            if first {
                clock.earlier.notify_one();
            }
        }
        self.armed = deadline;
    }

    /// Forgets an alarm that has gone off, so that it can be set to the same moment again; if it went off ahead of
    /// its moment, waits for that. Returns the time.
    pub(super) fn acknowledge(&mut self) -> Instant {
        let mut now = Instant::now();
        let Some(armed) = self.armed.filter(|armed| *armed <= now + LEAD) else { return now };
        let gone_off = !AlarmClock::get().pending.lock().contains_key(&(armed, self.id));
        while gone_off && now < armed {
            std::hint::spin_loop();
            now = Instant::now();
        }
        if armed <= now {
            self.clear();
        }
        now
    }

    fn clear(&mut self) {
        if let Some(armed) = self.armed.take() {
            AlarmClock::get().pending.lock().remove(&(armed, self.id));
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clear();
    }
}

#[derive(Default)]
struct AlarmClock {
    pending: Mutex<BTreeMap<(Instant, u64), Waker>>,
    /// Signals that the earliest alarm has changed.
    earlier: Condvar,
}

impl AlarmClock {
    fn get() -> &'static Self {
        static CLOCK: OnceLock<AlarmClock> = OnceLock::new();
        static THREAD: OnceLock<()> = OnceLock::new();
        let clock = CLOCK.get_or_init(Self::default);
        THREAD.get_or_init(|| {
            let thread = std::thread::Builder::new().name("link-timer".into()).spawn(|| clock.run());
            // Without the thread no delay would ever end: as fatal as running out of memory.
            assert!(thread.is_ok(), "cannot start the timer thread of the link proxies: {thread:?}");
        });
        clock
    }

    fn run(&self) {
        #[cfg(target_os = "linux")]
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        let mut due = Vec::new();
        let mut pending = self.pending.lock();
        let mut lead = LEAD;
        loop {
            let now = Instant::now();
            while let Some(entry) = pending.first_entry().filter(|entry| entry.key().0 <= now + lead) {
                due.push(entry.remove());
            }
            lead = Duration::ZERO;
            if !due.is_empty() {
                parking_lot::MutexGuard::unlocked(&mut pending, || due.drain(..).for_each(Waker::wake));
                continue;
            }
            match pending.first_key_value().map(|((earliest, _), _)| *earliest) {
                Some(earliest) => {
                    if earliest - now > REST {
                        lead = LEAD;
                    }
                    self.earlier.wait_until(&mut pending, earliest - lead);
                }
                None => self.earlier.wait(&mut pending),
            }
            if now.elapsed() < REST {
                lead = Duration::ZERO;
            }
        }
    }
}
