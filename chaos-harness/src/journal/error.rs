//! What can be wrong with a journal file.

use std::path::PathBuf;

use thiserror::Error;

/// A journal that cannot be written or read, by its file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The system refused.
    #[error("{action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is no journal, or was cut off.
    #[error("{} is no readable journal: {reason}; delete it, or run its test again", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It was written by another version.
    #[error("{} has journal version {found}, this build reads {known}; use the build that wrote it", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// In the file.
        found: u64,
        /// Of this build.
        known: u32,
    },
}
