//! When an experiment is stopped, and how far it may reach.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::BlastRadius;
use crate::hypothesis::{Hypothesis, Measure};

/// No experiment may run for longer.
pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 60);

/// The bounds of an experiment. `None` switches an abort condition off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Abort when it takes longer; at most 30 minutes.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub duration: Duration,
    /// Abort when the error rate over the sliding window passes this share.
    pub error_rate: Option<f64>,
    /// Abort when the availability over the sliding window falls under this share.
    pub availability: Option<f64>,
    /// Abort when one of these comes true of the sliding window. Its measure is a share, a latency or a probe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub abort_when: Vec<Hypothesis>,
    /// The length of the sliding window. What is not there yet of it, early in an experiment, counts as good.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub window: Duration,
    /// The largest blast radius that the plan may have.
    pub radius: BlastRadius,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            duration: LONGEST,
            error_rate: Some(0.5),
            availability: Some(0.5),
            abort_when: Vec::new(),
            window: Duration::from_secs(10),
            radius: BlastRadius::ServiceCluster,
        }
    }
}

/// Limits that make no sense.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LimitsError {
    /// A time limit of zero or above 30 minutes.
    #[error("a time limit of {given} is outside 1s to 30m; split a longer experiment", given = humantime::format_duration(*.given))]
    Duration {
        /// As given.
        given: Duration,
    },
    /// A share outside 0 to 1.
    #[error("an abort condition at {percent}% {condition} is outside 0% to 100%")]
    Share {
        /// Which condition.
        condition: &'static str,
        /// As given, in percent.
        percent: f64,
    },
    /// A measure that a few seconds do not have.
    #[error("`{claim}` cannot stop an experiment: it is known only at its end; use a share, a latency or a probe")]
    Measure {
        /// The condition.
        claim: String,
    },
    /// A sliding window too short to hold samples, or longer than the experiment.
    #[error("a sliding window of {given} is outside 100ms to 5m", given = humantime::format_duration(*.given))]
    Window {
        /// As given.
        given: Duration,
    },
}

impl Limits {
    /// Checks every bound.
    ///
    /// # Errors
    /// The first bound that makes no sense.
    pub fn validate(&self) -> Result<(), LimitsError> {
        if !(Duration::from_secs(1)..=LONGEST).contains(&self.duration) {
            return Err(LimitsError::Duration { given: self.duration });
        }
        for (condition, share) in [("error rate", self.error_rate), ("availability", self.availability)] {
            if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
                return Err(LimitsError::Share { condition, percent: share * 100.0 });
            }
        }
        let at_the_end =
            |claim: &&Hypothesis| matches!(claim.measure, Measure::Mttr | Measure::Mttd | Measure::Recovery);
        if let Some(claim) = self.abort_when.iter().find(at_the_end) {
            return Err(LimitsError::Measure { claim: claim.to_string() });
        }
        if !(Duration::from_millis(100)..=Duration::from_secs(300)).contains(&self.window) {
            return Err(LimitsError::Window { given: self.window });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_guarantee() {
        let limits = Limits::default();
        limits.validate().unwrap();
        assert_eq!((limits.error_rate, limits.availability), (Some(0.5), Some(0.5)));
        assert_eq!(limits.duration, Duration::from_secs(1800));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let two_hours = Limits { duration: Duration::from_secs(7200), ..Limits::default() };
        let message = two_hours.validate().unwrap_err().to_string();
        assert_eq!(message, "a time limit of 2h is outside 1s to 30m; split a longer experiment");
        let share = Limits { error_rate: Some(1.5), ..Limits::default() };
        assert_eq!(
            share.validate().unwrap_err().to_string(),
            "an abort condition at 150% error rate is outside 0% to 100%"
        );
        assert!(Limits { window: Duration::ZERO, ..Limits::default() }.validate().is_err());
    }
}
