//! Targets as containers of a Docker engine; one labelled network per environment.

mod address;
mod cgroup;
mod client;
mod command;
mod config;
mod container;
mod credentials;
mod endpoint;
mod ends;
mod events;
mod existing;
mod helper;
mod image;
mod kill;
mod leased;
mod libraries;
mod logs;
mod memory;
mod network;
mod offline;
mod own_images;
mod platform;
mod pressure;
mod reach;
mod reference;
mod resources;
mod rootfs;
mod stand_in;
mod sweep;
mod throttle;
mod tls;
mod undo;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bollard::Docker;
use tokio::sync::{RwLock, broadcast};
use tokio::task::JoinHandle;

pub(crate) use helper::perform;
pub(crate) use leased::{Leased, delay_names};
#[cfg(test)]
pub(super) use libraries::of as libraries_of;
pub(super) use own_images::remove_unused as remove_unused_images;
pub(super) use sweep::{remove_environment, remove_of_owner, sweep};
pub(super) use undo::network_within;
pub(crate) use undo::{holds_process, undo, undo_within};

use self::client::{connect, engine};
use self::existing::Existing;
use self::throttle::Throttle;
use super::artifact::{self, Linking};
use super::{
    Change, EnvironmentId, InstanceSpec, Killed, Process, Resource, Resources, Runtime, RuntimeError, RuntimeKind,
    Signal, Signalled, Status, TargetNetwork, TargetProcess, Wont,
};
use crate::link::Peers;
use crate::runtime::docker_undo::DockerUndo;
use crate::runtime::ledger::Ledger;
use crate::safety::undo::{UndoLog, UndoStep};
use crate::topology::{Image, InstanceId, Service, Topology};

/// An environment of containers.
#[derive(Debug)]
pub(crate) struct DockerRuntime {
    id: EnvironmentId,
    docker: Docker,
    version: String,
    network: network::Network,
    /// Image names by service, filled in by `prepare`.
    images: Mutex<BTreeMap<String, String>>,
    /// The port of each instance that was started.
    instances: Arc<Mutex<HashMap<InstanceId, Instance>>>,
    /// Containers that were there before.
    existing: Mutex<BTreeMap<InstanceId, Existing>>,
    /// Held for reading by every start, so that `destroy` waits for those whose caller has gone away.
    starting: Arc<RwLock<()>>,
    changes: broadcast::Sender<Change>,
    listener: JoinHandle<()>,
    undo: UndoLog,
    limits: tokio::sync::Mutex<Ledger<(InstanceId, Resource)>>,
    offline: tokio::sync::Mutex<offline::Offline>,
    pressers: tokio::sync::Mutex<pressure::Pressers>,
    paces: tokio::sync::Mutex<Ledger<Throttle>>,
    out_of_memory: memory::OutOfMemory,
    stand_ins: stand_in::StandIns,
}

/// A started instance.
#[derive(Debug)]
struct Instance {
    port: u16,
    /// Whether the engine's init is its first process.
    under_init: bool,
    /// How long it may take to shut down at the end, where it is asked to.
    grace: Option<Duration>,
}

impl DockerRuntime {
    /// Connects to the engine and makes the environment's network.
    pub(crate) async fn open(id: &EnvironmentId) -> Result<Self, RuntimeError> {
        let docker = connect().await?;
        let version = docker.version().await.map_err(engine("tell its version"))?;
        let undo = UndoLog::begin(id, RuntimeKind::Docker)?;
        let network = network::create(&docker, id).await?;
        let (changes, _) = broadcast::channel(1024);
        let out_of_memory = memory::OutOfMemory::default();
        let listener = events::Listener {
            docker: docker.clone(),
            id: id.clone(),
            network: network.name.clone(),
            out_of_memory: out_of_memory.clone(),
        };
        let listener = events::listen(listener, changes.clone());
        Ok(Self {
            id: id.clone(),
            version: format!("docker {}", version.version.unwrap_or_default()),
            listener: tokio::spawn(listener),
            docker,
            network,
            images: Mutex::default(),
            instances: Arc::default(),
            existing: Mutex::default(),
            starting: Arc::default(),
            changes,
            undo,
            limits: tokio::sync::Mutex::default(),
            offline: tokio::sync::Mutex::default(),
            pressers: tokio::sync::Mutex::default(),
            paces: tokio::sync::Mutex::default(),
            out_of_memory,
            stand_ins: stand_in::StandIns::default(),
        })
    }

    fn name(&self, id: &InstanceId) -> String {
        let existing = self.existing.lock().unwrap_or_else(PoisonError::into_inner);
        existing.get(id).map_or_else(|| container::name(&self.id, id), |existing| existing.container.clone())
    }

    fn is_existing(&self, id: &InstanceId) -> bool {
        self.existing.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }

