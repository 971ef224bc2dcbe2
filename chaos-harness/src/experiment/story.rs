//! The experiment in words: an entry of the failure catalogue.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the report tells of an experiment besides its numbers. Empty texts are filled in from the
/// plan and the measurements where the harness knows them (hypothesis, method, observation).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Story {
    /// What was believed.
    pub hypothesis: String,
    /// What was done.
    pub method: String,
    /// What was seen.
    pub observation: String,
    /// What it teaches.
    pub learning: String,
    /// What to do about it.
    pub improvement: String,
}
