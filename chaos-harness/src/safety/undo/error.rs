//! What can go wrong with the undo log.

use std::path::PathBuf;

use thiserror::Error;

use crate::runtime::RuntimeError;
use crate::trusted::Untrusted;

/// The undo log could not be kept, or a step of it could not be taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UndoError {
    /// The log cannot be written, so nothing may be changed.
    #[error("the undo log {path} cannot be written: {source}; free the disk, or set CHAOS_DIR to another folder", path = .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The log cannot be read.
    #[error("the undo log {path} cannot be read: {reason}; look at it, undo by hand what it says, and delete it", path = .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Lines of the log cannot be read; everything else in it is undone.
    #[error(
        "{count} of the undo log {path} cannot be read: `{lines}`; undo by hand what they say, and delete the file",
        count = if .lines.len() == 1 { "a line".to_owned() } else { format!("{} lines", .lines.len()) },
        path = .path.display(), lines = .lines.join("`, `")
    )]
    Unread {
        /// Which file.
        path: PathBuf,
        /// The lines.
        lines: Vec<String>,
    },
    /// A log that somebody else than this user may have written. Nothing that it says is done.
    #[error("the undo log is left alone: {0}; look at it and remove it, or set CHAOS_DIR to a folder of your own")]
    Untrusted(#[from] Untrusted),
    /// Steps that name what is not of the log's environment; everything else in it is undone.
    #[error(
        "the undo log {path} names what it may not touch: {what}; allow it or undo it by hand, and delete the file",
        path = .path.display(), what = refused_and_unread(.refused, .unread)
    )]
    Refused {
        /// Which file.
        path: PathBuf,
        /// The steps, with the reasons.
        refused: Vec<String>,
        /// The lines that cannot be read, where there are any.
        unread: Vec<String>,
    },
    /// The guard could not be started, so nothing may be changed.
    #[error("the guard that cleans up after a crash could not be started: {source}")]
    Guard {
        /// The system's reason.
        source: std::io::Error,
    },
    /// Some steps failed; the others were taken.
    #[error("not undone: {}", .failed.join("; "))]
    Steps {
        /// Each, with the reason.
        failed: Vec<String>,
    },
    /// The runtime refused.
    #[error(transparent)]
    Runtime(#[from] Box<RuntimeError>),
}

fn refused_and_unread(refused: &[String], unread: &[String]) -> String {
    let unread = unread.iter().map(|line| format!("`{line}` (cannot be read)"));
    refused.iter().cloned().chain(unread).collect::<Vec<_>>().join("; ")
}
