//! Whether the sources have changed since a run: its journals then say nothing of what is there now. A run that did not
//! compile leaves no journal, and without this the one before it would be judged in its place.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Report;

/// A source that was changed after the judged run had begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The one that was changed last, relative to the root of the workspace.
    pub file: String,
    /// When.
    pub at: Timestamp,
}

impl Report {
    /// The same report, which judges nothing when a Rust source, a `Cargo.toml`, the `Cargo.lock` or cargo's configuration
    /// below `root` is newer than the first of its experiments.
    #[must_use]
    pub fn checked_for_changes(mut self, root: &Path) -> Self {
        let first = self.experiments.iter().map(|experiment| experiment.journal.started_at).min();
        let newest = newest_source(root).and_then(|(at, file)| Some((Timestamp::try_from(at).ok()?, file)));
        self.changed = newest
            .filter(|(at, _)| first.is_some_and(|first| *at > first))
            .map(|(at, file)| Changed { file: file.strip_prefix(root).unwrap_or(&file).display().to_string(), at });
        self
    }
}

/// The source below `root` that was written last. Links are not followed; what cannot be read is left out.
fn newest_source(root: &Path) -> Option<(SystemTime, PathBuf)> {
    let mut newest = None;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if kind.is_dir() && holds_sources(&path) {
                folders.push(path);
            } else if kind.is_file() && is_source(&path) {
                let written = entry.metadata().and_then(|data| data.modified()).ok();
                newest = newest.max(written.map(|written| (written, path)));
            }
        }
    }
    newest
}

/// Not hidden, and not what a build leaves.
fn holds_sources(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let is_hidden = name.starts_with('.') && name != ".cargo";
    !is_hidden && name != "target" && !folder.join("CACHEDIR.TAG").exists()
}

fn is_source(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let of_cargo = file.parent().is_some_and(|folder| folder.ends_with(".cargo")) && name.starts_with("config");
    name.ends_with(".rs") || name == "Cargo.toml" || name == "Cargo.lock" || of_cargo
}
