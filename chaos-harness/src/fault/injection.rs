//! A fault with its time: when it is applied and for how long it is held.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, FaultError, FaultKind};
use crate::topology::Topology;

/// The longest hold; an experiment may not run for longer.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// One planned injection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Injection {
    /// What goes wrong.
    pub fault: Fault,
    /// How long after the start of the fault phase it is applied.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub after: Duration,
    /// For how long it is held, counted from the moment that it is in force. For a fault that is over
    /// in a moment (a kill), how long its effect is watched.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub hold: Duration,
}

impl Injection {
    /// A fault that is applied at once and held for 3 s: enough requests for a claim, and not so long that an outage of
    /// everything aborts the experiment.
    pub fn new(fault: impl Into<Fault>) -> Self {
        Self { fault: fault.into(), after: Duration::ZERO, hold: Duration::from_secs(3) }
    }

    /// Sets for how long it is held.
    #[must_use]
    pub fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// Sets how long after the start of the fault phase it is applied.
    #[must_use]
    pub fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }

    /// Checks the fault and its times.
    ///
    /// # Errors
    /// The first thing that is wrong, by name.
    pub fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        self.fault.validate(topology)?;
        let out_of_range =
            |what, given, range| FaultError::OutOfRange { fault: self.fault.describe(), what, given, range };
        if self.hold < Duration::from_millis(1) || self.hold > LONGEST {
            return Err(out_of_range("hold", self.hold, "1ms to 30m"));
        }
        if self.after > LONGEST {
            return Err(out_of_range("delay", self.after, "0s to 30m"));
        }
        Ok(())
    }
}
