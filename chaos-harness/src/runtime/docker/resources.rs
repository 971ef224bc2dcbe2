//! Limits on containers, what they use, and their place in the network.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bollard::Docker;
use bollard::models::{
    ContainerUpdateBody, EndpointSettings, HostConfig, NetworkConnectRequest, NetworkDisconnectRequest,
};

use super::DockerRuntime;
use super::cgroup::Cgroup;
use super::client::{engine, status_code};
use super::pressure;
use crate::runtime::docker_undo::DockerUndo;
use crate::runtime::{
    CPU_PERIOD, ConnectionNow, DiskPace, DiskWrites, Hold, Limit, LimitNow, Pressure, Resource, Resources, Runtime,
    RuntimeError, Space, Usage,
};
use crate::safety::undo::UndoStep;
use crate::topology::InstanceId;

/// What the engine takes for no limit on memory: 0 means no change to it, and it refuses -1. It is what the kernel
/// itself writes where there is none.
const ANY_MEMORY: i64 = i64::MAX - 4095;

/// How long memory may take to fall to a limit.
const SQUEEZED_WITHIN: Duration = Duration::from_secs(5);
const SQUEEZE_PAUSE: Duration = Duration::from_millis(20);
/// A limit is counted in pages, of at most this size.
const PAGE: u64 = 64 << 10;

/// How long the engine may take to notice that a container has ended, before which it refuses to update it.
const NOTICED_WITHIN: Duration = Duration::from_secs(2);

/// Updates a container, also one that has just ended.
pub(super) async fn update_container(
    docker: &Docker,
    container: &str,
    update: impl Fn() -> ContainerUpdateBody,
) -> Result<(), bollard::errors::Error> {
    let since = Instant::now();
    loop {
        match docker.update_container(container, update()).await {
            Err(error) if has_just_ended(&error) && since.elapsed() < NOTICED_WITHIN => {
                tokio::time::sleep(SQUEEZE_PAUSE).await;
            }
            other => return other,
        }
    }
}

/// What the layer below the engine says of a container that the engine takes to run still.
fn has_just_ended(error: &bollard::errors::Error) -> bool {
    error.to_string().contains("cannot update a stopped container")
}

/// Version 1 of control groups refuses a limit below what is in use, where version 2 takes it and kills.
fn is_in_use(error: &bollard::errors::Error) -> bool {
    error.to_string().contains("unable to set memory limit")
}

/// What the engine is told so that `resource` has this limit; `None` for none.
pub(super) fn update(resource: Resource, most: Option<u64>) -> ContainerUpdateBody {
    let most = most.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
    match resource {
        Resource::Cpu => ContainerUpdateBody {
            cpu_period: i64::try_from(CPU_PERIOD).ok(),
            cpu_quota: Some(most.unwrap_or(-1)),
            ..Default::default()
        },
        Resource::Memory => {
            let memory = Some(most.unwrap_or(ANY_MEMORY));
            ContainerUpdateBody { memory, memory_swap: memory, ..Default::default() }
        }
        Resource::Processes => ContainerUpdateBody { pids_limit: Some(most.unwrap_or(-1)), ..Default::default() },
    }
}

/// The limit with which a container is started.
fn configured(resource: Resource, host: &HostConfig) -> Option<u64> {
    let value = match resource {
        Resource::Cpu => host.cpu_quota,
        Resource::Memory => host.memory.filter(|bytes| *bytes < ANY_MEMORY),
        Resource::Processes => host.pids_limit,
    };
    value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0)
}

impl DockerRuntime {
    async fn set_limit(&self, container: &str, resource: Resource, most: Option<u64>) -> Result<(), RuntimeError> {
        let since = Instant::now();
        loop {
            match update_container(&self.docker, container, || update(resource, most)).await {
                Err(error) if is_in_use(&error) && since.elapsed() < SQUEEZED_WITHIN => self.squeeze(container).await,
                other => return other.map_err(engine(format!("limit {resource} of container {container}"))),
            }
        }
    }

