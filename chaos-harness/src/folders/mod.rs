//! Where the harness keeps its files: one folder for a workspace, whoever asks and wherever the binaries lie.
//!
//! Tests and tools have to find each other's journals and undo logs, though one of them may have been built with
//! `--target`, `--target-dir`, `build.build-dir` or `cargo llvm-cov`, extracted from a nextest archive, or copied away.
//! So the folder follows from the workspace's root alone: `target/chaos` in it, unless `CHAOS_DIR` names another.

mod workspace;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The folder of journals, reports, undo logs and builds: `CHAOS_DIR`, else `target/chaos` in the root of the workspace.
/// A relative `CHAOS_DIR` counts from that root too, since tests and tools run in different folders.
pub fn chaos_dir() -> PathBuf {
    let named = std::env::var_os("CHAOS_DIR").filter(|folder| !folder.is_empty());
    let folder = named.map_or_else(|| Path::new("target").join("chaos"), PathBuf::from);
    if folder.is_absolute() {
        return folder;
    }
    let root = workspace_root().or_else(|| std::env::current_dir().ok()).unwrap_or_default();
    root.join(folder)
}

/// The folder of journals.
pub fn journal_dir() -> PathBuf {
    chaos_dir().join("journal")
}

/// The folder of this user's undo logs: `undo`, or `undo-UID` where that is another user's, as it may be in a shared
/// `CHAOS_DIR` or for root in somebody's checkout.
pub fn undo_dir() -> PathBuf {
    of_this_user(&chaos_dir(), "undo")
}

/// The folder of what is built for targets, in the same way: nobody runs what another user has put there.
pub(crate) fn build_dir() -> PathBuf {
    of_this_user(&chaos_dir(), "build")
}

fn of_this_user(folder: &Path, name: &str) -> PathBuf {
    let (shared, me) = (folder.join(name), crate::trusted::me());
    match std::fs::symlink_metadata(&shared) {
        Ok(found) if found.uid() != me => folder.join(format!("{name}-{me}")),
        _ => shared,
    }
}

/// The root of the workspace of the package that runs: of `CARGO_MANIFEST_DIR`, which `cargo test`, `cargo run` and
/// cargo-nextest set; else of the package that the running test was compiled in, if it is still there; else of the
/// package around the current folder. `None` where there is no package at all.
pub fn workspace_root() -> Option<PathBuf> {
    let started_by_cargo = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let current = std::env::current_dir().unwrap_or_default();
    let package = package(started_by_cargo.as_deref(), COMPILED_IN.get().map(PathBuf::as_path), &current)?;
    Some(workspace::root_of(&package))
}

static COMPILED_IN: OnceLock<PathBuf> = OnceLock::new();

/// Notes the folder of the package in which the running test was compiled.
pub(crate) fn compiled_in(package: &str) {
    COMPILED_IN.get_or_init(|| PathBuf::from(package));
}

/// The first folder of a package among those that are known to belong to this process.
fn package(started_by_cargo: Option<&Path>, compiled_in: Option<&Path>, current: &Path) -> Option<PathBuf> {
    let known = [started_by_cargo, compiled_in].into_iter().flatten();
    known.chain(current.ancestors()).find(|folder| folder.join("Cargo.toml").is_file()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_another_user_is_not_shared() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(of_this_user(place.path(), "undo"), place.path().join("undo"));
        std::fs::create_dir(place.path().join("undo")).unwrap();
        assert_eq!(of_this_user(place.path(), "undo"), place.path().join("undo"));
        if crate::trusted::me() == 0 {
            std::os::unix::fs::chown(place.path().join("undo"), Some(54321), None).unwrap();
            assert_eq!(of_this_user(place.path(), "undo"), place.path().join("undo-0"));
        }
    }

    #[test]
    fn a_package_is_known_by_cargo_then_by_the_compiler_then_by_the_current_folder() {
        let place = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = place.path().join(name);
            std::fs::create_dir_all(folder.join("src")).unwrap();
            std::fs::write(folder.join("Cargo.toml"), "").unwrap();
            folder
        };
        let (a, b, c) = (folder("a"), folder("b"), folder("c"));
        let gone = place.path().join("gone");
        assert_eq!(package(Some(&a), Some(&b), &c), Some(a));
        assert_eq!(package(Some(&gone), Some(&b), &c), Some(b.clone()), "an archive of another machine");
        assert_eq!(package(None, Some(&b), &c), Some(b), "a copied test belongs where it was compiled");
        assert_eq!(package(None, Some(&gone), &c.join("src")), Some(c));
        assert_eq!(package(None, None, &gone), None);
    }
}
