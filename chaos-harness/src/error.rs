//! The error of an experiment that could not be carried out. It is never a verdict.

use thiserror::Error;

use crate::environment::EnvironmentError;
use crate::experiment::PlanError;
use crate::fault::FaultError;
use crate::hypothesis::HypothesisError;
use crate::journal::JournalError;
use crate::load::LoadError;
use crate::load::probe::ProbeError;
use crate::runtime::{Missing, RuntimeError};
use crate::topology::TopologyError;

/// Why an experiment could not be carried out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The plan makes no sense; nothing was started.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The runtime refused.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The environment did not come up.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A fault could not be applied.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// The load could not be sent.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A probe could not be started.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The journal could not be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A hypothesis makes no sense.
    #[error(transparent)]
    Hypothesis(#[from] HypothesisError),
    /// A topology makes no sense.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// Ctrl-C, or a request to end.
    #[error("halted before the experiment had begun")]
    Halted,
    /// The targets did not come up within the experiment's time limit.
    #[error(
        "the start took longer than the time limit of {} for the whole experiment; a first build may take minutes, \
         and counts", humantime::format_duration(*.limit)
    )]
    StartTook {
        /// The limit.
        limit: std::time::Duration,
    },
    /// A condition did not come true.
    #[error(
        "`{condition}` did not come true {}; answers by then: {seen}",
        .aborted.as_ref().map_or_else(
            || format!("within {}", humantime::format_duration(*.within)),
            |aborted| format!("before the experiment was aborted, because {aborted}"),
        )
    )]
    Until {
        /// The condition, as the test named it.
        condition: String,
        /// How long it was waited for.
        within: std::time::Duration,
        /// What users had seen by then.
        seen: crate::experiment::Seen,
        /// The abort condition that ended the wait, where one did.
        aborted: Option<String>,
    },
    /// The experiment was over before a step was.
    #[error("{condition} while {step}")]
    CutOff {
        /// What was being done.
        step: String,
        /// Why the experiment was over.
        condition: Box<crate::hypothesis::Aborted>,
    },
    /// Something of the user's own.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// What this runtime or this machine has not that the experiment takes, so that nothing can be said of the system
    /// here. Such a test is shown as not run.
    pub(crate) fn missing(&self) -> Option<Missing> {
        match self {
            Self::Runtime(error)
            | Self::Environment(EnvironmentError::Runtime(error))
            | Self::Fault(FaultError::Runtime(error)) => error.missing(),
            Self::Fault(FaultError::NotCapable { .. } | FaultError::Kernel { .. }) => Some(Missing::Ability),
            _ => None,
        }
    }
}

/// The result of a chaos test.
pub type Result<T, E = Error> = std::result::Result<T, E>;
