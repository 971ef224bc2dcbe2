//! What an experiment takes that this machine does not have.

use super::{RuntimeError, RuntimeKind};

/// What an experiment takes that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A Docker engine.
    Engine,
    /// Something that this runtime or this machine cannot do.
    Ability,
}

impl Missing {
    /// Whether the run as a whole is meant to have it: `CHAOS_RUNTIME` asks for docker by name. Then its absence is a
    /// failure, and no reason to run less.
    pub(crate) fn is_demanded(self) -> bool {
        self == Self::Engine && std::env::var("CHAOS_RUNTIME").is_ok_and(|name| name == RuntimeKind::Docker.to_string())
    }
}

impl RuntimeError {
    /// What is wanted that cannot be had on this runtime or this machine at all.
    pub(crate) fn missing(&self) -> Option<Missing> {
        match self {
            Self::NoEngine { .. } | Self::NotBuilt | Self::RemoteEngine { .. } => Some(Missing::Engine),
            Self::NothingToRun { .. } | Self::NoVolumes { .. } | Self::NoNetwork { .. } => Some(Missing::Ability),
            _ => None,
        }
    }
}
