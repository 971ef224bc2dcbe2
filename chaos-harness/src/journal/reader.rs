//! Reads journals, whole ones and those of killed test processes.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Journal, JournalError, Record, SCHEMA_VERSION, Status};
use crate::runtime::is_owner_alive;

/// What a file in a journal folder turned out to be.
#[derive(Debug)]
pub struct Entry {
    /// The file.
    pub path: PathBuf,
    /// The journal, or why it cannot be read.
    pub journal: Result<Journal, JournalError>,
}

/// Reads every journal in `folder` and in the folders of runs in it, sorted by path. An unreadable file is an entry with
/// an error, never dropped. Of one experiment's `.partial` file and its whole journal, the whole one counts.
///
/// # Errors
/// When the folder cannot be read; one that does not exist is empty.
pub fn read_dir(folder: &Path) -> Result<Vec<Entry>, JournalError> {
    Ok(read_files(journal_files(folder)?))
}

/// Reads these files.
pub(super) fn read_files(paths: Vec<PathBuf>) -> Vec<Entry> {
    without_remains(paths.into_iter().map(|path| Entry { journal: read_file(&path), path }).collect())
}

/// The files of journals in `folder` and in the folders in it, sorted.
pub(super) fn journal_files(folder: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let mut files = Vec::new();
    for path in list(folder)? {
        if path.is_dir() {
            files.extend(list(&path)?.into_iter().filter(|path| is_journal(path)));
        } else if is_journal(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json" || extension == "partial")
}

/// What is in `folder`. One that does not exist is empty: old runs may be removed at any time.
fn list(folder: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let io = |source| JournalError::Io { action: "read", path: folder.to_owned(), source };
    match fs::read_dir(folder) {
        Ok(files) => files.map(|file| Ok(file.map_err(io)?.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io(error)),
    }
}

/// Reads one journal file, `.json` or `.partial`.
///
/// # Errors
/// When it cannot be read, is no journal, was cut off before its first line ended, or is of another version.
pub fn read_file(path: &Path) -> Result<Journal, JournalError> {
    let bytes = fs::read(path).map_err(|source| JournalError::Io { action: "read", path: path.to_owned(), source })?;
    let journal = if is_partial(path) { from_records(path, &bytes)? } else { from_whole(path, &bytes)? };
    journal.samples.decode().map_err(|error| malformed(path, error.to_string()))?;
    Ok(journal)
}

pub(super) fn is_partial(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "partial")
}

fn from_whole(path: &Path, bytes: &[u8]) -> Result<Journal, JournalError> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| malformed(path, error.to_string()))?;
    check_version(path, &value)?;
    serde_json::from_value(value).map_err(|error| malformed(path, error.to_string()))
}

/// The sum of the records. The last line may have been cut off by the end of the process; any other
/// line that cannot be read makes the file malformed.
fn from_records(path: &Path, bytes: &[u8]) -> Result<Journal, JournalError> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
    let (_, head) = lines.next().ok_or_else(|| malformed(path, "it is empty".to_owned()))?;
    let value: serde_json::Value = serde_json::from_slice(head).map_err(|error| malformed(path, error.to_string()))?;
    check_version(path, &value["data"]["journal"])?;
    let record = serde_json::from_value(value).map_err(|error| malformed(path, error.to_string()))?;
    let Record::Head { owner, journal: mut sum } = record else {
        return Err(malformed(path, "its first line is no head".to_owned()));
    };
    for (number, line) in lines {
        match serde_json::from_slice(line) {
            Ok(record) => sum.apply(record),
            Err(_) if !line.ends_with(b"\n") => break,
            Err(error) => return Err(malformed(path, format!("line {}: {error}", number + 1))),
        }
    }
    sum.sort_events();
    sum.status = if is_owner_alive(&owner) { Status::Running } else { Status::Interrupted };
    Ok(*sum)
}

fn check_version(path: &Path, journal: &serde_json::Value) -> Result<(), JournalError> {
    match journal["schema"].as_u64() {
        Some(found) if found == u64::from(SCHEMA_VERSION) => Ok(()),
        Some(found) => Err(JournalError::Version { path: path.to_owned(), found, known: SCHEMA_VERSION }),
        None => Err(malformed(path, "it has no `schema` version".to_owned())),
    }
}

fn malformed(path: &Path, reason: String) -> JournalError {
    JournalError::Malformed { path: path.to_owned(), reason }
}

/// Drops the `.partial` files of runs whose whole journal is there: their writer was killed between the rename
/// and the removal. Such a file counts by its name too, since a crash of the machine may have damaged it.
fn without_remains(mut entries: Vec<Entry>) -> Vec<Entry> {
    let whole: Vec<(String, String)> = entries
        .iter()
        .filter(|entry| !is_partial(&entry.path))
        .filter_map(|entry| entry.journal.as_ref().ok())
        .map(|journal| (journal.run.clone(), journal.partial_file_name()))
        .collect();
    entries.retain(|entry| {
        let run = entry.journal.as_ref().ok().map(|journal| &journal.run);
        let name = entry.path.file_name().and_then(|name| name.to_str());
        let is_of = |(whole, partial): &(String, String)| run == Some(whole) || name == Some(partial.as_str());
        !(is_partial(&entry.path) && whole.iter().any(is_of))
    });
    entries
}
