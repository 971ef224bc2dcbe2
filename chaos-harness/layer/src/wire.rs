//! What a test and a service say to each other: faults with a lease, and what they have done.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::point::FailPoint;
use crate::rule::Rule;

/// The environment variable that names the address of the control endpoint.
pub const CONTROL_LISTEN: &str = "CHAOS_CONTROL_LISTEN";

/// A fault to be put in force: `{"ttl": "8s", "fault": {...}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order<T> {
    /// How long it lasts unless it is put again, 1 ms to 1 h. So a test that dies leaves nothing on for longer.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// The rule, or what a fail point does.
    pub fault: T,
}

/// A fault in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InForce<T> {
    /// The rule, or what a fail point does.
    pub fault: T,
    /// Requests that fitted the rule, or calls that passed the point, since it was put in force.
    pub matched: u64,
    /// How many of them it acted upon.
    pub bitten: u64,
    /// What is left of its lease.
    #[serde(with = "humantime_serde")]
    pub ends_in: Duration,
}

/// All that is in force, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The rules.
    pub rules: BTreeMap<String, InForce<Rule>>,
    /// The fail points.
    pub points: BTreeMap<String, InForce<FailPoint>>,
}

/// Why the control endpoint refused: the body of a 4xx answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The field, or the part of the request, that is wrong.
    pub name: String,
    /// What is wrong with it.
    pub problem: String,
}
