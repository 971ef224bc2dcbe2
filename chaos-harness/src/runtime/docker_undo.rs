//! What undoes a change at the Docker engine, as data; builds without the docker feature can still read it.

use serde::{Deserialize, Serialize};

/// What undoes a change of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "undo")]
#[non_exhaustive]
pub enum DockerUndo {
    /// Let it go on after a pause.
    Unpause {
        /// The container's id.
        container: String,
    },
    /// Start it after a stop.
    Start {
        /// The container's id.
        container: String,
    },
}

impl std::fmt::Display for DockerUndo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unpause { container } => write!(f, "unpause container {container}"),
            Self::Start { container } => write!(f, "start container {container}"),
        }
    }
}
