//! A folder for each instance to run in, so that two of them do not write the same file.
//!
//! They are below one folder for each environment, whose file `owner` names the test process: the mark by which they
//! are found. All of them are below one folder of this user's under the temporary folder, which nobody else may write.

use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::runtime::{EnvironmentId, Leftover, RuntimeError, is_owner_gone, owner_of_this_process};
use crate::topology::InstanceId;
use crate::trusted::{Folder, Untrusted, me};

const OWNER: &str = "owner";
const INSTANCES: &str = "instances";
/// An owner's name has a tenth of this.
const MOST_BYTES: u64 = 4096;

/// The folders of an environment.
#[derive(Debug)]
pub(super) struct Folders(Folder);

impl Folders {
    pub(super) fn make(id: &EnvironmentId) -> Result<Self, RuntimeError> {
        Self::make_in(&std::env::temp_dir(), id)
    }

    fn make_in(temporary: &Path, id: &EnvironmentId) -> Result<Self, RuntimeError> {
        Folder::check_temporary(temporary)?;
        let folder = Folder::make(&of_user(temporary))?.make_in(INSTANCES)?.make_in(id.name())?;
        let write = || folder.create(OWNER)?.write_all(owner_of_this_process().as_bytes());
        write().map_err(RuntimeError::io(format!("write {}", folder.path().join(OWNER).display())))?;
        Ok(Self(folder))
    }

    /// The folder of an instance: empty at first, and the same for as long as the environment is there.
    pub(super) fn of(&self, instance: &InstanceId) -> Result<PathBuf, RuntimeError> {
        Ok(self.0.make_in(&instance.to_string())?.path().to_owned())
    }
}

/// The folder of this user's harnesses.
fn of_user(temporary: &Path) -> PathBuf {
    temporary.join(format!("chaos-harness-{}", me()))
}

/// The folder of an environment of some test process.
pub(super) struct Found {
    path: PathBuf,
    pub(super) environment: String,
    pub(super) owner: String,
}

/// The folders of all environments of this user; one that somebody else may have made is none.
fn found() -> Result<Vec<Found>, Untrusted> {
    let Some(of_user) = Folder::open(&of_user(&std::env::temp_dir()))? else { return Ok(Vec::new()) };
    let Some(all) = of_user.open_in(OsStr::new(INSTANCES))? else { return Ok(Vec::new()) };
    let read = |name: &OsStr| {
        let owner = all.open_in(name).ok()??.read(OsStr::new(OWNER), MOST_BYTES).ok()??;
        let (owner, environment) = (String::from_utf8(owner).ok()?, name.to_str()?.to_owned());
        Some(Found { path: all.path().join(name), environment, owner })
    };
    Ok(all.names()?.iter().filter_map(|name| read(name)).collect())
}

/// Removes the folders that are meant, with all that is in them.
pub(super) fn remove(is_meant: impl Fn(&Found) -> bool) -> Result<(), RuntimeError> {
    // What is not ours holds nothing of ours.
    let found = found().unwrap_or_default().into_iter().filter(is_meant);
    let failed = found.filter_map(|folder| match fs::remove_dir_all(&folder.path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Some(format!("{} ({error})", folder.path.display())),
        _ => None,
    });
    let what: Vec<String> = failed.collect();
    if what.is_empty() { Ok(()) } else { Err(RuntimeError::LeftBehind { what }) }
}

/// Finds the folders whose owner is gone, and removes them unless `check` is set.
///
/// # Errors
/// When somebody else may have made them, or some cannot be removed.
pub(super) fn sweep(check: bool) -> (Vec<Leftover>, Option<RuntimeError>) {
    let orphans = match found() {
        Ok(found) => found.into_iter().filter(|folder| is_owner_gone(&folder.owner)),
        Err(error) => return (Vec::new(), Some(error.into())),
    };
    let named = orphans.map(|folder| Leftover::new("folder", folder.path.display().to_string())).collect();
    let failed = if check { None } else { remove(|folder| is_owner_gone(&folder.owner)).err() };
    (named, failed)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn made_in(temporary: &Path) -> Result<PathBuf, String> {
        let folders = Folders::make_in(temporary, &EnvironmentId::new("folders")).map_err(|error| error.to_string())?;
        folders.of(&InstanceId::new("a", 1)).map_err(|error| error.to_string())
    }

    #[test]
    fn they_are_for_this_user_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = made_in(temporary.path()).unwrap();
        for folder in folder.ancestors().take_while(|folder| *folder != temporary.path()) {
            assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o7777, 0o700, "{}", folder.display());
        }
        fs::set_permissions(temporary.path(), Permissions::from_mode(0o777)).unwrap();
        let refused = made_in(temporary.path()).unwrap_err();
        assert!(refused.contains("may be written by others") && refused.contains("TMPDIR"), "{refused}");
        fs::set_permissions(temporary.path(), Permissions::from_mode(0o1777)).unwrap();
        made_in(temporary.path()).unwrap();
    }

    #[test]
    fn what_somebody_has_planted_is_refused_by_name() {
        let temporary = tempfile::tempdir().unwrap();
        let (planted, elsewhere) = (of_user(temporary.path()), temporary.path().join("elsewhere"));
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, &planted).unwrap();
        let refused = made_in(temporary.path()).unwrap_err();
        assert!(refused.contains(&planted.display().to_string()) && refused.contains("is a link"), "{refused}");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        fs::remove_file(&planted).unwrap();
        fs::create_dir(&planted).unwrap();
        fs::set_permissions(&planted, Permissions::from_mode(0o777)).unwrap();
        assert!(made_in(temporary.path()).unwrap_err().contains("may be written by others"));
        fs::set_permissions(&planted, Permissions::from_mode(0o755)).unwrap();
        if me() == 0 {
            chown(&planted, Some(54321), Some(54321)).unwrap();
            let refused = made_in(temporary.path()).unwrap_err();
            assert!(refused.contains("belongs to user 54321, and this process runs as user 0"), "{refused}");
            assert_eq!(fs::read_dir(&planted).unwrap().count(), 0);
        }
    }
}
