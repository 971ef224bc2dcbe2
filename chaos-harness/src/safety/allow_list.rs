//! The written list of containers that are not the harness's own and may still be touched.
//!
//! A file named `chaos-allow.txt`, looked for in the current folder and those above it up to the root of the workspace, or
//! named by `CHAOS_ALLOW_FILE`: the name or the id of a container per line; `#` begins a comment. It lies beside the code,
//! so that it is reviewed like code, and a process reads it once, before the body of its first test: no test can widen it
//! while it runs. One that somebody else may write is refused.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use thiserror::Error;

use crate::folders::workspace_root;
use crate::trusted::{Folder, Untrusted};

/// The name of the file.
const FILE: &str = "chaos-allow.txt";
/// A list for a thousand containers has a tenth of this.
const MOST_BYTES: u64 = 1 << 20;
/// What stands for no list wherever a file is asked for.
const NOTHING: &str = "/dev/null";

/// The allow-list, and where it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AllowList {
    file: Option<PathBuf>,
    names: Vec<String>,
}

/// Why the allow-list is not taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AllowListError {
    /// Somebody else may have written it.
    #[error(
        "the allow-list is not taken: {0}; it takes a regular file that only you or root may write, in a folder of which the \
         same holds"
    )]
    Untrusted(#[from] Untrusted),
    /// `CHAOS_ALLOW_FILE` names a file that is not there.
    #[error("there is no allow-list {file}; write it, or name another in CHAOS_ALLOW_FILE", file = .file.display())]
    Missing {
        /// Which file.
        file: PathBuf,
    },
    /// It is no text.
    #[error("the allow-list {file} is no UTF-8 text; write one name of a container per line", file = .file.display())]
    NoText {
        /// Which file.
        file: PathBuf,
    },
    /// There is no current folder to look in.
    #[error("the allow-list cannot be looked for: {source}; start the test in a folder that is there")]
    NoFolder {
        /// The system's reason.
        source: std::io::Error,
    },
}

impl AllowList {
    /// The list that holds for this process, as it was when it was first asked for.
    pub(crate) fn current() -> Result<&'static Self, &'static AllowListError> {
        static CURRENT: OnceLock<Result<AllowList, AllowListError>> = OnceLock::new();
        CURRENT.get_or_init(Self::find).as_ref()
    }

    fn find() -> Result<Self, AllowListError> {
        if let Some(named) = std::env::var_os("CHAOS_ALLOW_FILE").filter(|file| !file.is_empty()) {
            let file = PathBuf::from(named);
            return Self::read(&file)?.ok_or(AllowListError::Missing { file });
        }
        let current = std::env::current_dir().map_err(|source| AllowListError::NoFolder { source })?;
        // As the system spells the current folder.
        let root = workspace_root().and_then(|root| root.canonicalize().ok());
        Self::look(&current, root.as_deref())
    }

    /// Looks in `current` and above it, up to `root`; never above that. Where `current` is elsewhere, it looks in `root`
    /// alone.
    fn look(current: &Path, root: Option<&Path>) -> Result<Self, AllowListError> {
        let root = root.unwrap_or(current);
        let current = if current.starts_with(root) { current } else { root };
        for folder in current.ancestors().take_while(|folder| folder.starts_with(root)) {
            if let Some(list) = Self::read(&folder.join(FILE))? {
                return Ok(list);
            }
        }
        Ok(Self::default())
    }

    fn read(file: &Path) -> Result<Option<Self>, AllowListError> {
        if file == Path::new(NOTHING) {
            return Ok(Some(Self { file: Some(file.to_owned()), names: Vec::new() }));
        }
        let Some(name) = file.file_name() else { return Ok(None) };
        // Only where there is one does it matter who may write the folder.
        if std::fs::symlink_metadata(file).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let Some(folder) = Folder::around(file)? else { return Ok(None) };
        let Some(bytes) = folder.read(name, MOST_BYTES)? else { return Ok(None) };
        match Self::parse(&bytes) {
            Some(names) => Ok(Some(Self { file: Some(file.to_owned()), names })),
            None => Err(AllowListError::NoText { file: file.to_owned() }),
        }
    }

    /// The names on a list; `None` when it is no text.
    fn parse(bytes: &[u8]) -> Option<Vec<String>> {
        let text = std::str::from_utf8(bytes).ok()?;
        let entry = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
        Some(text.lines().map(entry).filter(|name| !name.is_empty()).collect())
    }

    /// The one that another process says that it goes by.
    pub(crate) fn of_names(names: Vec<String>) -> Self {
        Self { file: None, names }
    }