    /// Refuses what a container that was there before could not be brought back from.
    fn only_ours(&self, id: &InstanceId, action: &'static str) -> Result<(), RuntimeError> {
        if self.is_existing(id) {
            return Err(RuntimeError::NotOnExisting { instance: id.clone(), action });
        }
        Ok(())
    }

    /// Takes a container that is there already for `spec`.
    async fn adopt(&self, container: &str, spec: &InstanceSpec) -> Result<(), RuntimeError> {
        let port = spec.service.port;
        let watch = events::Watch { id: spec.id.clone(), network: self.network.name.clone(), port };
        let existing = existing::adopt(&self.docker, container, watch, &self.changes).await?;
        self.existing.lock().unwrap_or_else(PoisonError::into_inner).insert(spec.id.clone(), existing);
        let instance = Instance { port, under_init: false, grace: None };
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).insert(spec.id.clone(), instance);
        Ok(())
    }

    fn port(&self, id: &InstanceId) -> Result<u16, RuntimeError> {
        let instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        let instance = instances.get(id).ok_or_else(|| RuntimeError::UnknownInstance { instance: id.clone() })?;
        Ok(instance.port)
    }

    async fn image(&self, service: &Service) -> Result<String, RuntimeError> {
        let image = service.image.as_ref().ok_or_else(|| RuntimeError::NothingToRun {
            service: service.name.clone(),
            runtime: RuntimeKind::Docker,
            hint: "`.image(...)` or `.cargo(package, bin)`",
        })?;
        match image {
            Image::Existing(name) => Ok(name.clone()),
            Image::Named(name) => image::named(&self.docker, name, platform::of(service).as_deref()).await,
            Image::Cargo(bin) => {
                platform::check_own(service, bin)?;
                let (building, settings) = (bin.clone(), service.build.clone());
                let build = move || artifact::build(&building, &settings, Linking::Static);
                let executable = tokio::task::spawn_blocking(build).await.map_err(engine("finish a build"))??;
                image::of_executable(&self.docker, &format!("{}-{}", bin.package, bin.bin), &executable).await
            }
        }
    }

    /// The engine's id of an instance's container: a name may belong to another one later.
    async fn container(&self, id: &InstanceId) -> Result<String, RuntimeError> {
        self.port(id)?;
        Ok(self.inspect(id).await?.id.unwrap_or_else(|| self.name(id)))
    }
}

