//! Which runtimes there are, and what a fault may ask of one.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where targets run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeKind {
    /// Containers of a Docker engine.
    Docker,
    /// Child processes on loopback addresses.
    Process,
}

/// What a fault may require of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Capability {
    /// Every link runs through a proxy of the harness.
    Links,
    /// An instance can be ended at once.
    Kill,
    /// An instance can be shut down and started again.
    Stop,
    /// An instance can be made to stand still.
    Pause,
    /// An instance that ends is started again without a hand.
    AutomaticRestart,
    /// Every instance has a network namespace of its own.
    NetworkNamespace,
    /// An instance can be sent any signal.
    Signals,
    /// An instance can be taken off its network and put back.
    Disconnect,
    /// The processor time of an instance can be limited.
    CpuLimit,
    /// The memory of an instance can be limited.
    MemoryLimit,
    /// The processes and threads of an instance can be limited.
    ProcessLimit,
    /// What an instance has can be used up from inside its limits.
    Pressure,
    /// The limits of an instance's processes can be changed.
    ProcessLimits,
    /// The disks of an instance can be made slow.
    DiskSpeed,
    /// A service can have volumes of a declared size.
    Volumes,
}

impl RuntimeKind {
    /// What this runtime can do.
    pub fn capabilities(self) -> &'static [Capability] {
        match self {
            Self::Docker => &[
                Capability::Links,
                Capability::Kill,
                Capability::Stop,
                Capability::Pause,
                Capability::AutomaticRestart,
                Capability::NetworkNamespace,
                Capability::Signals,
                Capability::Disconnect,
                Capability::CpuLimit,
                Capability::MemoryLimit,
                Capability::ProcessLimit,
                Capability::Pressure,
                Capability::ProcessLimits,
                Capability::DiskSpeed,
                Capability::Volumes,
            ],
            Self::Process => &[
                Capability::Links,
                Capability::Kill,
                Capability::Stop,
                Capability::Pause,
                Capability::AutomaticRestart,
                Capability::Signals,
                Capability::ProcessLimits,
            ],
        }
    }
}

impl fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "docker",
            Self::Process => "process",
        })
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Links => "link proxies",
            Self::Kill => "killing an instance",
            Self::Stop => "stopping an instance",
            Self::Pause => "pausing an instance",
            Self::AutomaticRestart => "automatic restart",
            Self::NetworkNamespace => "a network namespace per instance",
            Self::Signals => "signals to an instance",
            Self::Disconnect => "taking an instance off its network",
            Self::CpuLimit => "a limit on processor time",
            Self::MemoryLimit => "a limit on memory",
            Self::ProcessLimit => "a limit on processes",
            Self::Pressure => "using up resources from inside an instance",
            Self::ProcessLimits => "the limits of single processes",
            Self::DiskSpeed => "slowing the disks of an instance",
            Self::Volumes => "volumes of a declared size",
        })
    }
}
