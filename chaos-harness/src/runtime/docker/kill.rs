//! Signals to a container's process, as a crash or somebody on its machine would send them.
//!
//! The engine takes a kill through its API for a wish that the container be down, and does not apply the
//! restart policy. A signal from outside the engine is a crash to it, which is what the fault means.

use bollard::Docker;
use bollard::query_parameters::KillContainerOptionsBuilder;
use rustix::process::{Pid, kill_process};

use super::client::engine;
use super::stand_in::{self, StandIns};
use crate::runtime::{RuntimeError, Signal};
use crate::topology::InstanceId;

/// Sends `signal` to process `pid` where this machine runs it for `container` and permits it.
/// Returns whether it did.
pub(super) fn process(pid: u32, container: &str, signal: Signal) -> Result<bool, RuntimeError> {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let (Some(raw), true) = (raw, is_of(pid, container)) else {
        return Ok(false);
    };
    match kill_process(raw, signal.raw()) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::PERM | rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(RuntimeError::io(format!("send {signal} to process {pid}"))(error.into())),
    }
}

/// Whether process `pid` of this machine belongs to `container`. The control group names it: a guard against another
/// machine's or a reused process id.
pub(super) fn is_of(pid: u32, container: &str) -> bool {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    !container.is_empty() && groups.contains(container)
}

/// The process of the service in a container that runs under a little init: its first child. The kernel keeps from an init
/// what it does not handle, so a `SIGSEGV` to it would do nothing.
pub(super) fn service(init: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).unwrap_or_default();
    children.split_whitespace().find_map(|pid| pid.parse().ok()).unwrap_or(init)
}

/// Signals through the engine, for a user who may not signal the container's processes; says how. The harness then
/// stands in for the restart policy that the engine does not apply.
pub(super) async fn through_engine(
    docker: &Docker,
    stand_ins: &StandIns,
    (name, id): (&str, &InstanceId),
    signal: Signal,
) -> Result<String, RuntimeError> {
    let details = docker.inspect_container(name, None).await.map_err(engine(format!("inspect {id}")))?;
    let options = KillContainerOptionsBuilder::new().signal(signal.name()).build();
    docker.kill_container(name, Some(options)).await.map_err(engine(format!("send {signal} to {id}")))?;
    let policy = stand_in::policy(details.host_config.and_then(|host| host.restart_policy));
    if !policy.brings_back() {
        return Ok(format!("{signal} through the engine"));
    }
    stand_ins.stand_in(docker.clone(), name.to_owned(), id, policy);
    Ok(format!("{signal} through the engine; restarted by the harness in its stead"))
}
