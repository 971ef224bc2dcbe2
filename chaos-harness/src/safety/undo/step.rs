//! One step back, as data: it can be taken by another process than the one that noted it.

use serde::{Deserialize, Serialize};

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
    /// Takes the step.
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
