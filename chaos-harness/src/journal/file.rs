//! Opens files of journals. Somebody else may have put something else there: nothing but a regular file is opened, read
//! or written, so that no pipe keeps a reader waiting and no link leads elsewhere.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FileType, OFlags};

use crate::trusted::name_of;

/// No journal is larger, in bytes: half an hour of 20,000 requests a second takes a third of it.
const LARGEST: u64 = 2 << 30;

/// Opens a journal to be read.
pub(super) fn open(path: &Path) -> io::Result<File> {
    checked(path, OpenOptions::new().read(true))
}

/// Opens a journal that is there, to add to it.
pub(super) fn open_to_append(path: &Path) -> io::Result<File> {
    checked(path, OpenOptions::new().append(true))
}

/// Looks before it opens, since opening a device may do something, and again at what was opened.
fn checked(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    check(&path.symlink_metadata()?)?;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

fn check(found: &std::fs::Metadata) -> io::Result<()> {
    let what = match FileType::from_raw_mode(found.mode()) {
        FileType::RegularFile if found.len() > LARGEST => "a file of more than 2 GiB",
        FileType::RegularFile => return Ok(()),
        other => name_of(other),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, no journal; remove it")))
}
