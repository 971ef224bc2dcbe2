//! Targets as child processes on loopback addresses: no engine, no image, a fast inner loop.
//!
//! Every instance has an address of its own under 127.0.0.0/8, so that it may listen on its declared
//! port beside others. A child dies with the test process, whatever ends that.

mod child;
mod folders;
mod loopback;
mod output;
mod spawner;
mod supervisor;
mod sweep;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::sync::broadcast;

use self::folders::Folders;
use self::loopback::Loopback;
use self::supervisor::{Supervised, Wish};
pub(crate) use self::sweep::OWNER;
pub(super) use self::sweep::{is_of_environment, remove_environment, remove_of_owner, sweep};
use super::artifact::{self, Linking};
use super::{
    Change, EnvironmentId, InstanceSpec, Killed, Process, Runtime, RuntimeError, RuntimeKind, Signal, Signalled, State,
    Status, TargetProcess, Wont,
};
use crate::safety::undo::UndoLog;
use crate::topology::{InstanceId, Program, Topology};

/// Names the folder of an instance in its environment. It is also the folder in which the instance runs.
const INSTANCE_DIR: &str = "CHAOS_INSTANCE_DIR";
/// How long a killed child may take to be gone. It takes microseconds; this bounds a stuck kernel.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// An environment of child processes.
#[derive(Debug)]
pub(crate) struct ProcessRuntime {
    id: EnvironmentId,
    undo: UndoLog,
    loopback: Loopback,
    folders: Folders,
    /// Executables by service, filled in by `prepare`.
    programs: Mutex<BTreeMap<String, PathBuf>>,
    instances: Mutex<BTreeMap<InstanceId, Arc<Supervised>>>,
    changes: broadcast::Sender<Change>,
}

impl ProcessRuntime {
    /// Takes a loopback network for the environment.
    pub(crate) fn open(id: &EnvironmentId) -> Result<Self, RuntimeError> {
        Ok(Self {
            id: id.clone(),
            undo: UndoLog::begin(id, RuntimeKind::Process)?,
            loopback: Loopback::take()?,
            folders: Folders::make(id)?,
            programs: Mutex::default(),
            instances: Mutex::default(),
            changes: broadcast::channel(1024).0,
        })
    }

    fn instance(&self, id: &InstanceId) -> Result<Arc<Supervised>, RuntimeError> {
        let instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        instances.get(id).cloned().ok_or_else(|| RuntimeError::UnknownInstance { instance: id.clone() })
    }

    fn running(&self, id: &InstanceId, action: &'static str) -> Result<(Arc<Supervised>, u32), RuntimeError> {
        let instance = self.instance(id)?;
        let pid = instance.status().pid;
        let not_running = || RuntimeError::NotRunning { instance: id.clone(), action };
        Ok((instance, pid.ok_or_else(not_running)?))
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Process
    }

