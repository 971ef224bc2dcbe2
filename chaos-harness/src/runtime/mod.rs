//! Where targets run: one small trait, one module per runtime.
//!
//! A [`Runtime`] owns one environment: it starts instances, changes their lives, reads their logs, and
//! takes everything away. What it cannot do it says beforehand ([`Capability`]), so that a plan is
//! refused before anything is injected.

mod artifact;
mod capability;
mod choice;
mod delayed_names;
#[cfg(feature = "docker")]
pub(crate) mod docker;
pub(crate) mod docker_undo;
mod engine_address;
mod error;
pub(crate) mod last_lines;
pub(crate) mod ledger;
mod live;
mod machine_lock;
mod missing;
mod process;
mod remedy;
mod resources;
mod session;
mod signal;
mod sweep;
mod target_network;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

pub(crate) use self::process::OWNER as MARK_OF_OWNER;
pub use capability::{Capability, RuntimeKind};
pub use choice::{Choice, RuntimeChoice, choose};
pub(crate) use delayed_names::DelayedNames;
pub use engine_address::EngineAddressError;
pub use error::RuntimeError;
pub use live::{Descriptors, Process, ProcessUndo, TargetProcess};
pub(crate) use missing::Missing;
pub use resources::{
    CPU_PERIOD, ConnectionNow, DiskPace, DiskWrites, Hold, Limit, LimitNow, Pressure, Resource, Resources, Space, Usage,
};
pub use session::EnvironmentId;
pub(crate) use session::{
    Owner, ask_owner_to_end, is_maker_there, is_owner_alive, is_owner_gone, owner_of_this_process, start_time,
};
pub use signal::{Signal, Wont};
#[cfg(feature = "docker")]
pub use sweep::remove_unused_images;
pub use sweep::{Leftover, OwnImage, sweep};
pub(crate) use sweep::{remove_environment, remove_everywhere, remove_of_owner, sweep_all};
pub(crate) use target_network::tables_of;
pub use target_network::{NetworkUndo, TargetNetwork};

use crate::link::Peers;
use crate::safety::undo::UndoLog;
use crate::topology::{InstanceId, Service, Topology};

/// One environment: the instances of a topology on some kind of machine.
///
/// # Guarantees
/// - Everything it makes carries the labels of its [`EnvironmentId`], so that a later run can find it.
/// - [`destroy`](Self::destroy) may be called again, and goes on past a step that fails.
/// - A lifecycle call returns when the effect is there: after `kill` the process is gone.
#[async_trait]
pub trait Runtime: Send + Sync + Debug {
    /// Which runtime it is.
    fn kind(&self) -> RuntimeKind;

    /// The version of what stands behind it, for the journal.
    fn version(&self) -> String;

