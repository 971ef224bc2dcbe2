//! A program that is no test has a guard of its own as well.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chaos_harness::hypothesis::Verdict;
use chaos_harness::journal::read_dir;

use crate::traces;

/// The example, built if need be.
fn example() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--package", "chaos-harness", "--example", "program"]);
    assert!(cargo.status().unwrap().success());
    let folder = std::env::current_exe().unwrap();
    folder.ancestors().nth(2).unwrap().join("examples/program")
}

fn start(folder: &Path) -> Child {
    let mut program = Command::new(example());
    program.args(["--for", "the nightly job"]).env("CHAOS_DIR", folder).env("CHAOS_RUNTIME", "process");
    program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn runs_experiments_as_a_test_does() {
    let folder = tempfile::tempdir().unwrap();
    let output = start(folder.path()).wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let entries = read_dir(&folder.path().join("journal")).unwrap();
    let journals: Vec<_> = entries.into_iter().map(|entry| entry.journal.unwrap()).collect();
    let [journal] = &journals[..] else { panic!("one journal, not {}", journals.len()) };
    assert_eq!((journal.test.test.as_str(), &journal.verdict), ("slow_products", &Some(Verdict::Upheld)));
    assert!(journal.replay.ends_with("examples/program --for 'the nightly job'"), "{}", journal.replay);
}

#[test]
fn leaves_nothing_when_it_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = start(folder.path());
    while traces::processes("CHAOS_HARNESS_OWNER", program.id()).is_empty() {
        assert_eq!(program.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(10));
    }
    program.kill().unwrap();
    program.wait().unwrap();
    let gone = traces::wait_until_gone(program.id(), folder.path(), "a program");
    eprintln!("a program: clean after {gone:?}");
}
