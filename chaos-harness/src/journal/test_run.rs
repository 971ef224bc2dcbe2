//! The run of the tests that a journal belongs to.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::file_name;
use crate::VariableError;
use crate::invocation::Invocation;
use crate::variables;

/// What `--run` of the tools understands by itself.
const TAKEN: [&str; 2] = ["latest", "all"];

/// One run of the tests: everything that one `cargo test` or `cargo nextest run` starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestRun {
    /// Names the run: `CHAOS_RUN`, else nextest's id of it, else the cargo process above the test, else the test's own.
    pub id: String,
    /// When the command that runs the tests was started.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// Which attempt of the runner at this test it is, from 1.
    pub attempt: u32,
    /// The executable of the test.
    pub executable: String,
}

/// A run that cannot be named as it should.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TestRunError {
    /// The tools mean something else by it.
    #[error("CHAOS_RUN is `{id}`, which `--run` takes for something else; choose another name")]
    Taken {
        /// The name.
        id: String,
    },
    /// It is no text.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// Its folder could not be made.
    #[error(
        "CHAOS_RUN takes {length} bytes as the name of a folder, more than {}; choose a shorter one",
        file_name::LONGEST
    )]
    TooLong {
        /// Its length.
        length: usize,
    },
}

impl TestRun {
    /// The run that this process belongs to. All processes of one run find the same.
    ///
    /// # Errors
    /// When `CHAOS_RUN` is no usable name.
    pub fn current() -> Result<Self, TestRunError> {
        let process = Invocation::of_this_process().unwrap_or_else(Invocation::by_hand);
        let id = variables::text("CHAOS_RUN")?.or(variables::text("NEXTEST_RUN_ID")?);
        let id = id.unwrap_or_else(|| name_of(&process));
        check(&id)?;
        Ok(Self {
            id,
            started_at: process.started_at(),
            attempt: variables::text("NEXTEST_ATTEMPT")?.and_then(|attempt| attempt.parse().ok()).unwrap_or(1),
            executable: std::env::current_exe().unwrap_or_default().display().to_string(),
        })
    }

    /// The folder of its journals: its id, with everything but letters, digits, `-` and `_` as `%` and the byte's number,
    /// so that no two runs share one.
    pub fn folder(&self) -> String {
        file_name::bounded(file_name::encode(&self.id), file_name::LONGEST)
    }
}

fn check(id: &str) -> Result<(), TestRunError> {
    if TAKEN.contains(&id) {
        return Err(TestRunError::Taken { id: id.to_owned() });
    }
    match file_name::encode(id).len() {
        length if length > file_name::LONGEST => Err(TestRunError::TooLong { length }),
        _ => Ok(()),
    }
}

/// The same for every process that asks: no clock on the wall is in it, since that may be set meanwhile.
fn name_of(process: &Invocation) -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let boot: String = boot.chars().take(8).collect();
    format!("{boot}-{}-{}", process.ticks, process.pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str) -> TestRun {
        TestRun { id: id.to_owned(), started_at: Timestamp::UNIX_EPOCH, attempt: 1, executable: String::new() }
    }

    #[test]
    fn a_folder_tells_its_run() {
        for id in ["7", "refs/heads/x #12", "../..", ".hidden", "a.b", "50%", "Größe", "a%2Fb", ""] {
            let folder = run(id).folder();
            assert!(!folder.contains('/') && !folder.starts_with('.'), "{folder}");
            assert_eq!(file_name::decode(&folder), id);
        }
        assert_ne!(run("a/b").folder(), run("a%2Fb").folder());
        assert_eq!(file_name::decode("a.b"), "a.b", "as it was written before");
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        assert_eq!(check("latest"), Err(TestRunError::Taken { id: "latest".to_owned() }));
        assert_eq!(check(&"/".repeat(100)), Err(TestRunError::TooLong { length: 300 }));
        assert_eq!(check("pull/7"), Ok(()));
    }

    #[test]
    fn every_process_of_a_run_finds_the_same() {
        let (one, two) = (TestRun::current().unwrap(), TestRun::current().unwrap());
        assert_eq!((&one.id, one.attempt), (&two.id, two.attempt));
        let apart = one.started_at.duration_since(two.started_at).as_secs_f64().abs();
        assert!(apart < 1.0, "{apart} s");
    }
}
