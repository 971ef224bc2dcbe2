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

/// Fills in what the plan itself tells.
pub(super) fn fill_in(plan: &mut super::Plan) {
    use crate::fault::FaultKind;

    if plan.story.hypothesis.is_empty() {
        let claims: Vec<String> = plan.hypotheses.iter().map(ToString::to_string).collect();
        plan.story.hypothesis = claims.join("; ");
    }
    if plan.story.method.is_empty() {
        let faults = plan.injections.iter().map(|injection| {
            format!("{} for {}", injection.fault.describe(), humantime::format_duration(injection.hold))
        });
        plan.story.method = faults.collect::<Vec<_>>().join("; ");
    }
}
