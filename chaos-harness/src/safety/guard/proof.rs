//! Proves to a process that it was asked to be a guard, and by whom.
//!
//! Whoever may only set variables cannot give this proof. The guard's standard input is a pipe, and its first line is a
//! word that was drawn for this guard alone and also stands in the variable. The process that the variable names is the
//! guard's parent and runs the same program; it may only be missing because it has ended meanwhile.

use std::ffi::OsStr;
use std::io::{BufRead, Stdin, StdinLock};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::process::{Pid, getppid};
use thiserror::Error;

use super::VARIABLE;
use crate::runtime::{Owner, start_time};

/// The word is in the pipe before the guard is started, so this is plenty.
const WITHIN: Duration = Duration::from_secs(5);

/// A process that guards, and how it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) owner: String,
    pub(super) word: String,
}

/// Nobody asked this process to be a guard.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Unasked {
    #[error("its value `{0}` names no process and word")]
    Value(String),
    #[error("standard input is no pipe")]
    NoPipe,
    #[error("its parent is process {parent}, not process {owner}")]
    Parent { parent: u32, owner: u32 },
    #[error("process {0} runs another program")]
    Program(u32),
    #[error("standard input does not begin with the word")]
    Word,
}

impl Asked {
    /// The value of the variable for a guard of `owner`.
    pub(super) fn value(&self) -> String {
        format!("{} {}", self.owner, self.word)
    }

    /// Checks the proof; ends within [`WITHIN`].
    pub(super) fn check(value: &OsStr, lease: &Stdin) -> Result<Self, Unasked> {
        let asked = Self::parse(value).ok_or_else(|| Unasked::Value(value.to_string_lossy().into_owned()))?;
        let is_pipe = fstat(lease).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
        if !is_pipe {
            return Err(Unasked::NoPipe);
        }
        check_parent(&asked.owner)?;
        match first_line(lease.lock(), asked.word.len()) {
            Some(line) if line == asked.word.as_bytes() => Ok(asked),
            _ => Err(Unasked::Word),
        }
    }

    fn parse(value: &OsStr) -> Option<Self> {
        let (owner, word) = value.to_str()?.rsplit_once(' ')?;
        owner.parse::<Owner>().ok()?;
        (!word.is_empty()).then(|| Self { owner: owner.to_owned(), word: word.to_owned() })
    }
}

fn check_parent(owner: &str) -> Result<(), Unasked> {
    let Ok(owner) = owner.parse::<Owner>() else { return Err(Unasked::Value(owner.to_owned())) };
    if owner.is_gone() {
        return Ok(());
    }
    let parent = Pid::as_raw(getppid()).unsigned_abs();
    if parent != owner.pid || start_time(parent) != Some(owner.started) {
        return Err(Unasked::Parent { parent, owner: owner.pid });
    }
    let program = |process: &str| std::fs::metadata(format!("/proc/{process}/exe"));
    match (program(&parent.to_string()), program("self")) {
        (Ok(one), Ok(other)) if (one.dev(), one.ino()) != (other.dev(), other.ino()) => Err(Unasked::Program(parent)),
        // One with capabilities may not be looked at.
        _ => Ok(()),
    }
}

/// The first line, if it comes in time and is no longer than `longest`.
fn first_line(mut lease: StdinLock<'_>, longest: usize) -> Option<Vec<u8>> {
    let (since, mut line) = (Instant::now(), Vec::new());
    while line.len() <= longest && since.elapsed() < WITHIN {
        let left = Timespec::try_from(WITHIN.saturating_sub(since.elapsed())).ok()?;
        // An interrupted wait is tried again.
        if !matches!(poll(&mut [PollFd::new(&lease, PollFlags::IN)], Some(&left)), Ok(1)) {
            continue;
        }
        let heard = lease.fill_buf().ok().filter(|heard| !heard.is_empty())?;
        let end = heard.iter().position(|byte| *byte == b'\n');
        let length = end.unwrap_or(heard.len()).min(longest + 1);
        line.extend_from_slice(&heard[..length]);
        lease.consume(if end == Some(length) { length + 1 } else { length });
        if end == Some(length) {
            return Some(line);
        }
    }
    None
}

/// What a process says that was not asked.
pub(super) fn refusal(reason: &Unasked) -> String {
    format!(
        "error: {VARIABLE} is set, which makes a test guard another process instead of running, and {reason}; \
         unset {VARIABLE} (`unset {VARIABLE}`): the harness sets it where it is needed"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::owner_of_this_process;

    #[test]
    fn a_value_survives() {
        let asked = Asked { owner: owner_of_this_process(), word: "w".to_owned() };
        assert_eq!(Asked::parse(OsStr::new(&asked.value())), Some(asked));
    }

    #[test]
    fn what_names_no_process_and_word_is_none() {
        let owner = owner_of_this_process();
        for value in ["", "x", "1", "1/2 w", &owner, &format!("{owner} ")] {
            assert_eq!(Asked::parse(OsStr::new(value)), None, "{value}");
        }
    }

    #[test]
    fn this_process_is_not_its_own_parent() {
        let refused = check_parent(&owner_of_this_process());
        assert!(matches!(refused, Err(Unasked::Parent { .. })), "{refused:?}");
    }

    #[test]
    fn a_parent_that_runs_another_program_did_not_ask() {
        let pid = Pid::as_raw(getppid()).unsigned_abs();
        let parent = Owner { pid, started: start_time(pid).unwrap(), ..Owner::this_process() };
        assert_eq!(check_parent(&parent.to_string()), Err(Unasked::Program(pid)));
    }
}
