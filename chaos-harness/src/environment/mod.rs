//! A topology brought to life: instances on a runtime, and a proxy on every link between them.

mod down;
mod error;
mod health;
mod links;
mod standby;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use tokio::task::JoinHandle;

pub use error::EnvironmentError;

pub(crate) use self::down::{DownHold, HeldDown};
pub(crate) use self::links::Counted;
use self::links::{Links, Place};
use self::standby::Standby;
use crate::link::LinkProxy;
use crate::link::udp::UdpLink;
use crate::runtime::{Change, InstanceSpec, Runtime, RuntimeError, State, Status};
use crate::topology::{Addresses, InstanceId, Service, Topology, USERS, render};

/// A running topology. Take it away with [`destroy`](Self::destroy).
#[derive(Debug)]
pub struct Environment {
    topology: Topology,
    runtime: Arc<dyn Runtime>,
    links: Arc<Links>,
    seed: u64,
    follower: JoinHandle<()>,
    held_down: Arc<HeldDown>,
    standby: Standby,
}

impl Environment {
    /// Starts every instance of `topology` that is not on standby at once, each link through a proxy, and returns when
    /// all are healthy.
    ///
    /// # Errors
    /// An invalid topology, a service that cannot be started or does not become healthy. Whatever was
    /// started is then still there: call `runtime.destroy()`.
    pub async fn start(topology: &Topology, runtime: Arc<dyn Runtime>, seed: u64) -> Result<Self, EnvironmentError> {
        topology.validate()?;
        runtime.prepare(topology).await?;
        let place = Place { host: runtime.link_host(), peers: runtime.link_peers() };
        let links = Arc::new(Links::bind(topology, &place, seed)?);
        let changes = runtime.changes();
        let (specs, spare) = specs(topology, runtime.as_ref(), &links)?;
        try_join_all(specs.iter().map(|spec| runtime.start(spec))).await?;
        let follower = tokio::spawn(follow(changes, links.clone()));
        let held_down = Arc::default();
        let standby = Standby::new(spare, &held_down);
        let environment = Self { topology: topology.clone(), runtime, links, seed, follower, held_down, standby };
        for spec in &specs {
            environment.point_links_to(&spec.id).await?;
        }
        // One stands for all: they are on one network.
        if let Some(caller) = specs.iter().find(|spec| topology.callees(&spec.id.service).next().is_some()) {
            environment.runtime.check_link_host(&caller.id).await?;
        }
        try_join_all(specs.iter().map(|spec| health::wait(environment.runtime.as_ref(), spec))).await?;
        Ok(environment)
    }

    /// What runs here.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Where it runs.
    pub fn runtime(&self) -> &dyn Runtime {
        self.runtime.as_ref()
    }

    /// The runtime, for what outlives a borrow of the environment.
    pub(crate) fn shared_runtime(&self) -> Arc<dyn Runtime> {
        self.runtime.clone()
    }

    /// Who holds which instance down: faults that start instances again ask here first.
    pub(crate) fn held_down(&self) -> &Arc<HeldDown> {
        &self.held_down
    }

    /// What decides every random choice here.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The address at which users find `service`: a link of its first instance, the same for life.
    pub fn address(&self, service: &str) -> Option<SocketAddr> {
        self.links.between(USERS, service).first().map(|proxy| proxy.addr())
    }

    /// The proxies between the instances of `caller` and those of `callee`.
    pub fn links(&self, caller: &str, callee: &str) -> Vec<&LinkProxy> {
        self.links.between(caller, callee)
    }

