//! The system calls behind a child's life.
#![allow(unsafe_code)]

use std::time::Duration;

pub(super) use rustix::process::Signal;
use rustix::process::{Pid, Resource, getppid, kill_process_group, set_parent_process_death_signal, setrlimit};
use tokio::process::Command;

use crate::runtime::RuntimeError;
use crate::shortage::descriptors_for_children;

/// Makes the child die when the thread that spawns it ends, at the latest when this process does, and gives it the limit
/// on descriptors that this process was started with.
pub(super) fn die_with_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    let descriptors = descriptors_for_children();
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. These are three bare system
    // calls (setrlimit, prctl, getppid) that neither allocate nor lock.
    unsafe {
        command.pre_exec(move || {
            setrlimit(Resource::Nofile, descriptors)?;
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died before the call above; then nobody would ever kill this child.
            if getppid() == Some(parent) { Ok(()) } else { Err(rustix::io::Errno::SRCH.into()) }
        });
    }
}

/// Sends `signal` to the process group that `pid` leads. A group that is gone is fine.
pub(super) fn signal(pid: u32, signal: Signal) -> Result<(), RuntimeError> {
    let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    match kill_process_group(group, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(RuntimeError::io(format!("signal process group {pid}"))(error.into())),
    }
}

/// Whether `pid` runs: it is there, and neither stopped nor ended.
pub(super) fn runs(pid: u32) -> bool {
    let stopped =
        |stat: String| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['T', 'Z']));
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stopped(stat))
}

/// Waits until the kernel has stopped `pid`: the signal is delivered a moment after the call.
pub(super) async fn wait_until_stopped(pid: u32) {
    while runs(pid) {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}
