//! Processes of targets on this machine, and how many descriptors each may have open.

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde::{Deserialize, Serialize};

use super::session::start_time;
use super::{RuntimeError, process};
use crate::safety::undo::Scope;

/// A process, told apart from a later one of its number by when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// In clock ticks since the machine started.
    pub started: u64,
}

/// The first process of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetProcess {
    /// Which it is.
    pub process: Process,
    /// What it is of, for the undo log: `container 3f2a...`, `inventory-1`.
    pub of: String,
}

/// The descriptors of a process. A new one takes the lowest free number, which must be below the limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptors {
    /// The numbers of those that are open.
    pub open: BTreeSet<u64>,
    /// The limit in force, which the process may move itself.
    pub soft: u64,
    /// Up to here.
    pub hard: u64,
}

impl Descriptors {
    /// How many more can be opened.
    pub fn room(&self) -> u64 {
        self.soft.saturating_sub(self.open.range(..self.soft).count() as u64)
    }

    /// The limit under which so many more can be opened.
    pub fn limit_leaving(&self, left: u64) -> u64 {
        let mut limit = left;
        for open in &self.open {
            if *open > limit {
                break;
            }
            limit += 1;
        }
        limit
    }
}

impl Process {
    /// The process that has this number now; `None` when there is none.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started: start_time(pid)? })
    }

    /// Whether it has not ended.
    pub(crate) fn is_there(self) -> bool {
        start_time(self.pid) == Some(self.started)
    }

    /// Whether it carries the marks of the scope's environment or runs in a container within the scope; `false` once it has
    /// ended.
    ///
    /// # Errors
    /// [`RuntimeError::NotOfEnvironment`] for any other.
    pub(crate) async fn is_within(self, scope: &Scope) -> Result<bool, RuntimeError> {
        if !self.is_there() || process::is_of_environment(self.pid, &scope.environment) {
            return Ok(self.is_there());
        }
        #[cfg(feature = "docker")]
        let held = super::docker::holds_process(self.pid, scope).await;
        #[cfg(not(feature = "docker"))]
        let held = Err(scope.refusal(self.to_string()));
        // One that ended meanwhile could not be looked at.
        if self.is_there() { held } else { Ok(false) }
    }

    /// The processes that it has started and that run, in order of their numbers.
    fn children(self) -> Vec<Self> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
        let pids: BTreeSet<u32> = lists.flat_map(|list| pids(&list)).collect();
        pids.into_iter().filter_map(Self::of).collect()
    }

    /// Itself and all that descend from it, each with its parent; none once it has ended.
    pub(crate) fn family(self) -> Vec<(Self, Option<Self>)> {
        let mut family = vec![(self, None)];
        family.retain(|(process, _)| process.is_there());
        let mut next = 0;
        while let Some((parent, _)) = family.get(next).copied() {
            family.extend(parent.children().into_iter().map(|child| (child, Some(parent))));
            next += 1;
        }
        family
    }

    /// Its descriptors; `None` once it has ended.
    pub(crate) fn descriptors(self) -> Result<Option<Descriptors>, RuntimeError> {
        let action = || format!("see the descriptors of process {}", self.pid);
        let read = || {
            let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.pid))?;
            let (soft, hard) = limit_on_files(&limits).ok_or_else(|| Error::other("it has no limit on open files"))?;
            let names = std::fs::read_dir(format!("/proc/{}/fd", self.pid))?;
            let open = names.flatten().filter_map(|name| name.file_name().to_str()?.parse().ok()).collect();
            Ok(Descriptors { open, soft, hard })
        };
        match read() {
            _ if !self.is_there() => Ok(None),
            Err(error) => Err(refused(error, action())),
            Ok(descriptors) => Ok(Some(descriptors)),
        }
    }

    /// Sets its limit on descriptors, at most to the hard one; one that has ended is fine.
    pub(crate) fn limit_descriptors(self, soft: u64) -> Result<(), RuntimeError> {
        let action = || format!("limit the descriptors of process {}", self.pid);
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.pid)).unwrap_or_default();
        let Some((now, hard)) = limit_on_files(&limits) else {
            return if self.is_there() { Err(refused(ErrorKind::NotFound.into(), action())) } else { Ok(()) };
        };
        let raw = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let (Some(raw), true) = (raw, self.is_there() && now != soft) else { return Ok(()) };
        let limit = Rlimit { current: Some(soft.min(hard)), maximum: Some(hard) };
        match prlimit(Some(raw), Resource::Nofile, limit) {
            Ok(_) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(refused(error.into(), action())),
        }
    }
}

/// For the journal: `process 4711`.
impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {}", self.pid)
    }
}

fn refused(error: Error, action: String) -> RuntimeError {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            RuntimeError::NotPermitted { action, instead: "as the user that the target runs as" }
        }
        _ => RuntimeError::io(action)(error),
    }
}

