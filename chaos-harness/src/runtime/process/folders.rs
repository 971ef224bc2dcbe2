//! A folder for each instance to run in, so that two of them do not write the same file.
//!
//! They are below one folder for each environment, whose file `owner` names the test process: the mark by which they
//! are found.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::runtime::{EnvironmentId, Leftover, RuntimeError, is_owner_gone, owner_of_this_process};
use crate::topology::InstanceId;

const OWNER: &str = "owner";

/// The folders of an environment.
#[derive(Debug)]
pub(super) struct Folders(PathBuf);

impl Folders {
    pub(super) fn make(id: &EnvironmentId) -> Result<Self, RuntimeError> {
        let folder = all().join(id.name());
        let make = || {
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(OWNER), owner_of_this_process())
        };
        make().map_err(RuntimeError::io(format!("make {}", folder.display())))?;
        Ok(Self(folder))
    }

    /// The folder of an instance: empty at first, and the same for as long as the environment is there.
    pub(super) fn of(&self, instance: &InstanceId) -> Result<PathBuf, RuntimeError> {
        let folder = self.0.join(instance.to_string());
        fs::create_dir_all(&folder).map_err(RuntimeError::io(format!("make {}", folder.display())))?;
        Ok(folder)
    }
}

/// The folder of this user's harnesses: another user's files could not be opened.
pub(super) fn of_user() -> PathBuf {
    std::env::temp_dir().join(format!("chaos-harness-{}", rustix::process::getuid().as_raw()))
}

fn all() -> PathBuf {
    of_user().join("instances")
}

/// The folder of an environment of some test process.
pub(super) struct Found {
    path: PathBuf,
    pub(super) environment: String,
    pub(super) owner: String,
}

fn found() -> impl Iterator<Item = Found> {
    let folders = fs::read_dir(all()).into_iter().flatten().flatten();
    folders.filter_map(|folder| {
        let owner = fs::read_to_string(folder.path().join(OWNER)).ok()?;
        Some(Found { path: folder.path(), environment: folder.file_name().into_string().ok()?, owner })
    })
}

/// Removes the folders that are meant, with all that is in them.
pub(super) fn remove(is_meant: impl Fn(&Found) -> bool) -> Result<(), RuntimeError> {
    let failed = found().filter(is_meant).filter_map(|folder| match fs::remove_dir_all(&folder.path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Some(format!("{} ({error})", folder.path.display())),
        _ => None,
    });
    let what: Vec<String> = failed.collect();
    if what.is_empty() { Ok(()) } else { Err(RuntimeError::LeftBehind { what }) }
}

/// Finds the folders whose owner is gone, and removes them unless `check` is set.
pub(super) fn sweep(check: bool) -> Vec<Leftover> {
    let orphans: Vec<Found> = found().filter(|folder| is_owner_gone(&folder.owner)).collect();
    let named = orphans.iter().map(|folder| Leftover::new("folder", folder.path.display().to_string())).collect();
    if !check && let Err(error) = remove(|folder| is_owner_gone(&folder.owner)) {
        tracing::warn!(%error, "folders of instances stay");
    }
    named
}
