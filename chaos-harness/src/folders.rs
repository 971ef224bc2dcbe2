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

/// The folder of undo logs.
pub fn undo_dir() -> PathBuf {
    chaos_dir().join("undo")
}

/// Cargo's target folder: the folder around the running executable in which cargo left its marks. Cargo marks it as a
/// cache only when it made the folder itself.
fn target_dir() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    let marked = |folder: &&Path| [".rustc_info.json", "CACHEDIR.TAG"].iter().any(|mark| folder.join(mark).is_file());
    match executable.ancestors().skip(1).find(marked) {
        Some(folder) => folder.to_owned(),
        None => PathBuf::from("target"),
    }
}
