//! What is in the images of binaries, beside the binary: what programs take for granted on any machine.

use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Where distributions keep their CA certificates in one file.
const CERTIFICATES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const TIME_ZONES: &str = "/usr/share/zoneinfo";
/// The same zones again, under other names.
const TIME_ZONES_AGAIN: [&str; 2] = ["posix", "right"];

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";

/// One thing in a file system; its path has no leading slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Folder {
        path: PathBuf,
        mode: u32,
    },
    Text {
        path: PathBuf,
        text: &'static str,
    },
    /// A file of this machine, or what a link to one leads to.
    Copy {
        path: PathBuf,
        from: PathBuf,
    },
    Link {
        path: PathBuf,
        to: PathBuf,
    },
}

impl Entry {
    pub(super) fn copy(path: impl Into<PathBuf>, from: impl Into<PathBuf>) -> Self {
        Self::Copy { path: path.into(), from: from.into() }
    }

    /// Puts it into `archive`, below `root`.
    pub(super) fn append(&self, archive: &mut tar::Builder<Vec<u8>>, root: &Path) -> std::io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_uid(0);
        header.set_gid(0);
        match self {
            Self::Folder { path, mode } => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(*mode);
                header.set_size(0);
                archive.append_data(&mut header, root.join(path), std::io::empty())
            }
            Self::Text { path, text } => {
                header.set_mode(0o644);
                header.set_size(text.len() as u64);
                archive.append_data(&mut header, root.join(path), text.as_bytes())
            }
            Self::Copy { path, from } => archive.append_path_with_name(from, root.join(path)),
            Self::Link { path, to } => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                archive.append_link(&mut header, root.join(path), to)
            }
        }
    }

    /// What tells it from others: a file of this machine by its size and age, which is quicker than its content.
    fn identity(&self) -> String {
        let Self::Copy { path, from } = self else { return format!("{self:?}") };
        let known = std::fs::metadata(from).ok();
        format!("{path:?} {:?}", known.map(|known| (known.len(), known.modified().ok())))
    }
}

/// What programs take for granted.
pub(super) struct Rootfs {
    pub(super) entries: Vec<Entry>,
    /// What this machine does not have to give, for people.
    pub(super) lacks: Vec<&'static str>,
}

impl Rootfs {
    /// That of this machine.
    pub(super) fn here() -> Self {
        Self::of(CERTIFICATES.iter().map(Path::new).find(|file| file.is_file()), Path::new(TIME_ZONES))
    }

    fn of(certificates: Option<&Path>, time_zones: &Path) -> Self {
        let folder = |path: &str, mode| Entry::Folder { path: path.into(), mode };
        let text = |path: &str, text| Entry::Text { path: path.into(), text };
        let mut entries = vec![
            folder("tmp", 0o1777),
            folder("var", 0o755),
            folder("var/tmp", 0o1777),
            folder("root", 0o700),
            folder("etc", 0o755),
            text("etc/passwd", PASSWD),
            text("etc/group", GROUP),
            text("etc/nsswitch.conf", NSSWITCH),
        ];
        let mut lacks = Vec::new();
        match certificates {
            Some(file) => entries.push(Entry::copy("etc/ssl/certs/ca-certificates.crt", file)),
            None => lacks.push("CA certificates"),
        }
        let zones = files_below(time_zones, Path::new("usr/share/zoneinfo"));
        if zones.is_empty() {
            lacks.push("time zones");
        }
        entries.extend(zones);
        Self { entries, lacks }
    }

    /// Tells it from that of another machine, or of this one after an update.
    pub(super) fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for entry in &self.entries {
            // Cannot fail: it is written to memory.
            let _ = writeln!(hasher, "{}", entry.identity());
        }
        super::artifact::short(&hasher.finalize())
    }
}

/// The files and links below a folder, in order of their names.
fn files_below(folder: &Path, path: &Path) -> Vec<Entry> {
    let mut found: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
    found.retain(|entry| !TIME_ZONES_AGAIN.iter().any(|again| entry.file_name() == *again));
    found.sort_by_key(std::fs::DirEntry::file_name);
    let entries = found.into_iter().flat_map(|entry| {
        let (from, path) = (entry.path(), path.join(entry.file_name()));
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&from, &path),
            Ok(kind) if kind.is_file() => vec![Entry::Copy { path, from }],
            // A link out of the folder would lead nowhere in the image.
            Ok(_) => match std::fs::read_link(&from) {
                Ok(to) if to.is_relative() => vec![Entry::Link { path, to }],
                _ if from.is_file() => vec![Entry::Copy { path, from }],
                _ => Vec::new(),
            },
            Err(_) => Vec::new(),
        }
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_has_is_taken_along_and_what_it_lacks_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let zones = folder.path().join("zones");
        std::fs::create_dir_all(zones.join("Europe")).unwrap();
        std::fs::create_dir_all(zones.join("posix")).unwrap();
        std::fs::write(zones.join("posix/UTC"), "again").unwrap();
        std::fs::write(zones.join("Europe/Berlin"), "zone").unwrap();
        std::os::unix::fs::symlink("Europe/Berlin", zones.join("CET")).unwrap();
        std::os::unix::fs::symlink("/nowhere", zones.join("localtime")).unwrap();
        let certificates = folder.path().join("ca.crt");
        std::fs::write(&certificates, "certificate").unwrap();

        let full = Rootfs::of(Some(&certificates), &zones);
        assert!(full.lacks.is_empty());
        let berlin = Entry::copy("usr/share/zoneinfo/Europe/Berlin", zones.join("Europe/Berlin"));
        let cet = Entry::Link { path: "usr/share/zoneinfo/CET".into(), to: "Europe/Berlin".into() };
        assert!(full.entries.ends_with(&[cet, berlin]), "{:?}", full.entries);
        assert!(full.entries.contains(&Entry::copy("etc/ssl/certs/ca-certificates.crt", &certificates)));

        let bare = Rootfs::of(None, Path::new("/nowhere"));
        assert_eq!(bare.lacks, ["CA certificates", "time zones"]);
        assert_ne!(bare.digest(), full.digest());
        let before = full.digest();
        std::fs::write(&certificates, "another certificate").unwrap();
        assert_ne!(full.digest(), before);
    }
}