    /// What it can do.
    fn capabilities(&self) -> &'static [Capability] {
        self.kind().capabilities()
    }

    /// The address on which links for the targets are bound: reachable by them, and by as few others as possible.
    fn link_host(&self) -> IpAddr;

    /// Whom the links for the targets serve, of all who reach them.
    fn link_peers(&self) -> Peers {
        Peers::Anybody
    }

    /// The address that an instance is told to bind.
    ///
    /// # Errors
    /// When there is none left for it.
    fn listen_address(&self, instance: &InstanceId, port: u16) -> Result<SocketAddr, RuntimeError>;

    /// Makes ready what `topology` runs: builds binaries and images, looks for named ones.
    ///
    /// # Errors
    /// A service that this runtime has nothing to run for; a build that fails.
    async fn prepare(&self, topology: &Topology) -> Result<(), RuntimeError>;

    /// Starts an instance for the first time and returns when its process runs; health is not waited for.
    ///
    /// # Errors
    /// When it cannot be started; nothing of it is left.
    async fn start(&self, instance: &InstanceSpec) -> Result<(), RuntimeError>;

    /// Shuts an instance down: asks with `SIGTERM`, and kills after `grace`. It is not restarted by itself.
    ///
    /// # Errors
    /// An unknown instance, or an engine that does not answer.
    async fn stop(&self, id: &InstanceId, grace: Duration) -> Result<(), RuntimeError>;

    /// Shuts an instance down that is to stay down: the same as [`stop`](Self::stop), but nothing is kept in mind that
    /// would start it again.
    ///
    /// # Errors
    /// An unknown instance, or an engine that does not answer.
    async fn retire(&self, id: &InstanceId, grace: Duration) -> Result<(), RuntimeError>;

    /// Ends an instance at once, as a crash does: its restart policy applies. Returns how it was done.
    ///
    /// # Errors
    /// An unknown instance, one that does not run, or an engine that does not answer.
    async fn kill(&self, id: &InstanceId) -> Result<Killed, RuntimeError>;

    /// Sends `signal` to the process of an instance, as somebody on its machine would: should it end of it, its
    /// restart policy applies. Returns when it was sent.
    ///
    /// # Errors
    /// An unknown instance, one that does not run, or an engine that does not answer.
    async fn signal(&self, id: &InstanceId, signal: Signal) -> Result<Signalled, RuntimeError>;

    /// Stands an instance still.
    ///
    /// # Errors
    /// An unknown instance, one that does not run, or an engine that does not answer.
    async fn pause(&self, id: &InstanceId) -> Result<(), RuntimeError>;

    /// Lets a paused instance go on; does nothing to one that is not paused.
    ///
    /// # Errors
    /// An unknown instance, or an engine that does not answer.
    async fn resume(&self, id: &InstanceId) -> Result<(), RuntimeError>;

    /// Starts a stopped instance again; does nothing to one that runs.
    ///
    /// # Errors
    /// An unknown instance, or an engine that does not answer.
    async fn start_again(&self, id: &InstanceId) -> Result<(), RuntimeError>;

    /// What an instance is doing, and where it can be reached now.
    ///
    /// # Errors
    /// An unknown instance, or an engine that does not answer.
    async fn status(&self, id: &InstanceId) -> Result<Status, RuntimeError>;

    /// The last `lines` lines that an instance printed, oldest first.
    ///
    /// # Errors
    /// An unknown instance, or an engine that does not answer.
    async fn logs(&self, id: &InstanceId, lines: usize) -> Result<Vec<String>, RuntimeError>;

    /// The network namespace of an instance as it runs now; a restart may give it another one.
    ///
    /// # Errors
    /// An instance that does not run, or a runtime that gives its instances none of their own.
    async fn network(&self, id: &InstanceId) -> Result<TargetNetwork, RuntimeError> {
        Err(RuntimeError::NoNetwork { instance: id.clone(), runtime: self.kind() })
    }

    /// Sees that an instance can reach [`link_host`](Self::link_host), as far as that can be seen from here.
    ///
    /// # Errors
    /// When something keeps it from that; links from it would be of no use.
    async fn check_link_host(&self, _: &InstanceId) -> Result<(), RuntimeError> {
        Ok(())
    }

    /// The first process of an instance, where it is one of this machine.
    ///
    /// # Errors
    /// An unknown instance, one that does not run, or one whose processes cannot be seen from here.
    async fn process(&self, id: &InstanceId) -> Result<TargetProcess, RuntimeError>;

    /// Changes in the lives of instances, from now on.
    fn changes(&self) -> broadcast::Receiver<Change>;

    /// The resources of its instances, where it can do something to them.
    fn resources(&self) -> Option<&dyn Resources> {
        None
    }

    /// What has to be undone should this process end now.
    fn undo_log(&self) -> &UndoLog;

    /// Takes everything away: instances, network, files.
    ///
    /// # Errors
    /// What could not be removed, by name; the rest is gone.
    async fn destroy(&self) -> Result<(), RuntimeError>;
}

/// All that a runtime must know to start an instance.
#[derive(Clone, Debug)]
pub struct InstanceSpec {
    /// Which instance.
    pub id: InstanceId,
    /// Its service.
    pub service: Service,
    /// Its arguments, placeholders replaced.
    pub args: Vec<String>,
    /// Its environment, placeholders replaced and links added.
    pub env: BTreeMap<String, String>,
}

/// What an instance is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: State,
    /// Where the harness reaches its port now; `None` unless it runs.
    pub address: Option<SocketAddr>,
    /// Its process on this machine, where the runtime knows it.
    pub pid: Option<u32>,
    /// How often it was started again by its restart policy.
    pub restarts: u32,
}

impl Status {
    /// Of an instance that was removed.
    #[cfg(feature = "docker")]
    pub(crate) const REMOVED: Self = Self { state: State::Removed, address: None, pid: None, restarts: 0 };
}

/// The state of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It runs.
    Running,
    /// It stands still.
    Paused,
    /// It was removed, and cannot come back.
    Removed,
    /// It ended.
    Exited {
        /// The exit status; 128 + signal for a signal, as shells count.
        code: i32,
        /// Whether the kernel killed it for want of memory.
        oom: bool,
    },
}

/// A change in the life of an instance.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which instance.
    pub id: InstanceId,
    /// When the harness learnt of it.
    pub at: Instant,
    /// What it is now.
    pub status: Status,
}

/// How an instance was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Killed {
    /// For the journal: `SIGKILL to process 4711`.
    pub mechanism: String,
}

/// A signal that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signalled {
    /// For the journal: `SIGTERM to process 4711`.
    pub mechanism: String,
    /// The process that it was sent to, where this machine runs it.
    pub pid: Option<u32>,
    /// What that process did with such signals, where that can be seen.
    pub wont: Option<Wont>,
}
