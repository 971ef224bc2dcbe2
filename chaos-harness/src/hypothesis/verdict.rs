//! The outcome of an experiment.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Finding;

/// The outcome of an experiment. Only [`Upheld`](Self::Upheld) passes a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "verdict")]
#[must_use = "a verdict that nobody looks at cannot fail a test; return it from the test or match on it"]
pub enum Verdict {
    /// Every hypothesis was measured and held.
    Upheld,
    /// A hypothesis was measured and did not hold.
    Refuted {
        /// What was measured against what was claimed.
        evidence: Vec<Evidence>,
    },
    /// Nothing can be said.
    Inconclusive {
        /// Why.
        reason: Inconclusive,
    },
    /// The experiment was stopped before its end.
    Aborted {
        /// What stopped it.
        condition: Aborted,
    },
}

/// A finding that refutes a hypothesis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The claim and what was measured.
    pub finding: Finding,
}

/// Why nothing can be said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum Inconclusive {
    /// The system was not in its steady state before the fault, so the fault explains nothing.
    NotSteady {
        /// The steady-state claims that did not hold or were not measured.
        findings: Vec<Finding>,
    },
    /// A hypothesis could not be measured.
    Unmeasured {
        /// The claims without a measurement.
        findings: Vec<Finding>,
    },
    /// Abort conditions of the plan's own were never measured, so nothing would have stopped the experiment.
    BlindConditions {
        /// The conditions, as last looked at.
        findings: Vec<Finding>,
    },
    /// Something that no fault of the experiment did changed what was tested.
    ExternalChange {
        /// What was changed, in order.
        changes: Vec<ExternalChange>,
        /// The claims that were refuted; what was changed may be the reason.
        refuted: Vec<Finding>,
    },
    /// The plan has no hypothesis, so nothing was claimed.
    NoHypothesis,
    /// Only the plan was checked and printed.
    DryRun,
    /// A fault could not be shown to have bitten.
    NoBite {
        /// The fault.
        fault: String,
        /// What was looked at.
        looked_at: String,
    },
    /// The load generator could not keep its schedule; the run is void.
    GeneratorLag {
        /// What it measured of itself.
        detail: String,
    },
}

/// A change of an instance that no fault of the experiment made: somebody else was at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExternalChange {
    /// When it was known, from the experiment's start.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub at: Duration,
    /// What happened, for people.
    pub what: String,
    /// Whether the instance was ended or removed, so that nothing that was done to it is left.
    pub ends: bool,
}

/// What stopped an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "condition")]
#[non_exhaustive]
pub enum Aborted {
    /// The error rate passed its limit.
    ErrorRate {
        /// Over the sliding window.
        measured: f64,
        /// The limit.
        limit: f64,
    },
    /// The availability fell under its limit.
    Availability {
        /// Over the sliding window.
        measured: f64,
        /// The limit.
        limit: f64,
    },
    /// The experiment ran into its time limit.
    TimeLimit {
        /// The limit.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        limit: Duration,
    },
    /// A condition of the plan's own came true.
    Condition {
        /// What it was, and what was measured over the sliding window.
        finding: Finding,
    },
    /// Somebody asked for it.
    Halted,
}

impl Verdict {
    /// Whether it passes a test.
    pub fn is_upheld(&self) -> bool {
        matches!(self, Self::Upheld)
    }

    /// Whether a hypothesis was measured and did not hold.
    pub fn is_refuted(&self) -> bool {
        matches!(self, Self::Refuted { .. })
    }

    /// The findings that refute a hypothesis; empty unless refuted.
    pub fn evidence(&self) -> impl Iterator<Item = &Finding> {
        let evidence = if let Self::Refuted { evidence } = self { evidence.as_slice() } else { &[] };
        evidence.iter().map(|evidence| &evidence.finding)
    }