    /// What every link has counted since it was bound.
    pub(crate) fn counters(&self) -> impl Iterator<Item = Counted> + '_ {
        self.links.counters()
    }

    /// The address at which users find `service` over UDP, where a link from [`USERS`] over UDP is declared.
    pub fn udp_address(&self, service: &str) -> Option<SocketAddr> {
        self.links.udp_between(USERS, service).first().map(|link| link.addr())
    }

    /// The UDP links between the instances of `caller` and those of `callee`.
    pub fn udp_links(&self, caller: &str, callee: &str) -> Vec<&UdpLink> {
        self.links.udp_between(caller, callee)
    }

    /// Where instance `caller` finds instance `callee`, over TCP and over UDP.
    pub(crate) fn link_addresses(
        &self,
        caller: &InstanceId,
        callee: &InstanceId,
    ) -> (Option<SocketAddr>, Option<SocketAddr>) {
        self.links.of_pair(caller, callee)
    }

    /// The last `lines` lines of every instance, by its name. What cannot be read says so in its place; what has never
    /// left standby has none.
    pub async fn logs(&self, lines: usize) -> BTreeMap<String, Vec<String>> {
        let ids: Vec<InstanceId> = self.topology.instances().collect();
        let reads = ids.iter().map(|id| async move {
            let log = match self.runtime.logs(id, lines).await {
                Err(RuntimeError::UnknownInstance { .. }) if self.is_on_standby(id) => return None,
                log => log.unwrap_or_else(|error| vec![format!("[{error}]")]),
            };
            Some((id.to_string(), log))
        });
        join_all(reads).await.into_iter().flatten().collect()
    }

    /// Takes everything away.
    ///
    /// # Errors
    /// What could not be removed, by name; the rest is gone.
    pub async fn destroy(self) -> Result<(), EnvironmentError> {
        self.follower.abort();
        // The follower held the links too; after it has ended they are ours alone.
        let _ = self.follower.await;
        let shut_down = async {
            if let Some(links) = Arc::into_inner(self.links) {
                links.shut_down().await;
            }
        };
        let (_, destroyed) = futures::join!(shut_down, self.runtime.destroy());
        Ok(destroyed?)
    }

    /// Points the links to an instance at where it is now. The runtime tells of every change by itself, but a moment
    /// later; a fault must hold for new connections when its call returns.
    pub(crate) async fn point_links_to(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        self.links.point(id, self.runtime.status(id).await?.address);
        Ok(())
    }

    /// How long an instance of `service` may take to shut down before it is killed.
    pub(crate) fn grace(&self, service: &str) -> Duration {
        self.topology.services.get(service).map_or(Duration::ZERO, Service::grace)
    }

    /// Whether an instance is on standby now.
    pub(crate) fn is_on_standby(&self, id: &InstanceId) -> bool {
        self.standby.contains(id)
    }

    /// Starts an instance that is on standby, and returns when its process runs; health is not waited for.
    pub(crate) async fn call_up(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let spec = self.standby.take_off(id).ok_or_else(|| RuntimeError::UnknownInstance { instance: id.clone() })?;
        match self.runtime.start_again(id).await {
            // It is the first time.
            Err(RuntimeError::UnknownInstance { .. }) => self.runtime.start(&spec).await?,
            other => other?,
        }
        self.point_links_to(id).await
    }

    /// Shuts an instance down that was called up; again, or when it never came up, changes nothing.
    pub(crate) async fn put_on_standby(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        self.standby.put_back(id);
        match self.runtime.retire(id, self.grace(&id.service)).await {
            Err(RuntimeError::UnknownInstance { .. }) => Ok(()),
            retired => retired.and(self.point_links_to(id).await),
        }
    }
}

/// Points links to where instances went: a container may come back under another address.
async fn follow(mut changes: tokio::sync::broadcast::Receiver<Change>, links: Arc<Links>) {
    use tokio::sync::broadcast::error::RecvError;
    loop {
        match changes.recv().await {
            // One that runs and has left the network is still where it was: nobody answers there.
            Ok(Change { status: Status { state: State::Running, address: None, .. }, .. }) => {}
            Ok(change) => links.point(&change.id, change.status.address),
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "changes of instances came too fast"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// What each instance is started with: its own address, and those of its links. Those on standby come second.
fn specs(
    topology: &Topology,
    runtime: &dyn Runtime,
    links: &Links,
) -> Result<(Vec<InstanceSpec>, Vec<InstanceSpec>), EnvironmentError> {
    let (mut specs, mut spare) = (Vec::new(), Vec::new());
    for service in topology.services.values() {
        for id in service.instance_ids() {
            let listen = |port| runtime.listen_address(&id, port);
            let addresses = Addresses {
                listen: listen(service.port)?,
                callees: links.addresses(&id),
                udp_listen: links.any_udp_to(&service.name).then(|| listen(service.port_for_udp())).transpose()?,
                udp_callees: links.udp_addresses(&id),
                control_listen: service.control_port.map(listen).transpose()?,
            };
            let args = service.args.iter().map(|arg| render(&service.name, arg, &addresses));
            let mut env = addresses.variables();
            for (key, value) in &service.env {
                env.insert(key.clone(), render(&service.name, value, &addresses)?);
            }
            let is_spare = service.standby_ids().any(|spare| spare == id);
            let spec = InstanceSpec { args: args.collect::<Result<_, _>>()?, id, service: service.clone(), env };
            let list = if is_spare { &mut spare } else { &mut specs };
            list.push(spec);
        }
    }
    Ok((specs, spare))
}