    /// Lets a container have no more memory than it has: it gives some back, or the kernel kills it when it wants more.
    /// Either way there is a next try, so it does not matter whether this succeeds.
    async fn squeeze(&self, container: &str) {
        let details = self.docker.inspect_container(container, None).await.ok();
        let pid = details.and_then(|details| details.state?.pid).and_then(|pid| u32::try_from(pid).ok());
        if let Some(usage) = pid.and_then(Cgroup::of).and_then(|group| group.usage()) {
            let used = Some(usage.memory.next_multiple_of(PAGE));
            let _ = self.docker.update_container(container, update(Resource::Memory, used)).await;
        }
        tokio::time::sleep(SQUEEZE_PAUSE).await;
    }

    /// The limit that is in force where the kernel shows it, else the one with which it will start.
    async fn measured(&self, id: &InstanceId, resource: Resource) -> Result<Option<u64>, RuntimeError> {
        let group = self.status(id).await?.pid.and_then(Cgroup::of);
        match group.and_then(|group| group.limit(resource)) {
            Some(limit) => Ok(limit),
            None => Ok(configured(resource, &self.inspect(id).await?.host_config.unwrap_or_default())),
        }
    }

    async fn endpoint(&self, id: &InstanceId) -> Result<Option<EndpointSettings>, RuntimeError> {
        self.port(id)?;
        let networks = self.inspect(id).await?.network_settings.and_then(|settings| settings.networks);
        Ok(networks.and_then(|mut networks| networks.remove(&self.network.name)))
    }

    fn undo_of_limit(container: String, resource: Resource, most: Option<u64>) -> UndoStep {
        UndoStep::Docker(DockerUndo::Limit { container, resource, most })
    }
}

#[async_trait]
impl Resources for DockerRuntime {
    async fn limit(&self, id: &InstanceId, limit: Limit) -> Result<Hold, RuntimeError> {
        self.only_ours(id, "limited")?;
        let mut ledger = self.limits.lock().await;
        let container = self.container(id).await?;
        let key = (id.clone(), limit.resource);
        let before = match ledger.before(&key) {
            Some(before) => before,
            None => configured(limit.resource, &self.inspect(id).await?.host_config.unwrap_or_default()),
        };
        self.undo.note(Self::undo_of_limit(container.clone(), limit.resource, before))?;
        let hold = ledger.add(&key, limit.most, before);
        let due = ledger.due(&key).flatten();
        match self.set_limit(&container, limit.resource, due).await {
            Ok(()) => Ok(hold),
            Err(error) => {
                ledger.remove(hold);
                match ledger.due(&key) {
                    Some(due) => self.set_limit(&container, limit.resource, due).await?,
                    None => self.take(Self::undo_of_limit(container, limit.resource, before)).await?,
                }
                Err(error)
            }
        }
    }

    async fn lift(&self, hold: Hold) -> Result<(), RuntimeError> {
        let mut ledger = self.limits.lock().await;
        let (Some((id, resource)), Some((due, is_held))) = (ledger.holder(hold), ledger.without(hold)) else {
            return Ok(());
        };
        let container = self.container(&id).await?;
        if is_held {
            self.set_limit(&container, resource, due).await?;
        } else {
            self.take(Self::undo_of_limit(container, resource, due)).await?;
        }
        ledger.remove(hold);
        Ok(())
    }

    async fn limit_now(&self, id: &InstanceId, resource: Resource) -> Result<LimitNow, RuntimeError> {
        let ledger = self.limits.lock().await;
        let measured = self.measured(id, resource).await?;
        let due = match ledger.due(&(id.clone(), resource)) {
            Some(due) => due,
            None => configured(resource, &self.inspect(id).await?.host_config.unwrap_or_default()),
        };
        Ok(LimitNow { due, measured })
    }

    async fn usage(&self, id: &InstanceId) -> Result<Usage, RuntimeError> {
        let not_running = || RuntimeError::NotRunning { instance: id.clone(), action: "measured" };
        let pid = self.status(id).await?.pid.ok_or_else(not_running)?;
        let unreadable = || std::io::Error::other(format!("the control group of process {pid} cannot be read"));
        let usage = Cgroup::of(pid).and_then(|group| group.usage());
        usage.ok_or_else(|| RuntimeError::io(format!("measure {id}"))(unreadable()))
    }

    fn oom_kills(&self, id: &InstanceId) -> u64 {
        self.out_of_memory.count(id)
    }

