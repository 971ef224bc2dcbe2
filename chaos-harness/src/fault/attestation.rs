//! Whether a fault was measured to have bitten.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was looked at, and what it showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attestation {
    /// Whether it was shown.
    pub shown: bool,
    /// The measurement, for people: `312 chunks delayed`, `process 4711 gone`.
    pub looked_at: String,
}

impl Attestation {
    /// It was shown.
    pub fn shown(looked_at: impl Into<String>) -> Self {
        Self { shown: true, looked_at: looked_at.into() }
    }

    /// It was not shown.
    pub fn not_shown(looked_at: impl Into<String>) -> Self {
        Self { shown: false, looked_at: looked_at.into() }
    }

    /// Shown exactly when `shown`.
    pub fn when(shown: bool, looked_at: impl Into<String>) -> Self {
        Self { shown, looked_at: looked_at.into() }
    }
}
