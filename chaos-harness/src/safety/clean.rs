//! Takes away what dead test processes left: what their undo logs say, then whatever carries the harness's labels.

use std::path::Path;

use futures::future::join_all;

use super::AllowList;
use super::undo::{Pending, UndoError, pending};
use crate::runtime::{Leftover, sweep_all};

/// What a cleaning found, and what of it is still there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// What dead test processes had left.
    pub found: Vec<Leftover>,
    /// What could not be removed, with the reasons.
    pub failed: Vec<String>,
}

/// Finds what dead test processes left on this machine, and unless `check` is set undoes and removes it. What live
/// ones own is left alone, and what other users own but for what carries the harness's labels at the engine. Undo logs are
/// those in `folder`, [`undo_dir`] as a rule.
///
/// ```no_run
/// # async fn example() {
/// let cleaned = chaos_harness::safety::clean(&chaos_harness::folders::undo_dir(), true).await;
/// assert!(cleaned.found.is_empty(), "left by an earlier run: {:?}", cleaned.found);
/// # }
/// ```
///
/// [`undo_dir`]: crate::folders::undo_dir
pub async fn clean(folder: &Path, check: bool) -> Cleaned {
    let mut cleaned = Cleaned::default();
    match pending(folder) {
        Ok(logs) => {
            let orphaned: Vec<Pending> = logs.into_iter().filter_map(|log| cleaned.orphaned(log)).collect();
            if !check {
                // Side by side: each waits for the engine most of the time.
                let reverted = join_all(orphaned.iter().map(Pending::revert)).await;
                cleaned.failed.extend(reverted.into_iter().filter_map(Result::err).map(|error| error.to_string()));
            }
        }
        Err(error) => cleaned.failed.push(error.to_string()),
    }
    // Without it, steps on containers that are not the harness's own are not taken.
    if let Err(error) = AllowList::current() {
        cleaned.failed.push(error.to_string());
    }
    let (swept, failed) = sweep_all(check).await;
    cleaned.found.extend(swept);
    cleaned.failed.extend(failed.iter().map(ToString::to_string));
    cleaned
}

impl Cleaned {
    /// Notes a log whose owner is gone, and gives it back.
    fn orphaned(&mut self, log: Result<Pending, UndoError>) -> Option<Pending> {
        let log = match log {
            Ok(log) if log.is_orphaned() => log,
            Ok(_) => return None,
            Err(error) => {
                self.failed.push(error.to_string());
                return None;
            }
        };
        self.found.push(Leftover::new("undo log of", log.environment().to_owned()));
        let steps = log.steps().iter().map(|step| Leftover::new("not undone:", step.to_string()));
        self.found.extend(steps);
        self.found.extend(log.unread().into_iter().map(|line| Leftover::new("unreadable:", line)));
        Some(log)
    }
}