    fn version(&self) -> String {
        let system = rustix::system::uname();
        format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy())
    }

    fn link_host(&self) -> IpAddr {
        self.loopback.link_host()
    }

    fn listen_address(&self, instance: &InstanceId, port: u16) -> Result<SocketAddr, RuntimeError> {
        Ok(SocketAddr::new(self.loopback.address_of(instance)?, port))
    }

    async fn prepare(&self, topology: &Topology) -> Result<(), RuntimeError> {
        let mut programs = BTreeMap::new();
        for service in topology.services.values() {
            if !service.volumes.is_empty() || !service.disks.is_empty() {
                return Err(RuntimeError::NoVolumes { service: service.name.clone(), runtime: self.kind() });
            }
            let path = match &service.program {
                Some(Program::Path(path)) => from_here(path)?,
                Some(Program::Cargo(bin)) => {
                    let (bin, settings) = (bin.clone(), service.build.clone());
                    let build =
                        tokio::task::spawn_blocking(move || artifact::build(&bin, &settings, Linking::Usual)).await;
                    build.map_err(|error| RuntimeError::io("finish a build")(error.into()))??
                }
                None => {
                    return Err(RuntimeError::NothingToRun {
                        service: service.name.clone(),
                        runtime: RuntimeKind::Process,
                        hint: "`.program(...)` or `.cargo(package, bin)`",
                    });
                }
            };
            programs.insert(service.name.clone(), path);
        }
        *self.programs.lock().unwrap_or_else(PoisonError::into_inner) = programs;
        Ok(())
    }

    async fn start(&self, spec: &InstanceSpec) -> Result<(), RuntimeError> {
        let program = self.programs.lock().unwrap_or_else(PoisonError::into_inner).get(&spec.id.service).cloned();
        let program = program.ok_or_else(|| RuntimeError::UnknownInstance { instance: spec.id.clone() })?;
        let address = self.listen_address(&spec.id, spec.service.port)?;
        let mut marked = spec.clone();
        marked.env.extend(sweep::marks(&self.id));
        let folder = self.folders.of(&spec.id)?;
        marked.env.insert(INSTANCE_DIR.to_owned(), folder.display().to_string());
        let supervised = Supervised::start(marked, (program, folder), address, self.changes.clone()).await?;
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).insert(spec.id.clone(), supervised);
        Ok(())
    }

    async fn stop(&self, id: &InstanceId, grace: Duration) -> Result<(), RuntimeError> {
        shut_down(&*self.instance(id)?, grace).await
    }

    async fn retire(&self, id: &InstanceId, grace: Duration) -> Result<(), RuntimeError> {
        self.stop(id, grace).await
    }

    async fn kill(&self, id: &InstanceId) -> Result<Killed, RuntimeError> {
        let (instance, pid) = self.running(id, "killed")?;
        child::signal(pid, child::Signal::KILL)?;
        instance.ends_within(pid, GONE_WITHIN).await;
        Ok(Killed { mechanism: format!("SIGKILL to process {pid}") })
    }

    async fn signal(&self, id: &InstanceId, signal: Signal) -> Result<Signalled, RuntimeError> {
        let (_, pid) = self.running(id, "signalled")?;
        let wont = Wont::of(pid, signal);
        child::signal(pid, signal.raw())?;
        Ok(Signalled { mechanism: format!("{signal} to process {pid}"), pid: Some(pid), wont })
    }

    async fn pause(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let (instance, pid) = self.running(id, "paused")?;
        child::signal(pid, child::Signal::STOP)?;
        child::wait_until_stopped(pid).await;
        instance.set_state(pid, State::Paused);
        Ok(())
    }

    async fn resume(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let instance = self.instance(id)?;
        let status = instance.status();
        if let (State::Paused, Some(pid)) = (status.state, status.pid) {
            child::signal(pid, child::Signal::CONT)?;
            instance.set_state(pid, State::Running);
        }
        Ok(())
    }

    async fn start_again(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        self.instance(id)?.start_again().await
    }

    async fn status(&self, id: &InstanceId) -> Result<Status, RuntimeError> {
        let mut status = self.instance(id)?.status();
        // Somebody else may have let it go on.
        if status.state == State::Paused && status.pid.is_some_and(child::runs) {
            status.state = State::Running;
        }
        Ok(status)
    }

    async fn logs(&self, id: &InstanceId, lines: usize) -> Result<Vec<String>, RuntimeError> {
        Ok(self.instance(id)?.output().last(lines))
    }

    async fn process(&self, id: &InstanceId) -> Result<TargetProcess, RuntimeError> {
        let (_, pid) = self.running(id, "looked into")?;
        let process = Process::of(pid).ok_or_else(|| RuntimeError::NotHere { instance: id.clone() })?;
        Ok(TargetProcess { process, of: id.to_string() })
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    fn undo_log(&self) -> &UndoLog {
        &self.undo
    }

    async fn destroy(&self) -> Result<(), RuntimeError> {
        let instances: Vec<_> = {
            let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *instances).into_iter().collect()
        };
        let ends = instances.into_iter().map(|(id, instance)| async move {
            if let Some(grace) = instance.grace() {
                // One that cannot be asked is killed all the same.
                let _ = shut_down(&instance, grace).await;
            }
            instance.wish(Wish::Down);
            let pid = instance.status().pid?;
            let killed = child::signal(pid, child::Signal::KILL);
            let gone = killed.is_ok() && instance.ends_within(pid, GONE_WITHIN).await;
            (!gone).then(|| format!("process {pid} of {id}"))
        });
        let left: Vec<String> = join_all(ends).await.into_iter().flatten().collect();
        if !left.is_empty() {
            return Err(RuntimeError::LeftBehind { what: left });
        }
        // For what the children have started themselves.
        remove_environment(self.id.name()).await?;
        Ok(self.undo.close()?)
    }
}

async fn shut_down(instance: &Supervised, grace: Duration) -> Result<(), RuntimeError> {
    instance.wish(Wish::Down);
    let Some(pid) = instance.status().pid else { return Ok(()) };
    child::signal(pid, child::Signal::TERM)?;
    child::signal(pid, child::Signal::CONT)?;
    if !instance.ends_within(pid, grace).await {
        child::signal(pid, child::Signal::KILL)?;
        instance.ends_within(pid, GONE_WITHIN).await;
    }
    Ok(())
}

/// A path that is relative to where the test runs. A bare name is looked for in `PATH`.
fn from_here(path: &Path) -> Result<PathBuf, RuntimeError> {
    if path.components().count() < 2 {
        return Ok(path.to_owned());
    }
    std::path::absolute(path).map_err(RuntimeError::io(format!("find {}", path.display())))
}

impl Drop for ProcessRuntime {
    fn drop(&mut self) {
        for instance in self.instances.lock().unwrap_or_else(PoisonError::into_inner).values() {
            instance.wish(Wish::Down);
            if let Some(pid) = instance.status().pid {
                // A failure means that it is gone; whatever remains dies with this process.
                let _ = child::signal(pid, child::Signal::KILL);
            }
        }
    }
}
