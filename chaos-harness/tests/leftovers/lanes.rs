//! Some at a time, since they mostly wait.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many victims live at a time.
pub(crate) const AT_A_TIME: usize = 4;

/// Calls `work` with each of `items`, [`AT_A_TIME`]; what came of it, in no order.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Not within the lock, which would have them wait for each other.
                    let one = work(item);
                    done.lock().unwrap().push(one);
                }
            });
        }
    });
    done.into_inner().unwrap()
}
