//! Faults: what goes wrong, where, and how it is undone.
//!
//! One file per kind, one line in the list at the end of this page: that enters a kind in the plan's
//! data format, the conformance suite and the reports. Faults on a link are toxics, in
//! [`link::toxic`](crate::link::toxic) and [`link::udp::toxic`](crate::link::udp::toxic).
//!
//! # Guarantees
//! - [`inject`](FaultKind::inject) returns when the fault holds for every live and every new
//!   connection or instance that it names, or returns an error and nothing is applied.
//! - [`roll_back`](Injected::roll_back) may be called again, and tolerates a fault that never took.
//! - [`attest`](Injected::attest) measures that the fault bit; it never assumes it.

mod attestation;
mod builder;
pub mod catalogue;
mod control;
mod cpu_quota;
mod cpu_stress;
mod crash_loop;
mod descriptors;
mod disconnect;
mod disk_full;
mod error;
mod fail_point;
mod http;
mod in_process;
mod in_process_builder;
mod in_process_catalogue;
mod injection;
mod instances;
mod kill;
mod limited;
mod link;
mod link_catalogue;
mod lives;
mod memory_limit;
mod memory_stress;
mod network;
mod pause;
mod pressed;
mod process_limit;
mod process_stress;
mod protocol;
mod register;
mod restart;
mod scale;
mod signal;
mod slow_disk;
mod slowed;
mod squeezed;
mod stop;
mod target_builder;
mod together;
mod udp;
mod udp_builder;

use async_trait::async_trait;

/// The rules and fail points of services, as data.
pub use chaos_layer as layer;

pub use attestation::Attestation;
pub use builder::{LinkRef, link};
use catalogue::{Catalogued, Entry};
pub use cpu_quota::CpuQuota;
pub use cpu_stress::CpuStress;
pub use crash_loop::CrashLoop;
pub use descriptors::DescriptorsLeft;
pub use disconnect::Disconnect;
pub use disk_full::DiskFull;
pub use error::FaultError;
pub use fail_point::FailPointFault;
pub use http::HttpRef;
pub use in_process::InProcess;
pub use in_process_builder::{FailPointRef, InProcessRef};
pub use injection::Injection;
pub use instances::Instances;
pub use kill::Kill;
pub use link::LinkFault;
pub use memory_limit::MemoryLimit;
pub use memory_stress::{MemoryGoal, MemoryStress};
pub use network::{
    Cut, DnsDelay, DnsFailure, Losses, Mechanism, NetemFault, NetworkLoss, NetworkPlace, NetworkRate, NetworkRef,
    Partition, Ways, network, partition,
};
pub use pause::Pause;
pub use process_limit::ProcessLimit;
pub use process_stress::{ProcessGoal, ProcessStress};
pub use restart::Restart;
pub use scale::Scale;
pub use signal::SendSignal;
pub use slow_disk::SlowDisk;
pub use stop::Stop;
pub use target_builder::{TargetRef, TargetsRef, target, targets};
pub use together::Together;
pub use udp::UdpFault;
pub use udp_builder::UdpLinkRef;

use crate::environment::Environment;
use crate::link::LinkName;
use crate::runtime::Capability;
use crate::safety::BlastRadius;
use crate::topology::Topology;

/// What every kind of fault says of itself and can do.
#[async_trait]
pub trait FaultKind: Send + Sync {
    /// For people: `latency 5s on order -> inventory`.
    fn describe(&self) -> String;

    /// The services that it touches.
    fn services(&self) -> Vec<&str>;

    /// The link that it is on, when it is on a link and not on a service.
    fn link(&self) -> Option<LinkName> {
        None
    }

    /// What the runtime must be able to do; what its [`members`](Self::members) require comes on top.
    fn requires(&self) -> &'static [Capability];

    /// The faults that it consists of, when it consists of others.
    fn members(&self) -> &[Fault] {
        &[]
    }

