//! Undo logs read back: what is still to be undone, and by whom it was done.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::Error;
use std::path::{Path, PathBuf};

use super::contents::{Contents, MOST_BYTES, shown};
use super::{ENDING, Header, Line, Scope, UndoError, UndoStep, file_of, now_ms};
use crate::runtime::{
    RuntimeError, RuntimeKind, ask_owner_to_end, is_maker_there, is_owner_gone, remove_environment, remove_everywhere,
};
use crate::safety::AllowList;
use crate::trusted::{Folder, Untrusted};

/// An environment with an undo log.
#[derive(Clone, Debug)]
pub struct Pending {
    path: PathBuf,
    pub(super) environment: String,
    pub(super) contents: Contents,
    /// The containers that may be touched besides; `None` for those that this process may.
    pub(super) allowed: Option<AllowList>,
}

/// What is left of a log after its steps were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::safety) struct Kept {
    /// The steps that were not taken, since they name what is not of the environment.
    steps: Vec<UndoStep>,
    /// The same, with the reasons.
    refused: Vec<String>,
}

/// The undo logs in `folder`, by name. A log whose last line was cut off by a crash is read up to there: what it was
/// about to note had not been done. A line that cannot be read is [kept](Pending::unread), and those around it count.
///
/// # Errors
/// For each log by itself when it is no undo log, or may have been written by somebody else than this user; for all
/// when that holds for the folder.
pub fn pending(folder: &Path) -> Result<Vec<Result<Pending, UndoError>>, UndoError> {
    let Some(opened) = Folder::open(folder)? else { return Ok(Vec::new()) };
    let names = opened.names()?;
    let environments = names.iter().filter_map(|name| name.to_str()?.strip_suffix(ENDING));
    let environments = environments.filter(|environment| !environment.is_empty());
    Ok(environments.filter_map(|environment| Pending::read(&opened, environment).transpose()).collect())
}

/// Whether an undo log in `folder` names `id`. What is no log of this user's is passed over.
#[cfg(feature = "docker")]
pub(crate) fn names(folder: &Path, id: &str) -> Result<bool, UndoError> {
    let Some(folder) = Folder::open(folder)? else { return Ok(false) };
    let names = |name: &std::ffi::OsString| {
        let text = folder.read(name, MOST_BYTES).ok().flatten().unwrap_or_default();
        String::from_utf8_lossy(&text).contains(id)
    };
    Ok(folder.names()?.iter().any(names))
}

fn contents_of(folder: &Folder, environment: &str) -> Result<Option<Contents>, Untrusted> {
    let bytes = folder.read(OsStr::new(&file_of(environment)), MOST_BYTES)?;
    Ok(bytes.map(|bytes| Contents::parse(environment, &bytes)))
}

impl Pending {
    /// One that a test process tells of, with nothing to undo yet.
    pub(super) fn told(path: PathBuf, header: Header, allowed: AllowList) -> Self {
        let environment = header.environment.clone();
        let contents = Contents { header: Some(header), ..Contents::default() };
        Self { path, environment, contents, allowed: Some(allowed) }
    }

    /// Reads one log; `None` when it went away meanwhile. One that was cut off in its first line says nothing, and goes with
    /// its owner.
    fn read(folder: &Folder, environment: &str) -> Result<Option<Self>, UndoError> {
        let Some(contents) = contents_of(folder, environment)? else { return Ok(None) };
        let path = folder.path().join(file_of(environment));
        if contents.is_nonsense() {
            let first = contents.unread.first().map(|line| shown(line)).unwrap_or_default();
            return Err(UndoError::Read { path, reason: format!("it begins with `{first}`") });
        }
        Ok(Some(Self { path, environment: environment.to_owned(), contents, allowed: None }))
    }

