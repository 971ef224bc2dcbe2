//! What is believed, and what is not.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn name(text: &str) -> &std::ffi::OsStr {
    text.as_ref()
}

#[test]
fn what_is_checked_is_what_is_read_whatever_becomes_of_the_path() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("mine");
    let folder = Folder::make(&path).unwrap();
    std::io::Write::write_all(&mut folder.create("a").unwrap(), b"as it was").unwrap();
    let planted = place.path().join("planted");
    fs::create_dir(&planted).unwrap();
    fs::write(planted.join("a"), "planted").unwrap();
    fs::rename(&path, place.path().join("away")).unwrap();
    symlink(&planted, &path).unwrap();
    assert_eq!(folder.read(name("a"), 100).unwrap().unwrap(), b"as it was");
    folder.replace("a", b"new").unwrap();
    folder.create("b").unwrap();
    assert_eq!(fs::read(planted.join("a")).unwrap(), b"planted");
    assert_eq!((folder.names().unwrap(), fs::read_dir(&planted).unwrap().count()), (vec!["a".into(), "b".into()], 1));
    assert!(matches!(Folder::open(&path), Err(Untrusted::Kind { kind: "a link", .. })));
    assert!(matches!(Folder::make(&path), Err(Untrusted::Kind { kind: "a link", .. })));
}

#[test]
fn what_is_not_there_is_no_error_and_what_is_made_is_private() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a/b");
    assert!(Folder::open(&path).unwrap().is_none());
    let folder = Folder::make(&path).unwrap();
    assert!(folder.file(name("c")).unwrap().is_none() && folder.open_in(name("c")).unwrap().is_none());
    folder.remove("c").unwrap();
    folder.create("c").unwrap();
    assert_eq!(folder.create("c").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&path), mode(&path.join("c"))), (0o700, 0o600));
    assert_eq!((mode(folder.make_in("d").unwrap().path()), folder.make_in("d").is_ok()), (0o700, true));
    assert!(matches!(folder.make_in("c"), Err(Untrusted::Kind { kind: "a file", .. })));
}

#[test]
fn a_file_has_a_kind_an_owner_one_name_and_a_size() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap().unwrap();
    folder.create("a").unwrap().set_len(11).unwrap();
    assert_eq!(folder.read(name("a"), 11).unwrap().unwrap().len(), 11);
    assert!(matches!(folder.read(name("a"), 10), Err(Untrusted::TooLarge { most: 10, .. })));
    fs::hard_link(place.path().join("a"), place.path().join("b")).unwrap();
    assert!(matches!(folder.file(name("a")), Err(Untrusted::Names { names: 2, .. })));
    fs::remove_file(place.path().join("b")).unwrap();
    fs::set_permissions(place.path().join("a"), Permissions::from_mode(0o602)).unwrap();
    assert!(matches!(folder.file(name("a")), Err(Untrusted::Writable { mode: 0o602, .. })));
    symlink("/dev/zero", place.path().join("c")).unwrap();
    assert!(matches!(folder.file(name("c")), Err(Untrusted::Kind { kind: "a link", .. })));
    let devices = Folder::around(Path::new("/dev/zero")).unwrap().unwrap();
    assert!(matches!(devices.file(name("zero")), Err(Untrusted::Kind { kind: "a device", .. })));
}
