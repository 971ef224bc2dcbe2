//! What a runtime may be able to do to the resources of an instance: limits, measures, its place in the network.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RuntimeError;
use crate::topology::InstanceId;

/// The period over which processor time is shared out, in microseconds.
pub const CPU_PERIOD: u64 = 100_000;

/// Something that can be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Processor time: microseconds in every [`CPU_PERIOD`], over all cores.
    Cpu,
    /// Memory and swap together, in bytes.
    Memory,
    /// Processes and threads.
    Processes,
}

/// At most so much of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Of what.
    pub resource: Resource,
    /// How much, in the unit of the resource.
    pub most: u64,
}

/// One change in force, to be undone by the inverse call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hold(pub(crate) u64);

/// The limit on one resource of an instance; `None` for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitNow {
    /// What should be in force: the strictest of those that are held, and what there was before.
    pub due: Option<u64>,
    /// What the kernel says.
    pub measured: Option<u64>,
}

/// Whether an instance is on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionNow {
    /// Whether nobody holds it off.
    pub due: bool,
    /// What the engine says.
    pub measured: bool,
}

/// What an instance uses, and how often it ran into a limit since its process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time that it had.
    pub cpu: Duration,
    /// How long it was kept from running by its limit.
    pub throttled: Duration,
    /// In how many periods.
    pub throttled_periods: u64,
    /// Memory in bytes.
    pub memory: u64,
    /// How often it asked for memory above its limit.
    pub memory_refused: u64,
    /// Processes and threads.
    pub processes: u64,
    /// How often it was refused another.
    pub processes_refused: u64,
}

/// What is used up inside an instance, within its own limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// Threads that never rest.
    Cpu {
        /// How many.
        threads: u32,
    },
    /// Memory that is written to and kept.
    Memory {
        /// How much.
        bytes: u64,
    },
    /// Threads that sleep.
    Processes {
        /// How many, with the program that they belong to; fewer where a limit leaves room for fewer.
        count: u64,
    },
    /// A file that fills the file system of a folder.
    Disk {
        /// The folder.
        folder: String,
        /// Up to so many thousandths of it.
        permille: u16,
    },
}

/// How fast a disk is, at most: reading and writing each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiskPace {
    /// Operations a second.
    Operations(u64),
    /// Bytes a second.
    Bytes(u64),
}

/// What is written to measure how fast a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskWrites {
    /// So many bytes, until the disk has them,
    pub bytes: u64,
    /// and that so often, one after the other.
    pub times: u32,
}

/// A file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Its size.
    pub total: u64,
    /// What is free of it.
    pub free: u64,
}

/// The resources of the instances of an environment.
///
/// # Guarantees
/// - Limits on one resource compose: the strictest is in force, and once all are lifted, what there was before is.
/// - Every inverse call may be made again.
#[async_trait]
pub trait Resources: Send + Sync {
    /// Limits a resource of an instance; it survives a restart of the instance.
    ///
    /// # Errors
    /// An unknown instance, or an engine that refuses: then nothing has changed.
    async fn limit(&self, id: &InstanceId, limit: Limit) -> Result<Hold, RuntimeError>;

    /// Takes a limit off again.
    ///
    /// # Errors
    /// When it may still be in force; calling again is safe.
    async fn lift(&self, hold: Hold) -> Result<(), RuntimeError>;

    /// What limit there is.
    ///
    /// # Errors
    /// An unknown instance, or one whose limits cannot be read.
    async fn limit_now(&self, id: &InstanceId, resource: Resource) -> Result<LimitNow, RuntimeError>;

    /// What an instance uses.
    ///
    /// # Errors
    /// An unknown instance, one that does not run, or one that cannot be measured.
    async fn usage(&self, id: &InstanceId) -> Result<Usage, RuntimeError>;

    /// How often the kernel has killed something in an instance for want of memory, since it was first started.
    fn oom_kills(&self, id: &InstanceId) -> u64;

    /// Takes an instance off the network.
    ///
    /// # Errors
    /// An unknown instance, or an engine that refuses: then nothing has changed.
    async fn disconnect(&self, id: &InstanceId) -> Result<Hold, RuntimeError>;

    /// Puts an instance back on the network, under its names, once nobody else holds it off.
    ///
    /// # Errors
    /// When it may still be off; calling again is safe.
    async fn reconnect(&self, hold: Hold) -> Result<(), RuntimeError>;

    /// Whether an instance is on the network.
    ///
    /// # Errors
    /// An unknown instance, or an engine that does not answer.
    async fn connection_now(&self, id: &InstanceId) -> Result<ConnectionNow, RuntimeError>;

    /// Uses something up inside an instance, by a program that ends with the hold, with the instance and with this
    /// process. Returns once it is used up.
    ///
    /// # Errors
    /// An unknown instance, one that does not run, or one that has no room for it.
    async fn press(&self, id: &InstanceId, pressure: &Pressure) -> Result<Hold, RuntimeError>;

    /// Ends that.
    ///
    /// # Errors
    /// When it may go on; calling again is safe.
    async fn release(&self, hold: Hold) -> Result<(), RuntimeError>;

    /// Whether it goes on.
    ///
    /// # Errors
    /// An engine that does not answer.
    async fn presses(&self, hold: Hold) -> Result<bool, RuntimeError>;

    /// Makes the disk on which a folder is slow for an instance, until the instance ends or is started again.
    ///
    /// # Errors
    /// An unknown instance, one that does not run, a folder that is on no disk, or a user who may not: then nothing has
    /// changed.
    async fn slow_disk(&self, id: &InstanceId, folder: &str, pace: DiskPace) -> Result<Hold, RuntimeError>;

    /// Lets it be as fast as it is.
    ///
    /// # Errors
    /// When it may still be slow; calling again is safe.
    async fn quicken_disk(&self, hold: Hold) -> Result<(), RuntimeError>;

    /// What limit there is on the disk of a folder, in the unit of `pace`, and how many operations the instance has sent
    /// to its disks since it was started.
    ///
    /// # Errors
    /// As for [`slow_disk`](Self::slow_disk).
    async fn disk_now(&self, id: &InstanceId, folder: &str, pace: DiskPace) -> Result<(LimitNow, u64), RuntimeError>;

    /// How long `writes` in a folder take inside an instance: the longest of so many rounds.
    ///
    /// # Errors
    /// An unknown instance, one that does not run, or a folder in which nothing can be written.
    async fn sync_time(
        &self,
        id: &InstanceId,
        folder: &str,
        writes: DiskWrites,
        rounds: u32,
    ) -> Result<Duration, RuntimeError>;

    /// What there is of the file system of a folder.
    ///
    /// # Errors
    /// An unknown instance, one that does not run, or a folder that is not there.
    async fn space(&self, id: &InstanceId, folder: &str) -> Result<Space, RuntimeError>;
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Processes => "processes",
        })
    }
}
