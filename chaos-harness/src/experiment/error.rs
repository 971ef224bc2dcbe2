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
    /// A time that is longer than any experiment.
    #[error("`{field}`: {} is outside 0s to {}", humantime::format_duration(*.given), humantime::format_duration(*.most))]
    Time {
        /// Which time.
        field: &'static str,
        /// As given.
        given: std::time::Duration,
        /// The longest.
        most: std::time::Duration,
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
    /// A claim about requests, and nobody sends any.
    #[error("`{claim}` is measured from requests, and the plan sends none; add a load with `.load(Load::get(...))`")]
    NoLoad {
        /// The claim.
        claim: String,
    },
    /// No hypothesis.
    #[error("nothing is claimed, so nothing can be upheld; add a claim with `.hypothesis(hypothesis!(...))`")]
    NoHypothesis,
    /// A claim about a fault, and none is injected.
    #[error(
        "`{claim}` speaks of a fault, and the plan injects none; add one with `.inject(...)`, or claim it `during baseline`"
    )]
    NoInjection {
        /// The claim.
        claim: String,
    },
    /// Too few requests are due for a claim.
    #[error(
        "`{claim}`: {due} requests are due in the {} of the {part}, {need} are needed; {remedy}",
        humantime::format_duration(*.length)
    )]
    TooFewRequests {
        /// The claim.
        claim: String,
        /// How many requests are due, of its route where it names one.
        due: u64,
        /// How many it takes.
        need: u64,
        /// The part of the experiment of which it speaks.
        part: &'static str,
        /// How long that lasts, over all repetitions.
        length: std::time::Duration,
        /// What to change.
        remedy: String,
    },
    /// No reading is due for a claim about a probe.
    #[error(
        "`{claim}`: `{probe}` is read every {}, and not once in the {} of the {part}; read it more often",
        humantime::format_duration(*.every), humantime::format_duration(*.length)
    )]
    NoReadingDue {
        /// The claim.
        claim: String,
        /// The probe.
        probe: String,
        /// Its interval.
        every: std::time::Duration,
        /// The part of the experiment of which it speaks.
        part: &'static str,
        /// How long that lasts.
        length: std::time::Duration,
    },
    /// MTTD without a signal to detect by.
    #[error("`{claim}` needs a probe that detects; add one with `.probe(Probe::health(...).detects_below(1.0))`")]
    NoDetector {
        /// The claim.
        claim: String,
    },
}