    /// The same with what its file says besides, as far as that can be read.
    pub(in crate::safety) fn with_file(mut self) -> Self {
        let file = self.folder().ok().flatten().and_then(|folder| contents_of(&folder, &self.environment).ok()?);
        if let Some(Contents { header, mut steps, unread }) = file {
            if let (Some(own), Some(other)) = (&mut self.contents.header, header) {
                own.until_ms = own.until_ms.min(other.until_ms);
            }
            // What only the file knows is older than what the guard was told.
            steps.retain(|step| !self.contents.steps.contains(step));
            self.contents.steps.splice(..0, steps);
            self.contents.unread = unread;
        }
        self
    }

    /// The environment.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// Where it ran; where the log does not say, what its steps are for.
    pub fn runtime(&self) -> RuntimeKind {
        let is_for_process = |step: &UndoStep| matches!(step, UndoStep::Process(_));
        match &self.contents.header {
            Some(header) => header.runtime,
            None if self.contents.steps.iter().all(is_for_process) => RuntimeKind::Process,
            None => RuntimeKind::Docker,
        }
    }

    /// What is to be undone, oldest first.
    pub fn steps(&self) -> &[UndoStep] {
        &self.contents.steps
    }

    /// The lines that cannot be read, or not by this version, each shortened. They are kept when everything else is undone.
    pub fn unread(&self) -> Vec<String> {
        self.contents.unread.iter().map(|line| shown(line)).collect()
    }

    /// Whether it belongs to process `owner`.
    pub(crate) fn is_of(&self, owner: &str) -> bool {
        self.contents.header.as_ref().is_some_and(|header| header.owner == owner)
    }

    /// Whether the process that made it is known to be gone. Where the log does not say which it was, the environment's name
    /// does, and a living one holds a lock on the file.
    pub fn is_orphaned(&self) -> bool {
        match &self.contents.header {
            Some(header) => is_owner_gone(&header.owner),
            None => !is_maker_there(&self.environment) && matches!(self.lock(), Ok(Some(_))),
        }
    }

    /// Sends `SIGTERM` to the process that made it, if that is still there.
    pub(crate) fn ask_owner_to_end(&self) {
        if let Some(header) = &self.contents.header {
            ask_owner_to_end(&header.owner);
        }
    }

    /// Whether its time is up.
    pub fn is_overdue(&self) -> bool {
        self.contents.header.as_ref().is_some_and(|header| header.until_ms < now_ms())
    }

    /// Takes the environment away, then every step, the newest first, on what is still there, and removes the log. Goes
    /// on past a step that fails. Where another process is at it already, it is left to that.
    ///
    /// # Errors
    /// What could not be undone; the log is then still there. Lines that cannot be read, and steps that name what is not of
    /// the environment; they are what is left of it.
    pub async fn revert(&self) -> Result<(), UndoError> {
        let Some(_lock) = self.lock()? else { return Ok(()) };
        // Under the lock: whoever was at it before may have ended it.
        let Some(folder) = self.folder()? else { return Ok(()) };
        let Some(current) = Self::read(&folder, &self.environment)? else { return Ok(()) };
        let (failed, kept) = current.undo_all().await;
        if !failed.is_empty() {
            return Err(UndoError::Steps { failed: [failed, kept.refused].concat() });
        }
        current.settle(&kept)
    }

    /// Takes every step, the newest first; what is to be kept of the log, or `None` when another process is at it already.
    ///
    /// # Errors
    /// The steps that failed; the log is then still there.
    pub(in crate::safety) async fn take_steps(&self) -> Result<Option<Kept>, UndoError> {
        // One that cannot be locked is no file of ours any more, and keeps nobody from undoing what it said.
        let locked = self.lock();
        if matches!(locked, Ok(None)) && self.path.is_file() {
            return Ok(None);
        }
        let (failed, kept) = self.failed_steps().await;
        if failed.is_empty() { Ok(Some(kept)) } else { Err(UndoError::Steps { failed }) }
    }

    /// Its folder; `None` when that is not there.
    fn folder(&self) -> Result<Option<Folder>, UndoError> {
        Ok(Folder::open(self.path.parent().unwrap_or(Path::new(".")))?)
    }