    /// The names and ids on it.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether a container with this name or full id may be touched. A short id is not enough: it may come to mean another.
    #[cfg(any(feature = "docker", test))]
    pub(crate) fn allows(&self, name: &str, id: &str) -> bool {
        self.names.iter().any(|entry| entry == name || (entry == id && !id.is_empty()))
    }

    /// Where to write a name so that it is allowed.
    pub(crate) fn file(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(|| PathBuf::from(FILE))
    }
}

/// Reads arbitrary bytes as an allow-list; panics when a guarantee is broken.
pub fn fuzz_allow_list(input: &[u8]) {
    let Some(names) = AllowList::parse(input) else { return };
    for name in &names {
        assert!(!name.is_empty() && !name.contains(['#', '\n']) && name.trim() == name, "{name:?}");
    }
    let again = names.join(" # comment\n");
    assert_eq!(AllowList::parse(again.as_bytes()), Some(names));
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        for folder in [folder.path().to_owned(), folder.path().join("a"), folder.path().join("a/b")] {
            allow(&folder, 0o755);
        }
        folder
    }

    fn allow(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn write(file: &Path, text: &str) {
        std::fs::write(file, text).unwrap();
        allow(file, 0o644);
    }

    #[test]
    fn names_and_whole_ids_are_allowed_and_nothing_else() {
        let folder = folder();
        write(&folder.path().join(FILE), "# ours to break\n  db  # staging\n0123abcd\n\n");
        let list = AllowList::look(&folder.path().join("a/b"), Some(folder.path())).unwrap();
        assert!(list.allows("db", "ffff") && list.allows("other", "0123abcd"));
        assert!(!list.allows("d", "0123") && !list.allows("staging", "") && !list.allows("", ""));
        assert_eq!(list.file(), folder.path().join(FILE));
    }

    #[test]
    fn without_a_file_nothing_is_allowed() {
        let folder = folder();
        let list = AllowList::look(folder.path(), Some(folder.path())).unwrap();
        assert!(!list.allows("db", "ffff"));
        assert_eq!(list.file(), Path::new(FILE));
        assert_eq!(AllowList::read(Path::new(NOTHING)).unwrap().unwrap().names(), [""; 0]);
    }

    #[test]
    fn it_is_not_looked_for_above_the_workspace() {
        let folder = folder();
        let (root, below) = (folder.path().join("a"), folder.path().join("a/b"));
        write(&folder.path().join(FILE), "above\n");
        assert_eq!(AllowList::look(&below, Some(&root)).unwrap().names(), [""; 0]);
        assert_eq!(AllowList::look(&below, None).unwrap().names(), [""; 0]);
        write(&root.join(FILE), "root\n");
        assert_eq!(AllowList::look(&below, Some(&root)).unwrap().names(), ["root"]);
        assert_eq!(AllowList::look(Path::new("/"), Some(&root)).unwrap().names(), ["root"]);
        write(&below.join(FILE), "below\n");
        assert_eq!(AllowList::look(&below, Some(&root)).unwrap().names(), ["below"]);
    }

    #[test]
    fn one_that_others_may_write_is_refused() {
        let folder = folder();
        let (root, file) = (folder.path(), folder.path().join(FILE));
        let refused = || AllowList::look(root, Some(root)).unwrap_err().to_string();
        write(&file, "db\n");
        for mode in [0o664, 0o646] {
            allow(&file, mode);
            assert!(refused().contains(&format!("{} of user", file.display())), "{}", refused());
        }
        allow(&file, 0o644);
        for mode in [0o775, 0o757, 0o1777] {
            allow(root, mode);
            assert!(refused().contains("may be written by others"), "{}", refused());
        }
        allow(root, 0o755);
        assert!(AllowList::look(root, Some(root)).is_ok());
        let elsewhere = root.join("elsewhere");
        std::fs::rename(&file, &elsewhere).unwrap();
        symlink(&elsewhere, &file).unwrap();
        assert!(refused().contains("is a link, and no regular file"), "{}", refused());
        std::fs::remove_file(&file).unwrap();
        std::fs::hard_link(&elsewhere, &file).unwrap();
        assert!(refused().contains("2 names"), "{}", refused());
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert!(refused().contains("is a folder"), "{}", refused());
        std::fs::remove_dir(&file).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(refused().contains("is a pipe"), "{}", refused());
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, [0xff]).unwrap();
        assert!(refused().contains("no UTF-8 text"), "{}", refused());
        std::fs::write(&file, vec![b'#'; MOST_BYTES as usize + 1]).unwrap();
        assert!(refused().contains("larger than"), "{}", refused());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_list_or_none(bytes: Vec<u8>, text: String) {
            fuzz_allow_list(&bytes);
            fuzz_allow_list(text.as_bytes());
        }
    }
}
