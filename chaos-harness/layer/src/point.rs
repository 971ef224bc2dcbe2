//! A fail point's fault as plain data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::invalid::{Invalid, check_duration, check_share};

/// What happens in a share of the calls that pass a fail point.
///
/// Serialised: `{"share": 0.5, "act": {"return": {"value": "out of stock"}}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FailPoint {
    /// Share of the calls, `0.0..=1.0`.
    #[serde(default = "all")]
    pub share: f64,
    /// Decides which of them: the same seed, the same decisions in the order of the calls.
    #[serde(default)]
    pub seed: u64,
    /// What happens.
    pub act: PointAct,
}

/// What happens at a fail point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
#[non_exhaustive]
pub enum PointAct {
    /// The function returns what the point's own closure makes of `value`.
    Return {
        /// For the closure; without `->`.
        #[serde(default)]
        value: String,
    },
    /// The thread sleeps. In an async function that holds up whatever else the thread runs.
    Sleep {
        /// At most one hour.
        #[serde(with = "humantime_serde")]
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        time: Duration,
    },
    /// The thread panics.
    Panic {
        /// What it says; without `->`.
        #[serde(default)]
        message: String,
    },
}

fn all() -> f64 {
    1.0
}

impl From<PointAct> for FailPoint {
    /// In every call.
    fn from(act: PointAct) -> Self {
        Self { share: 1.0, seed: 0, act }
    }
}

impl FailPoint {
    /// Whether its values make sense.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn validate(&self) -> Result<(), Invalid> {
        check_share(self.share)?;
        match &self.act {
            PointAct::Return { value } => check_text("value", value),
            PointAct::Sleep { time } => check_duration("time", *time),
            PointAct::Panic { message } => check_text("message", message),
        }
    }
}

/// `fail` reads an arrow as the end of an action.
fn check_text(field: &'static str, text: &str) -> Result<(), Invalid> {
    if text.contains("->") { Err(Invalid::new(field, format!("{text:?} has an arrow `->` in it"))) } else { Ok(()) }
}
