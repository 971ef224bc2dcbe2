//! A folder that is believed, and the files in it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, fsync, mkdir, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use super::{Owners, STICKY, Untrusted, WRITABLE_BY_OTHERS, check, refused};

/// Only for this user.
const FOLDER_MODE: Mode = Mode::RWXU;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const OPEN_FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);
const OPEN_FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A folder that nobody but its owner may write, held open.
#[derive(Debug)]
pub(crate) struct Folder {
    descriptor: OwnedFd,
    path: PathBuf,
    owners: Owners,
}

impl Folder {
    /// A folder of this user; `None` when it is not there.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, Untrusted> {
        Self::checked(CWD, path.as_os_str(), path.to_owned(), OFlags::NOFOLLOW, Owners::Me)
    }

    /// The same, made where it is not there. The folders above it are made as well.
    pub(crate) fn make(path: &Path) -> Result<Self, Untrusted> {
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above).map_err(|source| Untrusted::Io { path: above.to_owned(), source })?;
        }
        made(mkdir(path, FOLDER_MODE)).map_err(refused(path))?;
        Self::open(path)?.ok_or_else(|| gone(path))
    }

    /// A folder in this one, made where it is not there.
    pub(crate) fn make_in(&self, name: &str) -> Result<Self, Untrusted> {
        let path = self.path.join(name);
        made(mkdirat(&self.descriptor, name, FOLDER_MODE)).map_err(refused(&path))?;
        self.open_in(OsStr::new(name))?.ok_or_else(|| gone(&path))
    }

    /// A folder in this one; `None` when it is not there.
    pub(crate) fn open_in(&self, name: &OsStr) -> Result<Option<Self>, Untrusted> {
        Self::checked(&self.descriptor, name, self.path.join(name), OFlags::NOFOLLOW, self.owners)
    }

    /// The folder that `file` is in, which may be a link, and may be root's.
    pub(crate) fn around(file: &Path) -> Result<Option<Self>, Untrusted> {
        let above = file.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::checked(CWD, above.as_os_str(), above.to_owned(), OFlags::empty(), Owners::MeOrRoot)
    }

    /// Refuses a folder for temporary files in which others may put a folder of theirs in the place of ours.
    pub(crate) fn check_temporary(path: &Path) -> Result<(), Untrusted> {
        let stat = rustix::fs::stat(path).map_err(refused(path))?;
        if !Owners::MeOrRoot.include(stat.st_uid) {
            return Err(Untrusted::Foreign { path: path.to_owned(), owner: stat.st_uid, user: super::me() });
        }
        if stat.st_mode & WRITABLE_BY_OTHERS != 0 && stat.st_mode & STICKY == 0 {
            let (owner, mode) = (stat.st_uid, stat.st_mode & 0o7777);
            return Err(Untrusted::Writable { path: path.to_owned(), owner, mode });
        }
        Ok(())
    }

    fn checked(
        at: impl rustix::fd::AsFd,
        name: &OsStr,
        path: PathBuf,
        follow: OFlags,
        owners: Owners,
    ) -> Result<Option<Self>, Untrusted> {
        let descriptor = match openat(&at, name, OPEN_FOLDER | follow, Mode::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => {
                // A better reason, where there is one: whose it is, and what it is.
                let flags = if follow.is_empty() { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
                let stat = statat(&at, name, flags).map_err(refused(&path))?;
                check(&path, &stat, FileType::Directory, owners)?;
                return Err(refused(&path)(error));
            }
        };
        let stat = fstat(&descriptor).map_err(refused(&path))?;
        check(&path, &stat, FileType::Directory, owners)?;
        Ok(Some(Self { descriptor, path, owners }))
    }

    /// The names of what is in it, in order.
    pub(crate) fn names(&self) -> Result<Vec<OsString>, Untrusted> {
        let read = Dir::read_from(&self.descriptor).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let names = read.map_err(refused(&self.path))?.into_iter();
        let names = names.map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_owned());
        let mut names: Vec<OsString> = names.filter(|name| name != "." && name != "..").collect();
        names.sort();
        Ok(names)
    }

    /// A file that is believed, to be read; `None` when it is not there.
    pub(crate) fn file(&self, name: &OsStr) -> Result<Option<File>, Untrusted> {
        let path = self.path.join(name);
        let stat = match statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.map_err(refused(&path))?,
        };
        // Before it is opened as well: to open a device can have effects.
        check(&path, &stat, FileType::RegularFile, self.owners)?;
        let file = match openat(&self.descriptor, name, OPEN_FILE | OFlags::RDONLY, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.map_err(refused(&path))?,
        };
        let stat = fstat(&file).map_err(refused(&path))?;
        check(&path, &stat, FileType::RegularFile, self.owners)?;
        Ok(Some(File::from(file)))
    }

    /// What is in a file that is believed; `None` when it is not there.
    pub(crate) fn read(&self, name: &OsStr, most: u64) -> Result<Option<Vec<u8>>, Untrusted> {
        let Some(file) = self.file(name)? else { return Ok(None) };
        let (path, mut bytes) = (self.path.join(name), Vec::new());
        // One that is larger is not read: what it says of its size need not hold.
        match file.take(most + 1).read_to_end(&mut bytes) {
            Err(source) => Err(Untrusted::Io { path, source }),
            Ok(_) if bytes.len() as u64 > most => Err(Untrusted::TooLarge { path, most }),
            Ok(_) => Ok(Some(bytes)),
        }
    }

    /// A new file, to be added to, for this user alone.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        let flags = OPEN_FILE | OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::APPEND;
        Ok(File::from(openat(&self.descriptor, name, flags, FILE_MODE)?))
    }

    /// Puts a file with `content` in the place of one, all at once.
    pub(crate) fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let next = format!("{name}.next");
        self.remove(&next)?;
        let mut file = self.create(&next)?;
        file.write_all(content).and_then(|()| file.sync_data())?;
        Ok(renameat(&self.descriptor, &next, &self.descriptor, name)?)
    }

    /// Removes a file; one that is gone is fine.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Err(error) if error != Errno::NOENT => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Waits until the disk has the names in it.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.descriptor)?)
    }

    /// Where it was found.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// One that is there already is fine.
fn made(outcome: Result<(), Errno>) -> Result<(), Errno> {
    match outcome {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

fn gone(path: &Path) -> Untrusted {
    refused(path)(Errno::NOENT)
}
