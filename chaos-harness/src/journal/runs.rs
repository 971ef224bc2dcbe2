//! The journals in a folder, by the run of the tests that they belong to.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::parts::Parts;
use super::reader::{Entry, is_partial, journal_files, read_files};
use super::{JournalError, TestRun, file_name};
use crate::runtime::RuntimeKind;
use jiff::Timestamp;

/// How many runs are kept beside the one that begins.
pub const RUNS_KEPT: usize = 20;

/// One run of the tests and the files of its journals.
#[derive(Clone, Debug)]
pub struct Run {
    /// Names it; `None` for journals that name no run, from a time when there was none.
    pub id: Option<String>,
    /// When it was started; when it was last joined, if several commands had a part in it.
    pub started_at: Timestamp,
    /// What its journals are about.
    pub heads: Vec<Head>,
    files: Vec<PathBuf>,
}

/// The little that tells what a journal is about, read without the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Package, test target and name of the experiment.
    pub experiment: String,
    /// Where it ran.
    pub runtime: RuntimeKind,
    /// Whether it is under way.
    pub is_running: bool,
}

impl Run {
    /// Its journals, and the files among them that cannot be read.
    pub fn read(&self) -> Vec<Entry> {
        read_files(self.files.clone())
    }

    /// How many files it has.
    pub fn journals(&self) -> usize {
        self.files.len()
    }
}

/// The runs that left journals in `folder`, the one that was started last at the end.
///
/// # Errors
/// When the folder cannot be read; one that does not exist has none.
pub fn runs(folder: &Path) -> Result<Vec<Run>, JournalError> {
    let mut runs: Vec<Run> = Vec::new();
    let mut places: HashMap<Option<String>, usize> = HashMap::new();
    for path in journal_files(folder)? {
        let file = Looked::at(&path);
        let of_folder = path.parent().filter(|parent| *parent != folder).and_then(Path::file_name);
        let of_folder = of_folder.map(|name| file_name::decode(&name.to_string_lossy()));
        let id = of_folder.or_else(|| file.run.as_ref().map(|run| run.id.clone()));
        let at = *places.entry(id.clone()).or_insert(runs.len());
        if at == runs.len() {
            runs.push(Run { id, started_at: Timestamp::MIN, heads: Vec::new(), files: Vec::new() });
        }
        let run = &mut runs[at];
        run.started_at = run.started_at.max(file.started_at.unwrap_or(Timestamp::MIN));
        run.heads.extend(file.head);
        run.files.push(path);
    }
    for run in runs.iter_mut().filter(|run| run.heads.is_empty()) {
        // Nothing but damaged files, which were written at some time.
        run.started_at = run.files.iter().filter_map(|file| written_at(file)).max().unwrap_or_default();
    }
    // Those that name no run are from before there were any.
    runs.sort_by_key(|run| (run.id.is_some(), run.started_at));
    Ok(runs)
}

/// A file as far as it has been looked at.
struct Looked {
    head: Option<Head>,
    run: Option<TestRun>,
    started_at: Option<Timestamp>,
}

impl Looked {
    fn at(path: &Path) -> Self {
        let Some((parts, is_running)) = Parts::read(path) else {
            return Self { head: None, run: None, started_at: None };
        };
        let Parts { test, started_at, test_run: run, plan, runtime } = parts;
        let head = Head { experiment: test.experiment(&plan.name), runtime: runtime.kind, is_running };
        let started_at = run.as_ref().map_or(started_at, |run| run.started_at);
        Self { head: Some(head), run, started_at: Some(started_at) }
    }
}

fn written_at(file: &Path) -> Option<Timestamp> {
    fs::metadata(file).and_then(|data| data.modified()).ok()?.try_into().ok()
}

/// Removes the oldest runs beyond those that are kept, except those with an experiment under way. What cannot be removed
/// stays: another process may be at it.
pub(super) fn prune(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut runs: Vec<(SystemTime, PathBuf)> =
        folders.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    runs.sort();
    let surplus = runs.len().saturating_sub(RUNS_KEPT + 1);
    for (_, run) in runs.into_iter().take(surplus) {
        remove(&run);
    }
}

/// Only journals are removed, and the folder if nothing else is in it.
fn remove(run: &Path) {
    let Ok(files) = journal_files(run) else { return };
    if files.iter().any(|file| is_partial(file) && Looked::at(file).head.is_some_and(|head| head.is_running)) {
        return;
    }
    for file in files {
        let _ = fs::remove_file(file);
    }
    let _ = fs::remove_dir(run);
}
