//! Times in which users got no good answer.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many outages are kept one by one; more are counted.
pub const KEPT_OUTAGES: usize = 100;

/// A time in which at least one route gave nothing but bad answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outage {
    /// When its first bad request was due.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub from: Duration,
    /// When good answers came again; `None` when they had not by the end of observation.
    #[serde(default, with = "humantime_serde::option")]
    #[schemars(with = "Option<String>")]
    pub to: Option<Duration>,
}

/// All outages in the time for which one injection was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outages {
    /// How many there were. Several are also called flapping.
    pub count: u64,
    /// The longest of them.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub longest: Duration,
    /// All of them together.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub total: Duration,
    /// Requests that went bad between the first bad request and the end of the last outage.
    pub bad: u64,
    /// All requests that were due in that time.
    pub requests: u64,
    /// Requests that went bad by themselves, within what the steady state allows; they are no outage.
    pub stray: u64,
    /// An outage that had begun before the injection, and so is not counted for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_before: Option<Outage>,
    /// The first [`KEPT_OUTAGES`] of them, in order.
    pub list: Vec<Outage>,
}
