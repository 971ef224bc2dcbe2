//! Where the harness keeps its files.

use std::path::{Path, PathBuf};

/// The folder of journals, reports and builds: `CHAOS_DIR`, else `chaos` in cargo's target folder.
pub fn chaos_dir() -> PathBuf {
    match std::env::var_os("CHAOS_DIR") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => target_dir().join("chaos"),
    }
}

/// The folder of journals.
pub fn journal_dir() -> PathBuf {
    chaos_dir().join("journal")
}

/// Cargo's target folder: the marked cache folder that the running executable lies in.
fn target_dir() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    let marked = |folder: &&Path| folder.join("CACHEDIR.TAG").is_file();
    match executable.ancestors().skip(1).find(marked) {
        Some(folder) => folder.to_owned(),
        None => PathBuf::from("target"),
    }
}
