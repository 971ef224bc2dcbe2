//! What can go wrong while an environment starts.

use std::time::Duration;

use thiserror::Error;

use crate::link::LinkError;
use crate::runtime::RuntimeError;
use crate::topology::{InstanceId, TopologyError};

/// An environment that did not come up, and why.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// The topology makes no sense.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The runtime refused.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A link could not be made.
    #[error("a link could not be made: {0}")]
    Link(#[from] LinkError),
    /// An instance did not become healthy.
    #[error(
        "{instance} was not healthy within {} ({last}); its last lines:\n{}",
        humantime::format_duration(*.within),
        .log.join("\n")
    )]
    Unhealthy {
        /// The instance.
        instance: InstanceId,
        /// How long it was waited for.
        within: Duration,
        /// What the last check saw.
        last: String,
        /// Its last lines.
        log: Vec<String>,
    },
    /// An instance ended while it started.
    #[error("{instance} ended with status {code} while it started; its last lines:\n{}", .log.join("\n"))]
    Ended {
        /// The instance.
        instance: InstanceId,
        /// Its exit status.
        code: i32,
        /// Its last lines.
        log: Vec<String>,
    },
}
