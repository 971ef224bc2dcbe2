//! One step back, as data: it can be taken by another process than the one that noted it.

use serde::{Deserialize, Serialize};

use super::Scope;
#[cfg(feature = "docker")]
use crate::runtime::docker;
use crate::runtime::docker_undo::DockerUndo;
use crate::runtime::{NetworkUndo, ProcessUndo, RuntimeError};

/// What undoes a change.
///
/// Taking one is idempotent, and tolerates a change that was never made and a target that is gone or was replaced:
/// so a step names a container by its id and a process by its id and start time, never by a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "on")]
#[non_exhaustive]
pub enum UndoStep {
    /// With the Docker engine.
    Docker(DockerUndo),
    /// In a network namespace.
    Network(NetworkUndo),
    /// On a process of this machine.
    Process(ProcessUndo),
}

impl UndoStep {
    /// Takes the step, on whatever it names: for whoever noted it. What others noted is
    /// [reverted](super::Pending::revert), which looks first at what a step names.
    ///
    /// # Errors
    /// When the change may still be there; taking the step again is safe.
    pub async fn take(&self) -> Result<(), RuntimeError> {
        match self {
            #[cfg(feature = "docker")]
            Self::Docker(undo) => docker::undo(undo).await,
            #[cfg(not(feature = "docker"))]
            Self::Docker(_) => Err(RuntimeError::NotBuilt),
            Self::Network(undo) => undo.take().await,
            Self::Process(undo) => undo.take(),
        }
    }

    /// Takes the step where what it names is within `scope`, or gone.
    ///
    /// # Errors
    /// [`RuntimeError::NotOfEnvironment`] where it is not, and nothing was done; else as [`take`](Self::take).
    pub(super) async fn take_within(&self, scope: &Scope) -> Result<(), RuntimeError> {
        match self {
            #[cfg(feature = "docker")]
            Self::Docker(undo) => docker::undo_within(undo, scope).await,
            #[cfg(not(feature = "docker"))]
            Self::Docker(_) => Err(RuntimeError::NotBuilt),
            Self::Network(undo) => undo.take_within(scope).await,
            Self::Process(undo) => undo.take_within(scope).await,
        }
    }
}

impl std::fmt::Display for UndoStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Docker(undo) => undo.fmt(f),
            Self::Network(undo) => undo.fmt(f),
            Self::Process(undo) => undo.fmt(f),
        }
    }
}
