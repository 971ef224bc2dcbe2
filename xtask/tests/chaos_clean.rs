//! `cargo xtask chaos-clean` and `chaos-halt`, as processes.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::path::Path;
use std::process::Command;

fn xtask(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    // A socket where no engine is: what others have left with one is not this test's business.
    let command =
        command.args(arguments).env("CHAOS_DIR", folder).env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// An undo log of process 1 as it was before this machine was last started.
fn orphan(folder: &Path) {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let (owner, boot) = (if machine.is_empty() { "1/1" } else { "1/0" }, "an-earlier-boot");
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap();
    let current = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let boot = if machine.is_empty() { current.trim() } else { boot };
    let owner = format!("{owner}/{}/{boot}/{}", machine.trim(), namespace.display());
    let header = format!(r#"{{"environment":"chaos-gone-1","owner":"{owner}","runtime":"process","until_ms":1}}"#);
    std::fs::create_dir_all(folder.join("undo")).unwrap();
    std::fs::write(folder.join("undo/chaos-gone-1.jsonl"), header + "\n").unwrap();
}

#[test]
fn it_finds_then_cleans_then_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (status, said) = xtask(folder.path(), &["chaos-clean", "--check"]);
    assert_eq!(status, Some(0), "{said}");
    orphan(folder.path());
    let (status, said) = xtask(folder.path(), &["chaos-clean", "--check"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("left: undo log of chaos-gone-1"), "{said}");
    let (status, said) = xtask(folder.path(), &["chaos-clean"]);
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = xtask(folder.path(), &["chaos-clean", "--check"]);
    assert_eq!((status, said.as_str()), (Some(0), "nothing is left of test processes that are gone\n"));
}

#[test]
fn what_is_no_undo_log_is_named() {
    let folder = tempfile::tempdir().unwrap();
    orphan(folder.path());
    std::fs::write(folder.path().join("undo/strange.jsonl"), "nonsense\n").unwrap();
    let (status, said) = xtask(folder.path(), &["chaos-clean"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("strange.jsonl cannot be read"), "{said}");
    assert!(!folder.path().join("undo/chaos-gone-1.jsonl").exists(), "the others are taken away");
}

#[test]
fn it_halts_nothing_where_nothing_runs() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(xtask(folder.path(), &["chaos-halt"]), (Some(0), "no experiment runs\n".to_owned()));
    let (status, said) = xtask(folder.path(), &["chaos-halt", "--wait", "soon"]);
    assert_eq!(status, Some(2));
    assert!(said.contains("soon"), "{said}");
}