    async fn disconnect(&self, id: &InstanceId) -> Result<Hold, RuntimeError> {
        self.only_ours(id, "taken off its networks")?;
        let mut offline = self.offline.lock().await;
        let container = self.container(id).await?;
        if let Some(endpoint) = self.endpoint(id).await? {
            let step = self.undo_of_disconnect(container.clone(), endpoint.aliases.unwrap_or_default());
            self.undo.note(step.clone())?;
            let request = NetworkDisconnectRequest { container, force: Some(true) };
            if let Err(error) = self.docker.disconnect_network(&self.network.name, request).await {
                self.take(step).await?;
                return Err(engine(format!("take {id} off network {}", self.network.name))(error));
            }
        }
        Ok(offline.add(id))
    }

    async fn reconnect(&self, hold: Hold) -> Result<(), RuntimeError> {
        let mut offline = self.offline.lock().await;
        if let Some(id) = offline.last_of(hold) {
            let of = self.container(&id).await?;
            let noted = self.undo.noted().into_iter().find(
                |step| matches!(step, UndoStep::Docker(DockerUndo::Connect { container, .. }) if *container == of),
            );
            if let Some(step) = noted {
                self.take(step).await?;
            }
        }
        offline.remove(hold);
        Ok(())
    }

    async fn connection_now(&self, id: &InstanceId) -> Result<ConnectionNow, RuntimeError> {
        let offline = self.offline.lock().await;
        Ok(ConnectionNow { due: !offline.holds(id), measured: self.endpoint(id).await?.is_some() })
    }

    async fn press(&self, id: &InstanceId, pressure: &Pressure) -> Result<Hold, RuntimeError> {
        self.only_ours(id, "put under pressure")?;
        let (_, container) = self.running(id, "pressed").await?;
        let presser = pressure::press(&self.docker, &container, id, pressure).await?;
        Ok(self.pressers.lock().await.add(presser))
    }

    async fn release(&self, hold: Hold) -> Result<(), RuntimeError> {
        self.pressers.lock().await.end(&self.docker, hold).await
    }

    async fn presses(&self, hold: Hold) -> Result<bool, RuntimeError> {
        let exec = self.pressers.lock().await.exec(hold);
        match exec {
            Some(exec) => pressure::is_running(&self.docker, &exec).await,
            None => Ok(false),
        }
    }

    async fn slow_disk(&self, id: &InstanceId, folder: &str, pace: DiskPace) -> Result<Hold, RuntimeError> {
        self.only_ours(id, "given a slow disk")?;
        self.hold_pace(id, folder, pace).await
    }

    async fn quicken_disk(&self, hold: Hold) -> Result<(), RuntimeError> {
        self.release_pace(hold).await
    }

    async fn disk_now(&self, id: &InstanceId, folder: &str, pace: DiskPace) -> Result<(LimitNow, u64), RuntimeError> {
        self.pace_now(id, folder, pace).await
    }

    async fn sync_time(
        &self,
        id: &InstanceId,
        folder: &str,
        writes: DiskWrites,
        rounds: u32,
    ) -> Result<Duration, RuntimeError> {
        let (_, container) = self.running(id, "measured").await?;
        pressure::sync_time(&self.docker, &container, id, folder, writes, rounds).await
    }

    async fn space(&self, id: &InstanceId, folder: &str) -> Result<Space, RuntimeError> {
        let (_, container) = self.running(id, "measured").await?;
        pressure::space(&self.docker, &container, id, folder).await
    }
}

impl DockerRuntime {
    fn undo_of_disconnect(&self, container: String, mut aliases: Vec<String>) -> UndoStep {
        // The engine adds the short id by itself.
        aliases.retain(|alias| !container.starts_with(alias.as_str()));
        UndoStep::Docker(DockerUndo::Connect { container, network: self.network.name.clone(), aliases })
    }
}

/// Puts a container back on a network; one that is there already is fine.
pub(super) async fn connect_again(
    docker: &bollard::Docker,
    container: &str,
    network: &str,
    aliases: &[String],
) -> Result<(), bollard::errors::Error> {
    let endpoint = EndpointSettings { aliases: Some(aliases.to_vec()), ..Default::default() };
    let request = NetworkConnectRequest { container: container.to_owned(), endpoint_config: Some(endpoint) };
    match docker.connect_network(network, request).await {
        Err(error)
            if matches!(status_code(&error), Some(403 | 500)) && error.to_string().contains("already exists") =>
        {
            Ok(())
        }
        other => other,
    }
}