fn pids(list: &str) -> Vec<u32> {
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The soft and the hard limit on open files, from `/proc/PID/limits`.
fn limit_on_files(limits: &str) -> Option<(u64, u64)> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words = line.split_whitespace().map_while(|word| word.parse().ok());
    Some((words.next()?, words.next()?))
}

/// What undoes a change of one process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "undo")]
#[non_exhaustive]
pub enum ProcessUndo {
    /// Set its limit on descriptors back.
    Descriptors {
        /// Which process.
        process: Process,
        /// What it is of.
        of: String,
        /// The soft limit that there was.
        soft: u64,
    },
}

impl ProcessUndo {
    /// Takes the step; a process that has ended has nothing to undo, and a later one of its number is left alone.
    ///
    /// # Errors
    /// When the change may still be there.
    pub(crate) fn take(&self) -> Result<(), RuntimeError> {
        let Self::Descriptors { process, soft, .. } = self;
        process.limit_descriptors(*soft)
    }

    /// Takes the step where the process is within `scope`.
    ///
    /// # Errors
    /// [`RuntimeError::NotOfEnvironment`] where it is not; else as [`take`](Self::take).
    pub(crate) async fn take_within(&self, scope: &Scope) -> Result<(), RuntimeError> {
        let Self::Descriptors { process, .. } = self;
        if process.is_within(scope).await? { self.take() } else { Ok(()) }
    }
}

impl std::fmt::Display for ProcessUndo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Descriptors { process, of, soft } = self;
        write!(f, "limit the descriptors of {process} of {of} to {soft}")
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A shell that waits, and a child of it that does. The child opens nothing any more once it is ready: a program that is
    /// still being loaded would end for want of descriptors.
    fn shell() -> (Child, Process) {
        let mut command = Command::new("sh");
        command.args(["-c", "exec 3<&0; (exec <&3; echo ready; read _) & wait"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
        let process = Process::of(child.id()).unwrap();
        (child, process)
    }

    fn end(mut child: Child, family: &[(Process, Option<Process>)]) {
        for (process, _) in family {
            let _ = rustix::process::kill_process(
                Pid::from_raw(process.pid as i32).unwrap(),
                rustix::process::Signal::KILL,
            );
        }
        child.wait().unwrap();
    }

    #[test]
    fn room_is_counted_below_the_limit() {
        let open = |open: &[u64], soft| Descriptors { open: open.iter().copied().collect(), soft, hard: 100 };
        let holey = open(&[0, 1, 3, 9], 6);
        assert_eq!(holey.room(), 3);
        assert_eq!((holey.limit_leaving(0), holey.limit_leaving(1), holey.limit_leaving(2)), (2, 4, 5));
        assert_eq!((open(&[0, 1, 2], 3).room(), open(&[5], 0).room()), (0, 0));
        for left in 0..9 {
            let limited = Descriptors { soft: holey.limit_leaving(left), ..holey.clone() };
            assert_eq!(limited.room(), left, "{limited:?}");
        }
    }

    #[test]
    fn a_limit_is_set_and_set_back_on_a_family() {
        let (child, process) = shell();
        let family = process.family();
        assert_eq!((family.len(), family[0], family[1].1), (2, (process, None), Some(process)), "{family:?}");
        for (process, _) in &family {
            let before = process.descriptors().unwrap().unwrap();
            let limit = before.limit_leaving(0);
            process.limit_descriptors(limit).unwrap();
            let now = process.descriptors().unwrap().unwrap();
            assert_eq!((now.room(), now.soft, now.hard), (0, limit, before.hard));
            let undo = ProcessUndo::Descriptors { process: *process, of: "test".to_owned(), soft: before.soft };
            undo.take().unwrap();
            undo.take().unwrap();
            assert_eq!(process.descriptors().unwrap().unwrap().soft, before.soft);
        }
        end(child, &family);
        assert_eq!((process.descriptors().unwrap(), process.family()), (None, vec![]));
    }

    #[test]
    fn a_later_process_of_the_number_is_left_alone() {
        let (child, process) = shell();
        let earlier = Process { started: process.started - 1, ..process };
        ProcessUndo::Descriptors { process: earlier, of: "test".to_owned(), soft: 3 }.take().unwrap();
        assert_ne!(process.descriptors().unwrap().unwrap().soft, 3);
        assert_eq!(earlier.descriptors().unwrap(), None);
        end(child, &process.family());
    }

    /// Only root can become another user.
    #[test]
    fn who_may_not_is_told_so() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (child, process) = shell();
        let refused = std::thread::spawn(move || {
            // For this thread alone.
            rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65534)).unwrap();
            process.limit_descriptors(3).unwrap_err().to_string()
        });
        let refused = refused.join().unwrap();
        assert!(refused.contains("may not limit the descriptors of process"), "{refused}");
        assert!(refused.contains("as root, or as the user that the target runs as"), "{refused}");
        end(child, &process.family());
    }
}
