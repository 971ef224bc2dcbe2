//! What can be wrong with a fault, or go wrong with it.

use std::time::Duration;

use chaos_harness_netns::NetnsError;
use thiserror::Error;

use chaos_layer::Invalid;

use crate::link::LinkError;
use crate::runtime::{Capability, RuntimeError, RuntimeKind};
use crate::topology::{InstanceId, Protocol, TopologyError};

/// A fault that cannot be applied or undone, and why.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FaultError {
    /// It names a service that is not there.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// It names an instance that is not there.
    #[error("there is no {instance}; service `{service}` has {instances} instance(s)", service = .instance.service)]
    UnknownInstance {
        /// As given.
        instance: InstanceId,
        /// How many there are.
        instances: u16,
    },
    /// It names an instance that does not run.
    #[error(
        "{instance} is on standby; start it with `target(\"{service}\").scale({ordinal})` first",
        service = .instance.service,
        ordinal = .instance.ordinal
    )]
    OnStandby {
        /// As given.
        instance: InstanceId,
    },
    /// It names a link that was not declared.
    #[error("link {caller} -> {callee} was not declared; declared are: {declared}")]
    UnknownLink {
        /// The caller.
        caller: String,
        /// The callee.
        callee: String,
        /// The links there are.
        declared: String,
    },
    /// It needs a link that speaks something else.
    #[error(
        "`{fault}` needs {needed}, but link {caller} -> {callee} speaks {spoken}; declare it as \
         `{caller} -> {callee}: {needed}` in `topology!`, or with \
         `.link_over(\"{caller}\", \"{callee}\", Protocol::{needed:?})`"
    )]
    WrongProtocol {
        /// The fault.
        fault: String,
        /// The caller.
        caller: String,
        /// The callee.
        callee: String,
        /// What was declared.
        spoken: Protocol,
        /// What it needs.
        needed: Protocol,
    },
    /// A hold or offset out of range.
    #[error("`{fault}`: a {what} of {given} is outside {range}", given = humantime::format_duration(*.given))]
    OutOfRange {
        /// The fault.
        fault: String,
        /// Hold or offset.
        what: &'static str,
        /// As given.
        given: Duration,
        /// What is accepted.
        range: &'static str,
    },
    /// A setting out of range.
    #[error("`{fault}`: {what} of {given} is outside {range}")]
    BadValue {
        /// The fault.
        fault: String,
        /// Which setting.
        what: &'static str,
        /// As given.
        given: String,
        /// What is accepted.
        range: String,
    },
    /// A share of a limit that is not there.
    #[error("`{fault}`: {instance} has no {kind} limit to take a share of; inject `.{kind}_limit(..)` on it first")]
    NoLimit {
        /// The fault.
        fault: String,
        /// On what: `memory`, `process`.
        kind: &'static str,
        /// The instance.
        instance: InstanceId,
    },
    /// A signal that does not exist.
    #[error("there is no signal `{given}`; there are: {known}")]
    UnknownSignal {
        /// As given.
        given: String,
        /// The signals there are.
        known: String,
    },
    /// The runtime cannot do what the fault requires.
    #[error("`{fault}` requires {capability}, which the {runtime} runtime does not have{hint}")]
    NotCapable {
        /// The fault.
        fault: String,
        /// What it takes.
        capability: Capability,
        /// The runtime that was chosen.
        runtime: RuntimeKind,
        /// What to do instead, with leading punctuation; may be empty.
        hint: &'static str,
    },
    /// A rule or a fail point that makes no sense.
    #[error("`{fault}`: {source}")]
    Rule {
        /// The fault.
        fault: String,
        /// Which field, and what is wrong with it.
        source: Invalid,
    },
    /// It needs a control endpoint that was not declared.
    #[error(
        "`{fault}` needs a chaos control endpoint, and service `{service}` declares none; give the service \
         `chaos-layer` and declare `control_port: 9100` in `topology!`, or `.control_port(9100)`"
    )]
    NoControlPort {
        /// The fault.
        fault: String,
        /// The service.
        service: String,
    },
    /// A control endpoint did not do what it was asked to.
    #[error("{instance}: the chaos control endpoint did not {action}: {problem}")]
    Control {
        /// Whose endpoint.
        instance: InstanceId,
        /// What was asked for.
        action: &'static str,
        /// What it answered, or why nothing came.
        problem: String,
    },
    /// The kernel lacks what it takes.
    #[error("`{fault}`: {source}; {instead}")]
    Kernel {
        /// The fault.
        fault: String,
        /// What is missing.
        source: NetnsError,
        /// What to use instead.
        instead: &'static str,
    },
    /// A number out of range.
    #[error("`{fault}`: a {what} of {given} is outside {range}")]
    Number {
        /// The fault.
        fault: String,
        /// Which number.
        what: &'static str,
        /// As given.
        given: f64,
        /// What is accepted.
        range: &'static str,
    },
    /// A service as its own peer.
    #[error(
        "service `{service}` cannot be its own peer; name another service, or none for all that it sends and receives"
    )]
    OwnPeer {
        /// The service.
        service: String,
    },
    /// The users of a service that others call too.
    #[error(
        "`{fault}`: the users of `{service}` cannot be told from its other callers, whose packets come from the same \
         address; use `link(\"users\", \"{service}\")`, or a service that no other one calls"
    )]
    CallersAlike {
        /// The fault.
        fault: String,
        /// The service.
        service: String,
    },
    /// Shaping of what arrives.
    #[error(
        "`{fault}`: only what a service sends can be shaped; put the fault on the sender, or use `link(..).down()`"
    )]
    Inbound {
        /// The fault.
        fault: String,
    },
    /// Groups that make no partition.
    #[error("these groups make no partition: {reason}")]
    Groups {
        /// What is wrong.
        reason: String,
    },
    /// The link proxy refused.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The runtime refused.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}
