//! One request as its user saw it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One request: when it was due, when it left, when it ended, and how.
///
/// All moments count from the origin of the experiment's [`Clock`](crate::clock::Clock), and
/// `intended <= sent`, `intended <= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Index of the request in the load's list of requests; its route is named there.
    pub route: u16,
    /// When the schedule wanted the request to leave.
    pub intended: Duration,
    /// When it left. For [`Outcome::Unsent`]: when the generator gave it up.
    pub sent: Duration,
    /// When its outcome was known. For [`Outcome::Unsent`]: when its deadline would have passed, since its
    /// user waited for an answer in vain; so a request that was not sent cannot make a quantile look better.
    pub end: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

impl Sample {
    /// Latency as the user felt it: from the intended start, so that a stalled target cannot hide
    /// the requests that it delayed (no coordinated omission).
    pub fn latency(&self) -> Duration {
        self.end.saturating_sub(self.intended)
    }

    /// How late the generator sent the request.
    pub fn lag(&self) -> Duration {
        self.sent.saturating_sub(self.intended)
    }

    /// When the generator knew this sample; unlike [`Sample::end`] never in the future.
    pub fn known_at(&self) -> Duration {
        if self.outcome == Outcome::Unsent { self.sent } else { self.end }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// An accepted status within the deadline.
    Good(u16),
    /// An accepted status within the deadline, marked by the target as a degraded answer (a fallback).
    Degraded(u16),
    /// A status that the request does not accept.
    Status(u16),
    /// No complete answer within the deadline.
    Timeout,
    /// No complete answer by the end of the experiment, which did not wait for the deadline: its time limit had passed, or it
    /// was halted. A failure: nobody was served.
    CutOff,
    /// The connection was refused.
    Refused,
    /// The connection was reset or closed before the answer began.
    Reset,
    /// The answer began and broke off.
    Truncated,
    /// The target could not be reached for another reason (no route, name not found).
    Unreachable,
    /// The answer was no valid HTTP.
    Protocol,
    /// The generator never sent it: too many requests were under way already, or this machine had no
    /// file descriptor or port left. A failure, and a reason to void the run.
    Unsent,
}

impl Outcome {
    /// Whether the user was served: good or degraded.
    pub fn is_served(self) -> bool {
        matches!(self, Self::Good(_) | Self::Degraded(_))
    }

    /// Whether the user was served by a fallback.
    pub fn is_degraded(self) -> bool {
        matches!(self, Self::Degraded(_))
    }
}
