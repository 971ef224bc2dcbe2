//! Asks the experiments of other processes to end.

use std::path::Path;
use std::time::{Duration, Instant};

use super::undo::{Pending, UndoError, pending};

/// The pause between looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Experiments that were asked to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Halted {
    /// The environments of live test processes.
    pub asked: Vec<String>,
    /// Those that were still there when patience ended.
    pub left: Vec<String>,
}

/// Asks every test process whose undo log is in `folder` to roll back and end, and waits
/// for at most `patience` until the environments are gone. A process is asked with `SIGTERM`, and only when it is the
/// very one that began the undo log.
///
/// # Errors
/// When the undo logs cannot be read.
pub async fn halt_all(folder: &Path, patience: Duration) -> Result<Halted, UndoError> {
    let since = Instant::now();
    let live: Vec<Pending> = pending(folder)?.into_iter().flatten().filter(|log| !log.is_orphaned()).collect();
    for log in &live {
        log.ask_owner_to_end();
    }
    let asked: Vec<String> = live.iter().map(|log| log.environment().to_owned()).collect();
    loop {
        let there: Vec<String> =
            pending(folder)?.into_iter().flatten().map(|log| log.environment().to_owned()).collect();
        let left: Vec<String> = asked.iter().filter(|asked| there.contains(asked)).cloned().collect();
        if left.is_empty() || since.elapsed() > patience {
            return Ok(Halted { asked, left });
        }
        tokio::time::sleep(PAUSE).await;
    }
}
