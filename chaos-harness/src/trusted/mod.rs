//! Files that others may have planted or changed, opened so that they can be believed.
//!
//! What is believed is a regular file of this user with one name, in a folder of this user, neither of which anybody else
//! may write. Each check is made on the open descriptor, and files are opened from the descriptor of their folder: what is
//! checked is what is read, whatever becomes of the path meanwhile. Links are not followed, and nothing is opened that
//! could block.

mod folder;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};
use rustix::process::geteuid;
use thiserror::Error;

pub(crate) use folder::Folder;

/// Nobody but the owner may write what is believed.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// In such a folder, others may not rename or remove what is not theirs.
const STICKY: u32 = 0o1000;

/// Why a file or a folder is not believed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Untrusted {
    /// Another user's.
    #[error("{path} belongs to user {owner}, and this process runs as user {user}", path = .path.display())]
    Foreign {
        /// Which file or folder.
        path: PathBuf,
        /// The id of the user that it belongs to.
        owner: u32,
        /// The id of the user that this process runs as.
        user: u32,
    },
    /// Others may write it.
    #[error("{path} of user {owner} may be written by others (mode {mode:o}; `chmod go-w`)", path = .path.display())]
    Writable {
        /// Which file or folder.
        path: PathBuf,
        /// The id of the user that it belongs to.
        owner: u32,
        /// Its permissions.
        mode: u32,
    },
    /// A link, a pipe, a device, or what else it should not be.
    #[error("{path} of user {owner} is {kind}, and no {wanted}", path = .path.display())]
    Kind {
        /// Which file or folder.
        path: PathBuf,
        /// The id of the user that it belongs to.
        owner: u32,
        /// What it is.
        kind: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A file that has other names as well.
    #[error("{path} has {names} names (hard links), and may be written by any of them", path = .path.display())]
    Names {
        /// Which file.
        path: PathBuf,
        /// How many names it has.
        names: u64,
    },
    /// A file that is too large to be what it should be.
    #[error("{path} is larger than {most} bytes", path = .path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// How many bytes it may have.
        most: u64,
    },
    /// The system refuses.
    #[error("{path} cannot be opened: {source}", path = .path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Whose files are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owners {
    /// Those of the user that this process runs as.
    Me,
    /// Those of root as well, who may do anything anyway.
    MeOrRoot,
}

impl Owners {
    fn include(self, owner: u32) -> bool {
        owner == me() || (self == Self::MeOrRoot && owner == 0)
    }
}

/// The user that this process runs as.
pub(crate) fn me() -> u32 {
    geteuid().as_raw()
}

fn check(path: &Path, stat: &Stat, wanted: FileType, owners: Owners) -> Result<(), Untrusted> {
    let (path, owner, mode) = (|| path.to_owned(), stat.st_uid, stat.st_mode & 0o7777);
    let is = FileType::from_raw_mode(stat.st_mode);
    if is != wanted {
        return Err(Untrusted::Kind { path: path(), owner, kind: name_of(is), wanted: noun_of(wanted) });
    }
    if !owners.include(owner) {
        return Err(Untrusted::Foreign { path: path(), owner, user: me() });
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(Untrusted::Writable { path: path(), owner, mode });
    }
    if wanted == FileType::RegularFile && stat.st_nlink != 1 {
        #[allow(clippy::useless_conversion, reason = "its size differs between platforms")]
        return Err(Untrusted::Names { path: path(), names: stat.st_nlink.into() });
    }
    Ok(())
}

/// What people call a kind of file.
pub(crate) fn name_of(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a folder",
        FileType::Symlink => "a link",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "of a kind that nobody knows",
    }
}

fn noun_of(wanted: FileType) -> &'static str {
    if wanted == FileType::Directory { "folder" } else { "regular file" }
}

fn refused(path: &Path) -> impl FnOnce(rustix::io::Errno) -> Untrusted {
    let path = path.to_owned();
    move |error| Untrusted::Io { path, source: error.into() }
}
