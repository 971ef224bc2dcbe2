//! An experiment as plain data: printed by a dry run, checked before anything starts, kept in the journal.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PlanError, Story};
use crate::fault::Injection;
use crate::hypothesis::{Comparison, Hypothesis, Measure, Scope, Threshold};
use crate::load::Load;
use crate::load::probe::Probe;
use crate::safety::{BlastRadius, LONGEST, Limits};
use crate::topology::Topology;

/// Everything that an experiment will do. The same plan and seed give the same decisions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Names the experiment; part of the journal's file name.
    pub name: String,
    /// Decides every random choice.
    pub seed: u64,
    /// What is under test.
    pub topology: Topology,
    /// What users send.
    pub load: Option<Load>,
    /// What is watched on the side.
    pub probes: Vec<Probe>,
    /// What holds when all is well: checked before the fault, and what recovery means.
    pub steady_state: Vec<Hypothesis>,
    /// The faults, each with its offset and hold.
    pub injections: Vec<Injection>,
    /// What is claimed.
    pub hypotheses: Vec<Hypothesis>,
    /// How long each part lasts.
    pub timing: Timing,
    /// How often the injections are repeated, each after the recovery from the one before.
    pub repeat: u32,
    /// When it is stopped, and how far it may reach.
    pub limits: Limits,
    /// Whether the hypotheses are meant to hold.
    pub expectation: Expectation,
    /// The experiment in words.
    pub story: Story,
}

/// How long the parts of an experiment last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// How long the steady state is watched before the first injection.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub baseline: Duration,
    /// How long recovery is waited for after the last rollback.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub recovery: Duration,
    /// How long the steady state is watched once it is back.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { baseline: Duration::from_secs(3), recovery: Duration::from_secs(30), after: Duration::from_secs(2) }
    }
}

impl Timing {
    /// No part lasts longer than an experiment may.
    fn validate(&self) -> Result<(), PlanError> {
        let Self { baseline, recovery, after } = *self;
        [("baseline", baseline), ("recovery", recovery), ("after", after)]
            .into_iter()
            .try_for_each(|(field, time)| check_time(field, time))
    }
}

/// Refuses a time that is longer than any experiment.
pub(super) fn check_time(field: &'static str, given: Duration) -> Result<(), PlanError> {
    if given > LONGEST { Err(PlanError::Time { field, given, most: LONGEST }) } else { Ok(()) }
}

/// Whether the hypotheses are meant to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// They are.
    #[default]
    Upheld,
    /// This is a twin with a protecting pattern switched off: it is meant to be refuted, which shows
    /// that the experiment can fail at all.
    Refuted {
        /// What was switched off.
        without: String,
    },
}

impl Plan {
    /// A plan that starts `topology` and does nothing to it.
    pub fn new(name: impl Into<String>, seed: u64, topology: Topology) -> Self {
        Self {
            name: name.into(),
            seed,
            topology,
            load: None,
            probes: Vec::new(),
            steady_state: Vec::new(),
            injections: Vec::new(),
            hypotheses: Vec::new(),
            timing: Timing::default(),
            repeat: 1,
            limits: Limits::default(),
            expectation: Expectation::default(),
            story: Story::default(),
        }
    }

    /// Fills in what was not said: with a load and no steady state, `availability > 99%`.
    pub fn complete(&mut self) {
        if self.steady_state.is_empty() && self.load.is_some() {
            self.steady_state.push(Hypothesis {
                measure: Measure::Availability { route: None },
                comparison: Comparison::Above,
                threshold: Threshold::Ratio(0.99),
                scope: Scope::Baseline,
            });
        }
    }

    /// The blast radius of all injections together.
    pub fn radius(&self) -> BlastRadius {
        BlastRadius::of_faults(self.injections.iter().map(|injection| &injection.fault), self.topology.services.len())
    }

    /// Checks the plan as a whole, before anything is started.
    ///
    /// # Errors
    /// The first thing that is wrong, by name.
    pub fn validate(&self) -> Result<(), PlanError> {
        self.topology.validate()?;
        self.limits.validate()?;
        self.timing.validate()?;
        if !(1..=1000).contains(&self.repeat) {
            return Err(PlanError::Repeat { given: self.repeat });
        }
        if let Some(load) = &self.load {
            load.validate()?;
            for request in &load.requests {
                self.topology.get(&request.service)?;
            }
        }
        for probe in &self.probes {
            probe.validate()?;
            self.topology.get(&probe.service)?;
        }
        for injection in &self.injections {
            injection.validate(&self.topology)?;
        }
        let radius = self.radius();
        if !self.injections.is_empty() && radius > self.limits.radius {
            return Err(PlanError::Radius { radius, allowed: self.limits.radius });
        }
        let mut claims = self.steady_state.iter().chain(&self.hypotheses).chain(&self.limits.abort_when);
        claims.try_for_each(|claim| self.validate_claim(claim))
    }

    fn validate_claim(&self, claim: &Hypothesis) -> Result<(), PlanError> {
        claim.validate()?;
        let text = || claim.to_string();
        if claim.measure.is_of_requests() && self.load.is_none() {
            return Err(PlanError::NoLoad { claim: text() });
        }
        if let Some(route) = claim.route() {
            let known: Vec<&str> = self.load.iter().flat_map(Load::routes).collect();
            if !known.contains(&route) {
                return Err(PlanError::UnknownRoute { claim: text(), known: listed(&known) });
            }
        }
        if let Some(probe) = claim.probe() {
            let known: Vec<&str> = self.probes.iter().map(|probe| probe.name.as_str()).collect();
            if !known.contains(&probe) {
                return Err(PlanError::UnknownProbe { claim: text(), known: listed(&known) });
            }
        }
        if claim.measure == Measure::Mttd && self.probes.iter().all(|probe| probe.detects.is_none()) {
            return Err(PlanError::NoDetector { claim: text() });
        }
        Ok(())
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

mod conclusive;
#[cfg(test)]
mod extremes;
#[cfg(test)]
mod tests;