    /// The least radius that it can have.
    fn radius(&self) -> BlastRadius {
        BlastRadius::SingleService
    }

    /// Checks names and numbers against the topology, before anything is started.
    ///
    /// # Errors
    /// The first thing that is wrong, by name.
    fn validate(&self, topology: &Topology) -> Result<(), FaultError>;

    /// Checks that this machine can do it, before anything is started, as far as that can be told.
    ///
    /// # Errors
    /// What its kernel lacks, and what to use instead.
    fn check_machine(&self) -> Result<(), FaultError> {
        Ok(())
    }

    /// Applies it; see the guarantees above.
    ///
    /// # Errors
    /// When it could not be applied; then nothing is applied.
    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError>;
}

/// A fault in force.
#[async_trait]
pub trait Injected: Send + Sync {
    /// How it was done, for the journal: `link proxy`, `SIGKILL`, ...
    fn mechanism(&self) -> String;

    /// Measures whether it has bitten since it was applied.
    async fn attest(&mut self, environment: &Environment) -> Attestation;

    /// Undoes it.
    ///
    /// # Errors
    /// When the effect may still be there; calling again is safe.
    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError>;

    /// Measures whether the effect is gone after [`roll_back`](Self::roll_back).
    async fn attest_gone(&mut self, environment: &Environment) -> Attestation;
}

register::faults! {
    /// A toxic on a declared link.
    Link(LinkFault) = "link",
    /// A toxic on a declared UDP link.
    Udp(UdpFault) = "udp",
    /// The processes of a service end at once, without a chance to clean up.
    Kill(Kill) = "kill",
    /// The processes of a service stand still.
    Pause(Pause) = "pause",
    /// A service is shut down for the hold, then started again.
    Stop(Stop) = "stop",
    /// A rule of the chaos layer inside a service.
    InProcess(InProcess) = "in_process",
    /// A fail point inside a service.
    FailPoint(FailPointFault) = "fail_point",
    /// No packet passes.
    Cut(Cut) = "cut",
    /// Groups of services cannot reach each other.
    Partition(Partition) = "partition",
    /// Packets are lost.
    NetworkLoss(NetworkLoss) = "network_loss",
    /// Packets beyond a rate are dropped.
    NetworkRate(NetworkRate) = "network_rate",
    /// Packets arrive late, twice, out of order or damaged.
    Netem(NetemFault) = "netem",
    /// Names are not found.
    Dns(DnsFailure) = "dns",
    /// Names are found late.
    DnsDelay(DnsDelay) = "dns_delay",
    /// Signals to the processes of a service.
    Signal(SendSignal) = "signal",
    /// A service is shut down, and started again after a delay.
    Restart(Restart) = "restart",
    /// The processes of a service end again and again.
    CrashLoop(CrashLoop) = "crash_loop",
    /// A service has fewer or more instances.
    Scale(Scale) = "scale",
    /// A service is off the network.
    Disconnect(Disconnect) = "disconnect",
    /// A service gets less processor time.
    CpuQuota(CpuQuota) = "cpu_quota",
    /// A service gets less memory.
    MemoryLimit(MemoryLimit) = "memory_limit",
    /// A service gets no more processes and threads.
    ProcessLimit(ProcessLimit) = "process_limit",
    /// A service shares its processor time with something that never rests.
    CpuStress(CpuStress) = "cpu_stress",
    /// A service has little memory left.
    MemoryStress(MemoryStress) = "memory_stress",
    /// A service can start few more processes and threads.
    ProcessStress(ProcessStress) = "process_stress",
    /// A service can open nothing more.
    Descriptors(DescriptorsLeft) = "descriptors",
    /// A volume of a service is full.
    DiskFull(DiskFull) = "disk_full",
    /// A disk of a service is slow.
    SlowDisk(SlowDisk) = "slow_disk",
    /// Several faults as one.
    Together(Together) = "together",
}
