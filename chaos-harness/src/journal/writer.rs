//! Writes a journal while its experiment runs.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::runs::prune;
use super::{Journal, JournalError, Record, file};
use crate::runtime::owner_of_this_process;

/// The journal of a running experiment: in memory, and line by line on disk.
#[derive(Debug)]
pub struct Writer {
    journal: Journal,
    partial: File,
    partial_path: PathBuf,
    path: PathBuf,
}

impl Writer {
    /// Begins a journal in the folder of its run in `folder`, which is made if need be. Where it begins a run, the oldest
    /// runs go when there are more than are kept. No file is replaced, and no link followed.
    ///
    /// # Errors
    /// When the folder or the file cannot be written, or is there already.
    pub fn begin(folder: &Path, journal: Journal) -> Result<Self, JournalError> {
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Io { action, path, source }
        };
        let runs = folder;
        let folder = &runs.join(journal.folder());
        let begins_run = folder.symlink_metadata().is_err();
        make(folder, &journal).map_err(io("make", folder))?;
        if begins_run {
            prune(runs);
        }
        let partial_path = folder.join(journal.partial_file_name());
        let head = Record::Head { owner: owner_of_this_process(), journal: Box::new(journal.clone()) };
        let begin = || -> io::Result<File> {
            // The file appears with its first line in it: a process that is killed here leaves no empty journal.
            let mut file = temporary(folder)?;
            file.write_all(&line(&head)?)?;
            Ok(file.persist_noclobber(&partial_path)?)
        };
        let partial = begin().map_err(io("write", &partial_path))?;
        Ok(Self { path: folder.join(journal.file_name()), partial, partial_path, journal })
    }

    /// Completes a journal in the place of who began it and was dropped, with the reason.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(crate) fn complete_for(partial_path: &Path, why: Record) -> Result<Journal, JournalError> {
        let journal = super::read_file(partial_path)?;
        let io = |source| JournalError::Io { action: "write", path: partial_path.to_owned(), source };
        let partial = file::open_to_append(partial_path).map_err(io)?;
        let path = partial_path.with_file_name(journal.file_name());
        let mut writer = Self { path, partial, partial_path: partial_path.to_owned(), journal };
        writer.add(why)?;
        Ok(writer.complete()?.0)
    }

    /// The file while the experiment runs.
    pub(crate) fn partial_path(&self) -> &Path {
        &self.partial_path
    }

    /// Adds a record, in memory and on disk.
    ///
    /// # Errors
    /// When the file cannot be written; in memory it is added all the same.
    pub fn add(&mut self, record: Record) -> Result<(), JournalError> {
        let appended = self.append(&record);
        self.journal.apply(record);
        appended
    }

    /// Writes a record to disk only: samples come in pieces while the experiment runs, and whole at its end.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let written = line(record).and_then(|line| self.partial.write_all(&line));
        written.map_err(|source| self.io("write", source))
    }

    /// The journal so far.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Replaces the `.partial` file by the whole journal, by an atomic rename, and returns the journal and its file.
    /// The `.partial` file goes only when the whole one would survive a loss of power; whoever reads in between
    /// finds both, and takes the whole one.
    ///
    /// # Errors
    /// When the file cannot be written; the `.partial` file is then still there.
    pub fn complete(self) -> Result<(Journal, PathBuf), JournalError> {
        let (journal, written) = self.finish();
        written.map(|path| (journal, path))
    }

    /// The same; the journal is whole in memory though it cannot be written.
    pub(crate) fn finish(mut self) -> (Journal, Result<PathBuf, JournalError>) {
        self.journal.status = super::Status::Complete;
        self.journal.sort_events();
        let write = || -> io::Result<()> {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            // It may have been cleared away meanwhile.
            make(folder, &self.journal)?;
            let mut file = temporary(folder)?;
            let mut buffer = io::BufWriter::new(&mut file);
            serde_json::to_writer(&mut buffer, &self.journal)?;
            buffer.flush()?;
            drop(buffer);
            file.as_file().sync_all()?;
            file.persist_noclobber(&self.path)?;
            // The rename is an entry of the folder, and durable only with it.
            File::open(folder)?.sync_all()?;
            match fs::remove_file(&self.partial_path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        };
        let written = write().map_err(|source| self.io("complete", source));
        (self.journal, written.map(|()| self.path))
    }

    fn io(&self, action: &'static str, source: io::Error) -> JournalError {
        JournalError::Io { action, path: self.partial_path.clone(), source }
    }
}

/// Makes the folder of a journal. That of a run is no link, which would lead journals elsewhere.
fn make(folder: &Path, journal: &Journal) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    if journal.test_run.is_none() || folder.symlink_metadata()?.is_dir() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::NotADirectory, "it is a link, no folder; remove it"))
}

/// A record as a line of its own.
fn line(record: &Record) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(line)
}

/// Temporary files are private by default; a journal is for whoever may read the folder.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o644)).tempfile_in(folder)
}
