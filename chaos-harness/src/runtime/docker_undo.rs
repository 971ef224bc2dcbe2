//! What undoes a change at the Docker engine, as data; builds without the docker feature can still read it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Resource;

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
    /// Set a limit back.
    Limit {
        /// The container's id.
        container: String,
        /// On what.
        resource: Resource,
        /// What there was before; `None` for no limit.
        most: Option<u64>,
    },
    /// Set back how fast a disk is for it.
    Throttle {
        /// The container's id.
        container: String,
        /// Each limit, and what it was; `None` for none.
        knobs: Vec<(Knob, Option<u64>)>,
    },
    /// Put it back on a network.
    Connect {
        /// The container's id.
        container: String,
        /// The network's name.
        network: String,
        /// Its names there.
        aliases: Vec<String>,
    },
}

/// One limit of a control group on one disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Knob {
    /// The file of the control group that sets it.
    pub file: PathBuf,
    /// The disk: `254:0`.
    pub device: String,
    /// Its name in the file, where that holds several: `wiops`.
    pub word: Option<String>,
}

impl DockerUndo {
    /// The id of the container that it is for.
    #[cfg(feature = "docker")]
    pub(crate) fn container(&self) -> &str {
        match self {
            Self::Unpause { container }
            | Self::Start { container }
            | Self::Limit { container, .. }
            | Self::Throttle { container, .. }
            | Self::Connect { container, .. } => container,
        }
    }
}

impl std::fmt::Display for DockerUndo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unpause { container } => write!(f, "unpause container {container}"),
            Self::Start { container } => write!(f, "start container {container}"),
            Self::Limit { container, resource, most: Some(most) } => {
                write!(f, "limit {resource} of container {container} to {most}")
            }
            Self::Limit { container, resource, most: None } => write!(f, "lift the {resource} limit of {container}"),
            Self::Throttle { container, .. } => write!(f, "set back how fast the disk of container {container} is"),
            Self::Connect { container, network, .. } => write!(f, "connect container {container} to {network}"),
        }
    }
}