    /// One word: `upheld`, `refuted`, `inconclusive` or `aborted`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Upheld => "upheld",
            Self::Refuted { .. } => "refuted",
            Self::Inconclusive { .. } => "inconclusive",
            Self::Aborted { .. } => "aborted",
        }
    }

    /// Judges findings: anything unmeasured, and nothing claimed, is inconclusive; a refutation outweighs both.
    pub fn of(findings: &[Finding]) -> Self {
        let refuted = findings.iter().filter(|finding| finding.holds() == Some(false));
        let evidence: Vec<Evidence> = refuted.map(|finding| Evidence { finding: finding.clone() }).collect();
        if !evidence.is_empty() {
            return Self::Refuted { evidence };
        }
        if findings.is_empty() {
            return Self::Inconclusive { reason: Inconclusive::NoHypothesis };
        }
        let unmeasured: Vec<Finding> = findings.iter().filter(|finding| finding.holds().is_none()).cloned().collect();
        if unmeasured.is_empty() {
            return Self::Upheld;
        }
        Self::Inconclusive { reason: Inconclusive::Unmeasured { findings: unmeasured } }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Upheld => Ok(()),
            Self::Refuted { .. } => write!(f, ": {}", list(self.evidence())),
            Self::Inconclusive { reason } => write!(f, ": {reason}"),
            Self::Aborted { condition } => write!(f, ": {condition}"),
        }
    }
}

impl fmt::Display for Inconclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSteady { findings } => {
                let nobody_looked = findings.iter().all(|finding| finding.holds().is_none());
                let what = if nobody_looked { "was not measured" } else { "did not hold" };
                write!(f, "the steady state {what} before the fault ({})", list(findings.iter()))
            }
            Self::BlindConditions { findings } => {
                write!(
                    f,
                    "abort conditions were never measured, so nothing would have stopped it ({})",
                    list(findings.iter())
                )
            }
            Self::ExternalChange { changes, refuted } => {
                let changes: Vec<&str> = changes.iter().map(|change| change.what.as_str()).collect();
                write!(f, "no fault of this experiment did this: {}", changes.join("; "))?;
                if refuted.is_empty() {
                    return Ok(());
                }
                write!(f, "; so this may be the reason for what was refuted ({})", list(refuted.iter()))
            }
            Self::Unmeasured { findings } => write!(f, "{}", list(findings.iter())),
            Self::NoHypothesis => f.write_str("no hypothesis was stated; add one with `.hypothesis(hypothesis!(...))`"),
            Self::DryRun => f.write_str("a dry run starts nothing and so proves nothing"),
            Self::NoBite { fault, looked_at } => {
                write!(f, "the fault `{fault}` could not be shown to have bitten ({looked_at})")
            }
            Self::GeneratorLag { detail } => write!(f, "the load generator could not keep its schedule ({detail})"),
        }
    }
}

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ErrorRate { measured, limit } => {
                write!(f, "the error rate reached {:.1}%, above the limit of {:.1}%", measured * 100.0, limit * 100.0)
            }
            Self::Availability { measured, limit } => {
                write!(f, "availability fell to {:.1}%, under the limit of {:.1}%", measured * 100.0, limit * 100.0)
            }
            Self::TimeLimit { limit } => {
                write!(f, "the time limit of {} passed", humantime::format_duration(*limit))
            }
            Self::Condition { finding } => write!(f, "an abort condition came true: {finding}"),
            Self::Halted => f.write_str("halted on request"),
        }
    }
}

fn list<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    findings.map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypothesis::{Comparison, Hypothesis, Measure, Measured, Threshold, Unmeasured};

    fn availability(measured: Option<f64>) -> Finding {
        let claim = Measure::Availability { route: None };
        let measured = match measured {
            Some(share) => Measured::Value { value: Threshold::Ratio(share), interval: None, count: 100 },
            None => Measured::Nothing { reason: Unmeasured::TooFewSamples { have: 0, need: 30 } },
        };
        Finding { hypothesis: Hypothesis::new(claim, Comparison::Above, Threshold::Ratio(0.95)).unwrap(), measured }
    }

    #[test]
    fn only_measured_claims_that_hold_are_upheld() {
        assert!(Verdict::of(&[availability(Some(0.99))]).is_upheld());
        assert_eq!(Verdict::of(&[]).word(), "inconclusive");
        assert_eq!(Verdict::of(&[availability(Some(0.99)), availability(None)]).word(), "inconclusive");
        assert_eq!(Verdict::of(&[availability(Some(0.90)), availability(None)]).word(), "refuted");
    }

    #[test]
    fn a_verdict_says_what_was_measured() {
        let refuted = Verdict::of(&[availability(Some(0.9)), availability(Some(0.99))]);
        assert_eq!(refuted.to_string(), "refuted: availability > 95%: 90%");
        let nothing = Verdict::of(&[availability(None)]);
        assert_eq!(nothing.to_string(), "inconclusive: availability > 95%: not measured (0 samples, 30 needed)");
    }
}
