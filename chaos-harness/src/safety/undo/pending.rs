//! Undo logs read back: what is still to be undone, and by whom it was done.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Header, Line, UndoError, UndoStep, now_ms, remove};
use crate::runtime::{RuntimeError, RuntimeKind, ask_owner_to_end, is_owner_gone, remove_environment};

/// An environment with an undo log.
#[derive(Clone, Debug)]
pub struct Pending {
    path: PathBuf,
    pub(super) header: Header,
    /// What was noted and not done, oldest first.
    pub(super) steps: Vec<UndoStep>,
    /// The lines that cannot be read.
    unread: Vec<Vec<u8>>,
}

/// The undo logs in `folder`, by name. A log whose last line was cut off by a crash is read up to there: what it was
/// about to note had not been done. A line in the middle that cannot be read is [kept](Pending::unread), and those around
/// it count.
///
/// # Errors
/// For each log by itself when it is no undo log; for all when the folder cannot be listed.
pub fn pending(folder: &Path) -> Result<Vec<Result<Pending, UndoError>>, UndoError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
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
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    // A log that goes away meanwhile has nothing left to undo.
    let named = |path: PathBuf| std::fs::read(path).is_ok_and(|text| String::from_utf8_lossy(&text).contains(id));
    Ok(entries.flatten().any(|entry| named(entry.path())))
}

fn unreadable(path: &Path, reason: &dyn std::fmt::Display) -> UndoError {
    UndoError::Read { path: path.to_owned(), reason: reason.to_string() }
}

/// What is in a file.
struct Contents {
    /// Why there is none, where the first line is not one.
    header: Result<Header, serde_json::Error>,
    steps: Vec<UndoStep>,
    unread: Vec<Vec<u8>>,
}

impl Contents {
    /// `None` when the file is not there, or was cut off before anything could have been done.
    fn read(path: &Path) -> std::io::Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let Some(first) = lines.next() else { return Ok(None) };
        let header = serde_json::from_slice(first);
        let mut contents = Self { unread: Vec::new(), header, steps: Vec::new() };
        if contents.header.is_err() {
            contents.unread.push(first.to_owned());
        }
        for line in lines {
            match serde_json::from_slice::<Line>(line) {
                Ok(read) => read.apply(&mut contents.steps),
                Err(_) => contents.unread.push(line.to_owned()),
            }
        }
        Ok(Some(contents))
    }
}

impl Pending {
    /// One with nothing to undo yet.
    pub(super) fn new(path: PathBuf, header: Header) -> Self {
        Self { path, header, steps: Vec::new(), unread: Vec::new() }
    }

    /// Reads one log; `None` when it went away meanwhile, or was cut off before anything could have been done.
    fn read(path: &Path) -> Result<Option<Self>, UndoError> {
        let contents = Contents::read(path).map_err(|error| unreadable(path, &error))?;
        let Some(Contents { header, steps, unread }) = contents else { return Ok(None) };
        let header = header.map_err(|error| unreadable(path, &error))?;
        Ok(Some(Self { path: path.to_owned(), header, steps, unread }))
    }

    /// The same with what its file says besides, as far as that can be read.
    pub(in crate::safety) fn with_file(mut self) -> Self {
        if let Ok(Some(Contents { header, mut steps, unread })) = Contents::read(&self.path) {
            let until_ms = header.map_or(u64::MAX, |header| header.until_ms);
            self.header.until_ms = self.header.until_ms.min(until_ms);
            // What only the file knows is older than what the guard was told.
            steps.retain(|step| !self.steps.contains(step));
            self.steps.splice(..0, steps);
            self.unread = unread;
        }
        self
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

    /// The lines that cannot be read. They are kept when everything else is undone.
    pub fn unread(&self) -> Vec<String> {
        self.unread.iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned()).collect()
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
    /// What could not be undone; the log is then still there. Lines that cannot be read; they are what is left of it.
    pub async fn revert(&self) -> Result<(), UndoError> {
        let Some(_lock) = self.lock()? else { return Ok(()) };
        // Under the lock: whoever was at it before may have ended it.
        let Some(current) = Self::read(&self.path)? else { return Ok(()) };
        current.undo().await?;
        current.settle()
    }

    /// Takes every step, the newest first, and removes the log; `false` when another process is at it already.
    ///
    /// # Errors
    /// The steps that failed; the log is then still there.
    pub(in crate::safety) async fn take_steps(&self) -> Result<bool, UndoError> {
        // One that cannot be locked is no file of ours any more, and keeps nobody from undoing what it said.
        let locked = self.lock();
        if matches!(locked, Ok(None)) && self.path.is_file() {
            return Ok(false);
        }
        let failed = self.failed_steps().await;
        if failed.is_empty() { Ok(true) } else { Err(UndoError::Steps { failed }) }
    }

    /// Keeps the process out that would undo the same; `None` when another one is at it, or nothing is there.
    fn lock(&self) -> Result<Option<File>, UndoError> {
        let unwritable = |source| UndoError::Write { path: self.path.clone(), source };
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(unwritable)?,
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(unwritable(error)),
            Ok(()) => Ok(Some(file)),
        }
    }

    /// All is undone: removes the log, or leaves the lines of it that cannot be read.
    ///
    /// # Errors
    /// Those lines, or when the file cannot be written.
    pub(in crate::safety) fn settle(&self) -> Result<(), UndoError> {
        if self.unread.is_empty() {
            return remove(&self.path);
        }
        let unwritable = |source| UndoError::Write { path: self.path.clone(), source };
        let header = serde_json::to_vec(&self.header).map_err(|error| unwritable(error.into()))?;
        let text = [header, b"\n".to_vec(), self.unread.concat()].concat();
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            std::io::Write::write_all(&mut file, &text)?;
            file.persist(&self.path).map_err(std::io::Error::from)
        };
        write().map_err(unwritable)?;
        Err(UndoError::Unread { path: self.path.clone(), lines: self.unread() })
    }

    /// The same, with the log left in place: its owner lives, and may write to it still.
    pub(crate) async fn undo(&self) -> Result<(), UndoError> {
        let mut failed = Vec::new();
        match remove_environment(self.header.runtime, &self.header.environment).await {
            // Its labels tell of it for as long as it is there, and the log has no more to say.
            Ok(()) | Err(RuntimeError::NetworkHeld { .. }) => {}
            Err(error) => failed.push(error.to_string()),
        }
        failed.extend(self.failed_steps().await);
        if failed.is_empty() { Ok(()) } else { Err(UndoError::Steps { failed }) }
    }

    /// Takes every step, the newest first; those that failed, with the reasons.
    async fn failed_steps(&self) -> Vec<String> {
        let mut failed = Vec::new();
        for step in self.steps.iter().rev() {
            if let Err(error) = step.take().await {
                failed.push(format!("{step} ({error})"));
            }
        }
        failed
    }
}
