//! The requests that a toxic acted upon, for the journal.

use std::collections::VecDeque;
use std::time::Instant;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most that are remembered on one link; the oldest go first.
pub(super) const REMEMBERED: usize = 4096;

/// Longest method or path that is kept, in bytes.
const LONGEST: usize = 256;

/// A request that a toxic acted upon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Touched {
    /// When it was chosen, on the monotonic clock of this process; not in data.
    #[serde(skip, default = "Instant::now")]
    pub moment: Instant,
    /// When it was chosen, by wall time.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Its method.
    pub method: String,
    /// Its path with the query; at most the first 256 bytes.
    pub path: String,
    /// Its W3C trace id, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The name of the toxic.
    pub toxic: String,
    /// What was done: `abort 503`.
    pub action: String,
    /// The status with which the link answered in place of the callee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// The latest of them.
#[derive(Debug, Default)]
pub(super) struct Record(VecDeque<Touched>);

impl Record {
    pub(super) fn add(&mut self, touched: Touched) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(touched);
    }

    pub(super) fn list(&self) -> Vec<Touched> {
        self.0.iter().cloned().collect()
    }
}

/// `text`, or as much of its beginning as is kept.
pub(super) fn shorten(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST.min(text.len()))].to_owned()
}
