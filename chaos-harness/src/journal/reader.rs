//! Reads journals, whole ones and those of killed test processes.

use std::collections::HashSet;
use std::fs::{self, FileType};
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Journal, JournalError, Record, SCHEMA_VERSION, Status, file};
use crate::measure::SampleColumns;
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
/// an error, never dropped; so is what is no file though it is named like a journal. Of one experiment's `.partial` file
/// and its whole journal, the whole one counts.
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

/// The files of journals in `folder` and in the folders in it, sorted. No link is followed.
pub(super) fn journal_files(folder: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let mut files = Vec::new();
    for (path, kind) in list(folder)? {
        if is_journal(&path) {
            files.push(path);
        } else if kind.is_dir() {
            files.extend(list(&path)?.into_iter().map(|(path, _)| path).filter(|path| is_journal(path)));
        }
    }
    files.sort();
    Ok(files)
}

fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json" || extension == "partial")
}

/// What is in `folder`. One that does not exist is empty: old runs may be removed at any time.
fn list(folder: &Path) -> Result<Vec<(PathBuf, FileType)>, JournalError> {
    let io = |source| JournalError::Io { action: "read", path: folder.to_owned(), source };
    match fs::read_dir(folder) {
        Ok(files) => {
            let kind = |file: fs::DirEntry| Ok((file.path(), file.file_type().map_err(io)?));
            files.map(|file| file.map_err(io).and_then(kind)).collect()
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io(error)),
    }
}

/// Reads one journal file, `.json` or `.partial`. It is parsed while it is read: what is held is the journal alone.
///
/// # Errors
/// When it cannot be read, is no journal, was cut off before its first line ended, or is of another version.
pub fn read_file(path: &Path) -> Result<Journal, JournalError> {
    let file = file::open(path).map_err(|source| JournalError::Io { action: "read", path: path.to_owned(), source })?;
    parse(path, &mut BufReader::with_capacity(1 << 16, file))
}

/// Reads a journal from `file`, by the ending of `path`.
pub(crate) fn parse(path: &Path, file: &mut (impl BufRead + Seek)) -> Result<Journal, JournalError> {
    let journal = if is_partial(path) { from_records(path, file)? } else { from_whole(path, file)? };
    journal.samples.check().map_err(|error| malformed(path, error.to_string()))?;
    Ok(journal)
}

pub(super) fn is_partial(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "partial")
}

fn from_whole(path: &Path, file: &mut (impl Read + Seek)) -> Result<Journal, JournalError> {
    match serde_json::from_reader::<_, Journal>(&mut *file) {
        Ok(journal) if journal.schema == SCHEMA_VERSION => Ok(journal),
        Ok(journal) => Err(other_version(path, journal.schema.into())),
        Err(error) => {
            // One of another version may have another shape.
            let _ = file.rewind();
            Err(unreadable(path, serde_json::from_reader(file).ok(), &error))
        }
    }
}

/// The sum of the records. The last line may have been cut off by the end of the process; any other
/// line that cannot be read makes the file malformed.
fn from_records(path: &Path, file: &mut impl BufRead) -> Result<Journal, JournalError> {
    if !may_be_records(file) {
        return Err(malformed(path, "its first line is no head".to_owned()));
    }
    let mut line = Vec::new();
    let mut next = |line: &mut Vec<u8>| {
        line.clear();
        let read = file.read_until(b'\n', line);
        read.map_err(|source| JournalError::Io { action: "read", path: path.to_owned(), source })
    };
    if next(&mut line)? == 0 {
        return Err(malformed(path, "it is empty".to_owned()));
    }
    let (owner, mut sum) = head(path, &line)?;
    let mut pieces = vec![std::mem::take(&mut sum.samples)];
    for number in 2.. {
        if next(&mut line)? == 0 {
            break;
        }
        match serde_json::from_slice(&line) {
            Ok(Record::Samples(piece)) => pieces.push(piece),
            Ok(Record::AllSamples(all)) => pieces = vec![all],
            Ok(record) => sum.apply(record),
            Err(_) if !line.ends_with(b"\n") => break,
            Err(error) => return Err(malformed(path, format!("line {number}: {error}"))),
        }
    }
    for piece in &pieces {
        piece.check().map_err(|error| malformed(path, error.to_string()))?;
    }
    sum.samples = SampleColumns::merged(&pieces);
    sum.sort_events();
    sum.status = if is_owner_alive(&owner) { Status::Running } else { Status::Interrupted };
    Ok(sum)
}

/// Whether it begins as a record does, or is empty: a line of something else may be very long.
pub(super) fn may_be_records(file: &mut impl BufRead) -> bool {
    file.fill_buf().is_ok_and(|beginning| beginning.first().is_none_or(|first| *first == b'{'))
}

/// Who writes, and the journal as it began.
fn head(path: &Path, line: &[u8]) -> Result<(String, Journal), JournalError> {
    match serde_json::from_slice(line) {
        Ok(Record::Head { journal, .. }) if journal.schema != SCHEMA_VERSION => {
            Err(other_version(path, journal.schema.into()))
        }
        Ok(Record::Head { owner, journal }) => Ok((owner, *journal)),
        Ok(_) => Err(malformed(path, "its first line is no head".to_owned())),
        Err(error) => {
            let head = serde_json::from_slice::<VersionOfHead>(line).ok();
            Err(unreadable(path, head.map(|head| head.data.journal), &error))
        }
    }
}

/// The one field that every version has.
#[derive(Deserialize)]
struct Version {
    schema: Option<u64>,
}

#[derive(Deserialize)]
struct VersionOfHead {
    data: VersionOfJournal,
}

#[derive(Deserialize)]
struct VersionOfJournal {
    journal: Version,
}

fn unreadable(path: &Path, version: Option<Version>, error: &serde_json::Error) -> JournalError {
    match version {
        Some(Version { schema: None }) => malformed(path, "it has no `schema` version".to_owned()),
        Some(Version { schema: Some(found) }) if found != u64::from(SCHEMA_VERSION) => other_version(path, found),
        _ => malformed(path, error.to_string()),
    }
}

fn other_version(path: &Path, found: u64) -> JournalError {
    JournalError::Version { path: path.to_owned(), found, known: SCHEMA_VERSION }
}

fn malformed(path: &Path, reason: String) -> JournalError {
    JournalError::Malformed { path: path.to_owned(), reason }
}

/// Drops the `.partial` files of runs whose whole journal is there: their writer was killed between the rename
/// and the removal. Such a file counts by its name too, since a crash of the machine may have damaged it.
fn without_remains(mut entries: Vec<Entry>) -> Vec<Entry> {
    let whole = entries.iter().filter(|entry| !is_partial(&entry.path));
    let whole = whole.filter_map(|entry| Some((entry, entry.journal.as_ref().ok()?)));
    let (mut runs, mut files) = (HashSet::new(), HashSet::new());
    for (entry, journal) in whole {
        runs.insert(journal.run.clone());
        files.insert(entry.path.with_extension("partial"));
    }
    entries.retain(|entry| {
        let of_a_whole_one = entry.journal.as_ref().is_ok_and(|journal| runs.contains(&journal.run));
        !(is_partial(&entry.path) && (of_a_whole_one || files.contains(&entry.path)))
    });
    entries
}
