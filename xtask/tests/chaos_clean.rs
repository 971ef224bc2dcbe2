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
    assert!(said.contains("strange.jsonl cannot be read") && !said.contains("nothing is left"), "{said}");
    assert!(!folder.path().join("undo/chaos-gone-1.jsonl").exists(), "the others are taken away");
}

/// The log says nothing of its owner, which is gone by its name.
#[test]
fn a_log_without_its_first_line_is_carried_out_and_the_rest_of_it_named() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("undo/chaos-shop-4294967295-1-1.jsonl");
    std::fs::create_dir_all(log.parent().unwrap()).unwrap();
    let step =
        r#"{"note":{"on":"process","undo":"descriptors","process":{"pid":4294967295,"started":1},"of":"x","soft":7}}"#;
    let write = |lines: &[&str]| std::fs::write(&log, lines.join("\n") + "\n").unwrap();
    write(&["{\"environment\":\"cha", step, r#"{"note":{"on":"moon"}}"#]);
    let (status, said) = xtask(folder.path(), &["chaos-clean", "--check"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("left: not undone: limit the descriptors of process 4294967295"), "{said}");
    let (status, said) = xtask(folder.path(), &["chaos-clean"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("2 lines of the undo log") && !said.contains("nothing is left"), "{said}");
    let left = std::fs::read_to_string(&log).unwrap();
    assert!(left.contains("moon") && !left.contains("descriptors"), "{left}");
    write(&[step]);
    let (status, said) = xtask(folder.path(), &["chaos-clean"]);
    assert_eq!((status, log.exists()), (Some(0), false), "{said}");
}

#[test]
fn it_halts_nothing_where_nothing_runs() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(xtask(folder.path(), &["chaos-halt"]), (Some(0), "no experiment runs\n".to_owned()));
    let (status, said) = xtask(folder.path(), &["chaos-halt", "--wait", "soon"]);
    assert_eq!(status, Some(2));
    assert!(said.contains("soon"), "{said}");
}
