//! Killing a container's process as a crash would end it.
//!
//! The engine takes a kill through its API for a wish that the container be down, and does not apply the
//! restart policy. A signal from outside the engine is a crash to it, which is what the fault means.

use bollard::Docker;
use bollard::query_parameters::KillContainerOptionsBuilder;
use rustix::process::{Pid, Signal, kill_process};

use super::client::engine;
use crate::runtime::{Killed, RuntimeError};
use crate::topology::InstanceId;

/// Sends `SIGKILL` to process `pid` where this machine runs it for `container` and permits it.
/// Returns whether it did.
pub(super) fn process(pid: u32, container: &str) -> Result<bool, RuntimeError> {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let (Some(raw), true) = (raw, is_of(pid, container)) else {
        return Ok(false);
    };
    match kill_process(raw, Signal::KILL) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::PERM | rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(RuntimeError::io(format!("kill process {pid}"))(error.into())),
    }
}

/// Whether process `pid` of this machine belongs to `container`. The control group names it: a guard against another
/// machine's or a reused process id.
pub(super) fn is_of(pid: u32, container: &str) -> bool {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    !container.is_empty() && groups.contains(container)
}

/// Kills through the engine, for a user who may not signal the container's processes. The harness then
/// stands in for the restart policy that the engine does not apply, after the engine's own first delay.
pub(super) async fn through_engine(docker: &Docker, name: &str, id: &InstanceId) -> Result<Killed, RuntimeError> {
    let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
    docker.kill_container(name, Some(options)).await.map_err(engine(format!("kill {id}")))?;
    let details = docker.inspect_container(name, None).await.map_err(engine(format!("inspect {id}")))?;
    let policy = details.host_config.and_then(|host| host.restart_policy).and_then(|policy| policy.name);
    if policy != Some(bollard::models::RestartPolicyNameEnum::ALWAYS) {
        return Ok(Killed { mechanism: "SIGKILL through the engine".to_owned() });
    }
    let (docker, name) = (docker.clone(), name.to_owned());
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        if let Err(error) = docker.start_container(&name, None).await {
            tracing::error!(%error, container = name, "could not be started again");
        }
    });
    Ok(Killed { mechanism: "SIGKILL through the engine; restarted by the harness in its stead".to_owned() })
}