    fn name(&self) -> String {
        file_of(&self.environment)
    }

    /// Keeps the process out that would undo the same; `None` when another one is at it, or nothing is there.
    fn lock(&self) -> Result<Option<File>, UndoError> {
        let Some(folder) = self.folder()? else { return Ok(None) };
        let Some(file) = folder.file(OsStr::new(&self.name()))? else { return Ok(None) };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(self.unwritable(error)),
            Ok(()) => Ok(Some(file)),
        }
    }

    fn unwritable(&self, source: Error) -> UndoError {
        UndoError::Write { path: self.path.clone(), source }
    }

    /// All is undone that can be: removes the log, or leaves what could not be read and what was refused.
    ///
    /// # Errors
    /// What is left, or when the file cannot be written.
    pub(in crate::safety) fn settle(&self, kept: &Kept) -> Result<(), UndoError> {
        let Some(folder) = self.folder()? else { return Ok(()) };
        let Contents { header, unread, .. } = self.contents.clone();
        if unread.is_empty() && kept.steps.is_empty() {
            // What it has become since is not the log that was read, and is named by the next run.
            match folder.file(OsStr::new(&self.name())) {
                Ok(_) | Err(Untrusted::Io { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            return folder.remove(&self.name()).map_err(|error| self.unwritable(error));
        }
        let left = Contents { header, steps: kept.steps.clone(), unread };
        let written = left.to_bytes().map_err(Error::from).and_then(|text| folder.replace(&self.name(), &text));
        written.map_err(|error| self.unwritable(error))?;
        if kept.refused.is_empty() {
            return Err(UndoError::Unread { path: self.path.clone(), lines: self.unread() });
        }
        Err(UndoError::Refused { path: self.path.clone(), refused: kept.refused.clone(), unread: self.unread() })
    }

    /// The same as [`revert`](Self::revert), with the log left in place: its owner lives, and may write to it still.
    pub(crate) async fn undo(&self) -> Result<(), UndoError> {
        let (failed, kept) = self.undo_all().await;
        let failed = [failed, kept.refused].concat();
        if failed.is_empty() { Ok(()) } else { Err(UndoError::Steps { failed }) }
    }

    /// Takes the environment away, then every step; what failed, and what was refused.
    async fn undo_all(&self) -> (Vec<String>, Kept) {
        let removed = match &self.contents.header {
            Some(header) => remove_environment(header.runtime, &self.environment).await,
            None => remove_everywhere(&self.environment).await,
        };
        let mut failed = match removed {
            // Its labels tell of it for as long as it is there, and the log has no more to say.
            Ok(()) | Err(RuntimeError::NetworkHeld { .. }) => Vec::new(),
            Err(error) => vec![error.to_string()],
        };
        let (more, kept) = self.failed_steps().await;
        failed.extend(more);
        (failed, kept)
    }

    /// Takes every step, the newest first; those that failed, and those that were refused, with the reasons.
    async fn failed_steps(&self) -> (Vec<String>, Kept) {
        let mut scope = Scope::of(&self.environment);
        if let Some(allowed) = &self.allowed {
            scope.allowed = allowed.clone();
        }
        let (mut failed, mut kept) = (Vec::new(), Kept::default());
        for step in self.contents.steps.iter().rev() {
            match step.take_within(&scope).await {
                Ok(()) => {}
                Err(error) if error.is_refusal() => {
                    kept.steps.insert(0, step.clone());
                    kept.refused.push(format!("{step} ({error})"));
                }
                Err(error) => failed.push(format!("{step} ({error})")),
            }
        }
        (failed, kept)
    }
}

impl Line {
    /// Brings what is still to be undone up to date.
    pub(super) fn apply(self, steps: &mut Vec<UndoStep>) {
        match self {
            Self::Note(step) => steps.push(step),
            Self::Done(step) => steps.retain(|noted| *noted != step),
        }
    }
}
