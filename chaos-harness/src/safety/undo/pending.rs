//! Undo logs read back: what is still to be undone, and by whom it was done.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::{Header, Line, UndoError, UndoStep, now_ms, remove};
use crate::runtime::{RuntimeKind, ask_owner_to_end, is_owner_gone, remove_environment};

/// An environment with an undo log.
#[derive(Clone, Debug)]
pub struct Pending {
    path: PathBuf,
    pub(super) header: Header,
    /// What was noted and not done, oldest first.
    steps: Vec<UndoStep>,
}

/// The undo logs in `folder`, by name. A log whose last line was cut off by a crash is read up to there: what it was
/// about to note had not been done.
///
/// # Errors
/// For each log by itself when it is no undo log; for all when the folder cannot be listed.
pub fn pending(folder: &Path) -> Result<Vec<Result<Pending, UndoError>>, UndoError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| unreadable(folder, &error))?,
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    Ok(paths.iter().filter_map(|path| Pending::read(path).transpose()).collect())
}

/// Whether an undo log in `folder` names `id`.
#[cfg(feature = "docker")]
pub(crate) fn names(folder: &Path, id: &str) -> std::io::Result<bool> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    // A log that goes away meanwhile has nothing left to undo.
    let named = |path: PathBuf| std::fs::read_to_string(path).is_ok_and(|text| text.contains(id));
    Ok(entries.flatten().any(|entry| named(entry.path())))
}

fn unreadable(path: &Path, reason: &dyn std::fmt::Display) -> UndoError {
    UndoError::Read { path: path.to_owned(), reason: reason.to_string() }
}

impl Pending {
    /// Reads one log; `None` when it went away meanwhile, or was cut off before anything could have been done.
    fn read(path: &Path) -> Result<Option<Self>, UndoError> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| unreadable(path, &error))?,
        };
        let Some((header, lines)) = text.split_once('\n') else { return Ok(None) };
        let header = serde_json::from_str(header).map_err(|error| unreadable(path, &error))?;
        let mut steps: Vec<UndoStep> = Vec::new();
        for line in lines.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            match serde_json::from_str(line).map_err(|error| unreadable(path, &error))? {
                Line::Note(step) => steps.push(step),
                Line::Done(step) => steps.retain(|noted| *noted != step),
            }
        }
        Ok(Some(Self { path: path.to_owned(), header, steps }))
    }

    /// The environment.
    pub fn environment(&self) -> &str {
        &self.header.environment
    }

    /// Where it ran.
    pub fn runtime(&self) -> RuntimeKind {
        self.header.runtime
    }

    /// What is to be undone, oldest first.
    pub fn steps(&self) -> &[UndoStep] {
        &self.steps
    }

    /// Whether it belongs to process `owner`.
    pub(crate) fn is_of(&self, owner: &str) -> bool {
        self.header.owner == owner
    }

    /// Whether the process that made it is known to be gone.
    pub fn is_orphaned(&self) -> bool {
        is_owner_gone(&self.header.owner)
    }

    /// Sends `SIGTERM` to the process that made it, if that is still there.
    pub(crate) fn ask_owner_to_end(&self) {
        ask_owner_to_end(&self.header.owner);
    }

    /// Whether its time is up.
    pub fn is_overdue(&self) -> bool {
        self.header.until_ms < now_ms()
    }

    /// Takes the environment away, then every step, the newest first, on what is still there, and removes the log. Goes
    /// on past a step that fails. Where another process is at it already, it is left to that.
    ///
    /// # Errors
    /// What could not be undone; the log is then still there.
    pub async fn revert(&self) -> Result<(), UndoError> {
        let unwritable = |source| UndoError::Write { path: self.path.clone(), source };
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(unwritable)?,
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
            Ok(()) => {}
        }
        // Under the lock: whoever was at it before may have ended it.
        let Some(current) = Self::read(&self.path)? else { return Ok(()) };
        current.undo().await?;
        remove(&self.path)
    }

    /// The same, with the log left in place: its owner lives, and may write to it still.
    pub(crate) async fn undo(&self) -> Result<(), UndoError> {
        let mut failed = Vec::new();
        if let Err(error) = remove_environment(self.header.runtime, &self.header.environment).await {
            failed.push(error.to_string());
        }
        for step in self.steps.iter().rev() {
            if let Err(error) = step.take().await {
                failed.push(format!("{step} ({error})"));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(UndoError::Steps { failed }) }
    }
}