#[async_trait]
impl Runtime for DockerRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn link_host(&self) -> IpAddr {
        self.network.gateway
    }

    fn link_peers(&self) -> Peers {
        Peers::On { subnets: self.network.subnets.clone(), gateway: self.network.gateway }
    }

    fn listen_address(&self, _: &InstanceId, port: u16) -> Result<SocketAddr, RuntimeError> {
        // Inside a container only its own network can reach it.
        Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
    }

    async fn prepare(&self, topology: &Topology) -> Result<(), RuntimeError> {
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        let mut known: Vec<(&Service, String)> = Vec::new();
        for service in topology.services.values() {
            let is_same = |other: &Service| {
                (&other.image, &other.build, &other.platform) == (&service.image, &service.build, &service.platform)
            };
            let name = match known.iter().find(|(other, _)| is_same(other)) {
                Some((_, name)) => name.clone(),
                None => self.image(service).await?,
            };
            known.push((service, name.clone()));
            names.insert(service.name.clone(), name);
        }
        *self.images.lock().unwrap_or_else(PoisonError::into_inner) = names;
        Ok(())
    }

    async fn start(&self, spec: &InstanceSpec) -> Result<(), RuntimeError> {
        let images = self.images.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let image =
            images.get(&spec.id.service).ok_or_else(|| RuntimeError::UnknownInstance { instance: spec.id.clone() })?;
        if let Some(Image::Existing(container)) = &spec.service.image {
            return self.adopt(container, spec).await;
        }
        let port = spec.service.port;
        let instance = Instance { port, under_init: spec.service.init, grace: spec.service.stop_grace };
        let command = command::of(&self.docker, image, spec).await?;
        let (name, body) = (self.name(&spec.id), container::body(&self.id, &self.network.name, image, command, spec));
        let (id, instances, docker) = (spec.id.clone(), self.instances.clone(), self.docker.clone());
        let platform = platform::of_container(&spec.service);
        let starting = self.starting.clone().read_owned().await;
        // A task of its own: a start that is cancelled between two requests would leave a container that nobody knows.
        let start = tokio::spawn(async move {
            container::start(&docker, &name, platform.as_deref(), body).await?;
            instances.lock().unwrap_or_else(PoisonError::into_inner).insert(id, instance);
            drop(starting);
            Ok(())
        });
        start.await.map_err(engine(format!("start {}", spec.id)))?
    }

    async fn stop(&self, id: &InstanceId, grace: Duration) -> Result<(), RuntimeError> {
        self.undo.note(self.undo_of_stop(id).await?)?;
        self.shut_down(id, grace).await
    }

    async fn retire(&self, id: &InstanceId, grace: Duration) -> Result<(), RuntimeError> {
        let start = self.undo_of_stop(id).await?;
        self.shut_down(id, grace).await?;
        Ok(self.undo.done(&start)?)
    }

    async fn kill(&self, id: &InstanceId) -> Result<Killed, RuntimeError> {
        let (pid, container) = self.running(id, "killed").await?;
        self.undo.note(UndoStep::Docker(DockerUndo::Start { container: container.clone() }))?;
        if kill::process(pid, &container, Signal::Kill)? {
            self.wait_for_end(id, pid).await?;
            return Ok(Killed { mechanism: format!("SIGKILL to process {pid}") });
        }
        Ok(Killed { mechanism: self.signal_through_engine(id, Signal::Kill).await? })
    }

    async fn signal(&self, id: &InstanceId, signal: Signal) -> Result<Signalled, RuntimeError> {
        self.only_ours(id, "signalled")?;
        let (init, container) = self.running(id, "signalled").await?;
        self.undo.note(UndoStep::Docker(DockerUndo::Start { container: container.clone() }))?;
        let pid = if self.is_under_init(id) { kill::service(init) } else { init };
        let wont = Wont::of(pid, signal);
        let mechanism = match kill::process(pid, &container, signal)? {
            true => format!("{signal} to process {pid}"),
            false => self.signal_through_engine(id, signal).await?,
        };
        Ok(Signalled { mechanism, pid: Some(pid), wont })
    }

    async fn pause(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        self.undo.note(self.undo_of_pause(id).await?)?;
        self.docker.pause_container(&self.name(id)).await.map_err(engine(format!("pause {id}")))
    }

    async fn resume(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        self.take(self.undo_of_pause(id).await?).await
    }

    async fn start_again(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        self.take(self.undo_of_stop(id).await?).await
    }

    async fn status(&self, id: &InstanceId) -> Result<Status, RuntimeError> {
        let port = self.port(id)?;
        let Some(details) = self.find(id).await? else { return Ok(Status::REMOVED) };
        let network = &self.network.name;
        let address = match self.is_existing(id) {
            true => address::of_existing(&self.docker, &details, network, port).await?,
            false => address::in_network(&details, network, port),
        };
        let mut status = container::status(&details, address);
        status.restarts += self.stand_ins.restarts(id).await;
        Ok(status)
    }

    async fn logs(&self, id: &InstanceId, lines: usize) -> Result<Vec<String>, RuntimeError> {
        self.port(id)?;
        logs::last(&self.docker, id, &self.name(id), lines).await
    }

    async fn network(&self, id: &InstanceId) -> Result<TargetNetwork, RuntimeError> {
        let Some(pid) = self.status(id).await?.pid else {
            return Err(RuntimeError::NotRunning { instance: id.clone(), action: "reached in its network" });
        };
        let container = self.container(id).await?;
        self.only_its_own_network(id).await?;
        let entered =
            if helper::is_demanded()? || !kill::is_of(pid, &container) { None } else { TargetNetwork::of_process(pid) };
        match entered {
            Some(network) => Ok(network),
            None => {
                let image = helper::ready(&self.docker).await?;
                Ok(TargetNetwork::Helper { container, image, labels: self.id.labels() })
            }
        }
    }

    async fn check_link_host(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        // One that was there before is on networks of its own.
        if self.only_ours(id, "asked to connect").is_err() { Ok(()) } else { reach::check(self, id).await }
    }

    async fn process(&self, id: &InstanceId) -> Result<TargetProcess, RuntimeError> {
        let (pid, container) = self.running(id, "looked into").await?;
        let process = Process::of(pid).filter(|_| kill::is_of(pid, &container));
        let process = process.ok_or_else(|| RuntimeError::NotHere { instance: id.clone() })?;
        Ok(TargetProcess { process, of: format!("container {container}") })
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    fn resources(&self) -> Option<&dyn Resources> {
        Some(self)
    }

    fn undo_log(&self) -> &UndoLog {
        &self.undo
    }

    async fn destroy(&self) -> Result<(), RuntimeError> {
        self.listener.abort();
        self.stand_ins.call_off_all().await;
        drop(self.starting.write().await);
        self.ask_to_shut_down().await;
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).clear();
        // By label, so that what a cancelled start left goes as well.
        let removed = sweep::remove_labelled(&self.docker, self.id.name()).await;
        // What is left to undo was done to containers that stay.
        self.undo.revert().await?;
        self.existing.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let held = removed?.held;
        self.undo.close()?;
        held.map_or(Ok(()), Err)
    }
}

impl Drop for DockerRuntime {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
