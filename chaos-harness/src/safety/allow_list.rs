//! The written list of containers that are not the harness's own and may still be touched.
//!
//! A file named `chaos-allow.txt`, looked for in the current folder and those above it, or named by `CHAOS_ALLOW_FILE`:
//! the name or the id of a container per line; `#` begins a comment. It lies beside the code, so that it is reviewed
//! like code: no test can widen it while it runs.

use std::path::{Path, PathBuf};

/// The name of the file.
const FILE: &str = "chaos-allow.txt";

/// The allow-list, and where it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AllowList {
    file: Option<PathBuf>,
    names: Vec<String>,
}

impl AllowList {
    /// Reads the list that holds for this process; an empty one where there is none.
    pub(crate) fn read() -> std::io::Result<Self> {
        match std::env::var_os("CHAOS_ALLOW_FILE").filter(|file| !file.is_empty()) {
            Some(file) => Self::read_file(Path::new(&file)),
            None => Self::read_above(&std::env::current_dir()?),
        }
    }

    fn read_above(folder: &Path) -> std::io::Result<Self> {
        let found = folder.ancestors().map(|folder| folder.join(FILE)).find(|file| file.is_file());
        found.map_or_else(|| Ok(Self::default()), |file| Self::read_file(&file))
    }

    fn read_file(file: &Path) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(file)?;
        let entry = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
        let names = text.lines().map(entry).filter(|name| !name.is_empty()).collect();
        Ok(Self { file: Some(file.to_owned()), names })
    }

    /// Whether a container with this name or full id may be touched. A short id is not enough: it may come to mean another.
    pub(crate) fn allows(&self, name: &str, id: &str) -> bool {
        self.names.iter().any(|entry| entry == name || (entry == id && !id.is_empty()))
    }

    /// Where to write a name so that it is allowed.
    pub(crate) fn file(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(|| PathBuf::from(FILE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_whole_ids_are_allowed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(folder.path().join(FILE), "# ours to break\n  db  # staging\n0123abcd\n\n").unwrap();
        let list = AllowList::read_above(&inner).unwrap();
        assert!(list.allows("db", "ffff") && list.allows("other", "0123abcd"));
        assert!(!list.allows("d", "0123") && !list.allows("staging", "") && !list.allows("", ""));
        assert_eq!(list.file(), folder.path().join(FILE));
    }

    #[test]
    fn without_a_file_nothing_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let list = AllowList::read_above(folder.path()).unwrap();
        assert!(!list.allows("db", "ffff"));
        assert_eq!(list.file(), Path::new(FILE));
    }
}
