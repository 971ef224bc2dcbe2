//! What can be wrong with a plan.

use thiserror::Error;

use crate::fault::FaultError;
use crate::hypothesis::HypothesisError;
use crate::load::LoadError;
use crate::load::probe::ProbeError;
use crate::safety::{BlastRadius, LimitsError};
use crate::topology::TopologyError;

/// A plan that cannot be run, and why. Nothing has been started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The topology.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A probe.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// A fault.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// A hypothesis.
    #[error(transparent)]
    Hypothesis(#[from] HypothesisError),
    /// A limit.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// Repeated never, or without end.
    #[error("{given} repetitions; use 1 to 1000")]
    Repeat {
        /// As given.
        given: u32,
    },
    /// The faults reach further than allowed.
    #[error(
        "the plan's blast radius is {radius}, allowed is {allowed}; narrow the faults or allow it with `.allow({radius:?})`"
    )]
    Radius {
        /// Of the plan.
        radius: BlastRadius,
        /// The limit.
        allowed: BlastRadius,
    },
    /// A route that the load does not send.
    #[error("`{claim}` names a route that the load does not send; it sends: {known}")]
    UnknownRoute {
        /// The claim.
        claim: String,
        /// The routes there are.
        known: String,
    },
    /// A probe that is not declared.
    #[error("`{claim}` names a probe that is not declared; declared are: {known}")]
    UnknownProbe {
        /// The claim.
        claim: String,
        /// The probes there are.
        known: String,
    },
    /// MTTD without a signal to detect by.
    #[error("`{claim}` needs a probe that detects; add one with `.probe(Probe::health(...).detects_below(1.0))`")]
    NoDetector {
        /// The claim.
        claim: String,
    },
}
