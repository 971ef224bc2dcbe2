//! The undo log: what has to be undone, on disk before it is done.
//!
//! One file per environment, one line per step, in the `undo` folder. Whoever changes something that outlives the
//! test process notes the [`UndoStep`] first and takes it off after undoing it. The file goes when the environment
//! does. What a dead process leaves is read back ([`pending`]) and undone by the guard, by the next run, or by hand.
//! The guard hears every line as well as it is written, so that it can do without the file.
//!
//! A log is carried out only where nobody but this user can have written it, and a step of it only where what it names is
//! of the log's environment, or on the allow-list.

mod contents;
mod error;
mod pending;
mod scope;
mod step;
mod told;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::{Deserialize, Serialize};

#[doc(hidden)]
pub use contents::fuzz_undo_log;
pub use error::UndoError;
#[cfg(feature = "docker")]
pub(crate) use pending::names;
pub use pending::{Pending, pending};
pub(crate) use scope::Scope;
pub use step::UndoStep;
pub(super) use told::{Memory, Told};

use self::contents::line_of;
use super::AllowList;
use crate::folders::undo_dir;
use crate::runtime::{EnvironmentId, RuntimeError, RuntimeKind, owner_of_this_process};
use crate::trusted::{Folder, Untrusted};

/// What the name of a log ends with, after that of its environment.
const ENDING: &str = ".jsonl";

/// Given to an experiment to end by itself before it is ended from outside.
const GRACE: Duration = Duration::from_secs(60);

/// The first line of a log: whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    environment: String,
    owner: String,
    runtime: RuntimeKind,
    /// Milliseconds on the machine's monotonic clock after which the environment is taken away, whatever its owner does.
    until_ms: u64,
}

/// Every line after the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line<Step = UndoStep> {
    /// Something is about to be done that this undoes.
    Note(Step),
    /// It was undone.
    Done(Step),
}

/// The undo log of one environment.
#[derive(Debug)]
pub struct UndoLog {
    environment: String,
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    noted: Vec<UndoStep>,
}

impl UndoLog {
    /// Begins the log of an environment of this process, and sees that a guard watches it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(id: &EnvironmentId, runtime: RuntimeKind) -> Result<Self, UndoError> {
        super::guard::ensure()?;
        Self::begin_in(&undo_dir(), id, runtime)
    }

    fn begin_in(folder: &Path, id: &EnvironmentId, runtime: RuntimeKind) -> Result<Self, UndoError> {
        let path = path_in(folder, id.name());
        let header = Header {
            environment: id.name().to_owned(),
            owner: owner_of_this_process(),
            runtime,
            until_ms: now_ms() + millis(id.limit() + GRACE),
        };
        let opened = Folder::make(folder).map_err(|error| match error {
            Untrusted::Io { source, .. } => UndoError::Write { path: path.clone(), source },
            error => error.into(),
        })?;
        let file = begin_file(&opened, id.name(), &header);
        let file = file.map_err(|source| UndoError::Write { path: path.clone(), source })?;
        let allowed = AllowList::current().map(|list| list.names().to_vec()).unwrap_or_default();
        super::guard::tell(&Told::Begun { header, allowed });
        Ok(Self { environment: id.name().to_owned(), path, state: Mutex::new(State { file, noted: Vec::new() }) })
    }

    /// The name of the environment.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// Notes that `step` will undo what is about to be done: on return it is on disk, and a guard knows it. Noting it again
    /// changes nothing.
    ///
    /// # Errors
    /// When it cannot be written, or no guard can be started; then nothing may be done.
    pub fn note(&self, step: UndoStep) -> Result<(), UndoError> {
        super::guard::ensure()?;
        let mut state = self.state.lock();
        if state.noted.contains(&step) {
            return Ok(());
        }
        self.write(&mut state.file, Line::Note(step.clone()))?;
        state.noted.push(step);
        Ok(())
    }

    /// Notes that `step` has been taken; one that was not noted is left alone.
    ///
    /// # Errors
    /// When it cannot be written; the step may then be taken again, which is harmless.
    pub fn done(&self, step: &UndoStep) -> Result<(), UndoError> {
        let mut state = self.state.lock();
        let Some(index) = state.noted.iter().position(|noted| noted == step) else { return Ok(()) };
        self.write(&mut state.file, Line::Done(step.clone()))?;
        state.noted.remove(index);
        Ok(())
    }

    /// Takes `step`, and notes that it was taken.
    ///
    /// # Errors
    /// When the change may still be there, or that it is not cannot be written; taking it again is safe.
    pub(crate) async fn take(&self, step: &UndoStep) -> Result<(), RuntimeError> {
        step.take().await?;
        Ok(self.done(step)?)
    }

    /// Takes every step that is noted, the newest first; goes on past one that fails.
    ///
    /// # Errors
    /// The steps that failed; they stay noted.
    pub async fn revert(&self) -> Result<(), UndoError> {
        let mut failed = Vec::new();
        for step in self.noted().iter().rev() {
            if let Err(reason) = self.take(step).await {
                failed.push(format!("{step} ({reason})"));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(UndoError::Steps { failed }) }
    }

    /// What is noted and not done, oldest first.
    pub fn noted(&self) -> Vec<UndoStep> {
        self.state.lock().noted.clone()
    }

    /// Removes the log: the environment is gone, and with it all that could be undone. May be called again.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn close(&self) -> Result<(), UndoError> {
        super::guard::tell(&Told::Closed { environment: self.environment.clone() });
        match std::fs::remove_file(&self.path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(UndoError::Write { path: self.path.clone(), source })
            }
            _ => Ok(()),
        }
    }

    fn write(&self, file: &mut File, line: Line) -> Result<(), UndoError> {
        write_line(file, &line).map_err(|source| UndoError::Write { path: self.path.clone(), source })?;
        super::guard::tell(&Told::Written { environment: self.environment.clone(), line });
        Ok(())
    }
}

/// A new log with its first line. A lock on it tells for as long as this process lives that it does, in case the first line
/// is damaged; where the file system has no locks, nobody takes such a log for one whose owner is gone.
fn begin_file(folder: &Folder, environment: &str, header: &Header) -> std::io::Result<File> {
    let name = file_of(environment);
    let mut file = folder.create(&name)?;
    let _ = file.try_lock();
    if let Err(error) = write_line(&mut file, header) {
        folder.remove(&name)?;
        return Err(error);
    }
    // A new name is durable with its folder.
    folder.sync()?;
    Ok(file)
}

/// Writes a line in one piece, and waits until the disk has it. What a full disk cuts off is taken back, so that the next
/// line begins as one.
fn write_line(file: &mut File, line: &impl Serialize) -> std::io::Result<()> {
    let text = line_of(line)?;
    let before = file.metadata()?.len();
    let written = file.write_all(&text).and_then(|()| file.sync_data());
    if written.is_err() {
        file.set_len(before)?;
    }
    written
}

/// The file of an environment's log.
fn path_in(folder: &Path, environment: &str) -> PathBuf {
    folder.join(file_of(environment))
}

fn file_of(environment: &str) -> String {
    format!("{environment}{ENDING}")
}

/// On the clock that all processes share since the machine was started, and that never jumps. What was written before that is
/// known by its owner.
fn now_ms() -> u64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(tv_sec).unwrap_or_default(), u32::try_from(tv_nsec).unwrap_or_default());
    millis(Duration::new(seconds, nanos))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
