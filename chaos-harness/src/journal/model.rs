//! The shape of a journal. A change that old readers cannot read raises [`SCHEMA_VERSION`].

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{TestRun, Traffic, logs};
use crate::experiment::{Expectation, Plan};
use crate::fault::Attestation;
use crate::hypothesis::{Finding, Verdict};
use crate::link::LinkName;
use crate::load::LagReport;
use crate::measure::{Detection, Outages, Recovery, SampleColumns, Series};
use crate::runtime::{Choice, State};
use crate::topology::InstanceId;

/// The version of the journal's shape.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything known about one run of one experiment.
///
/// Moments (`at`, `applied`, ...) count from the experiment's start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Journal {
    /// The version of this shape.
    pub schema: u32,
    /// Names this run of the experiment: sortable by start, unique on a machine.
    pub run: String,
    /// The run of the tests that it belongs to. `None` in journals of harnesses that did not look.
    #[serde(default)]
    pub test_run: Option<TestRun>,
    /// The test that ran it.
    pub test: TestRef,
    /// Whether it came to its end.
    pub status: Status,
    /// When it started.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// How long it took, once it has ended.
    #[serde(default, with = "humantime_serde::option")]
    #[schemars(with = "Option<String>")]
    pub took: Option<Duration>,
    /// What it was run with.
    pub versions: Versions,
    /// Which runtime, and why.
    pub runtime: Choice,
    /// What was to be done; holds the seed.
    pub plan: Plan,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// The injections that were made, in order.
    pub injections: Vec<InjectionRecord>,
    /// The names of the load's routes; a sample's `route` is an index into them.
    pub routes: Vec<String>,
    /// Every request.
    pub samples: SampleColumns,
    /// What the links saw. Empty in journals of harnesses that did not look.
    #[serde(default)]
    pub links: Traffic,
    /// What the probes read.
    pub probes: Vec<Series>,
    /// How well the load generator kept its schedule.
    pub generator: Option<LagReport>,
    /// The steady-state claims, as measured before the first fault.
    pub steady_state: Vec<Finding>,
    /// The hypotheses, as measured.
    pub findings: Vec<Finding>,
    /// The outcome.
    pub verdict: Option<Verdict>,
    /// Why it could not be run here, where this runtime or this machine has not what it takes. It counts neither as passed
    /// nor as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// What went wrong with the experiment itself: a rollback that failed, something left behind.
    pub problems: Vec<Problem>,
    /// The last lines of each instance; those of what somebody else wrote are cut as well.
    #[serde(deserialize_with = "logs::bounded")]
    pub logs: BTreeMap<String, Vec<String>>,
    /// One command that runs it again with the same decisions.
    pub replay: String,
}

/// The test that an experiment belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestRef {
    /// The package.
    pub package: String,
    /// The test target: the file name of an integration test.
    pub target: String,
    /// The test function, with its modules.
    pub test: String,
    /// The source file.
    pub file: String,
    /// The line of the test function.
    pub line: u32,
}

impl TestRef {
    /// Package, test target and `name`: what tells experiments apart.
    pub fn experiment(&self, name: &str) -> String {
        format!("{}::{}::{name}", self.package, self.target)
    }
}

/// Whether an experiment came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It did; the journal is whole.
    Complete,
    /// It is still running.
    Running,
    /// Its test process ended before it did.
    Interrupted,
}

/// What an experiment was run with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Versions {
    /// Of chaos-harness.
    pub harness: String,
    /// Of what stands behind the runtime.
    pub runtime: String,
    /// Of the operating system.
    pub system: String,
}

/// The parts of an experiment, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The plan is checked, and what dead runs left is removed.
    Preflight,
    /// Targets start and become healthy.
    Start,
    /// The steady state is watched.
    Baseline,
    /// Faults are applied.
    Inject,
    /// They are held.
    Hold,
    /// They are undone.
    RollBack,
    /// The steady state is waited for.
    Recover,
    /// Hypotheses are judged.
    Judge,
    /// Everything is taken away.
    TearDown,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When, from the experiment's start, in microseconds.
    pub at_us: u64,
    /// When, by the clock on the wall.
    #[schemars(with = "String")]
    pub wall: Timestamp,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum What {
    /// A phase begins.
    Phase {
        /// Which.
        phase: Phase,
    },
    /// A fault is in force.
    Injected {
        /// Index into the journal's injections.
        injection: usize,
    },
    /// A fault has been undone.
    RolledBack {
        /// Index into the journal's injections.
        injection: usize,
    },
    /// An instance changed.
    Instance {
        /// Which.
        instance: InstanceId,
        /// What it is now.
        state: State,
        /// How often its restart policy has started it again.
        restarts: u32,
    },
    /// The steady state is back.
    Steady,
    /// An abort condition came true.
    Aborting {
        /// Which.
        condition: String,
    },
    /// Something worth telling.
    Note {
        /// What.
        text: String,
    },
}

/// One injection as it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InjectionRecord {
    /// Index into the plan's injections.
    pub planned: usize,
    /// Which repetition, from 1.
    pub repetition: u32,
    /// The fault, for people.
    pub fault: String,
    /// How it was done.
    pub mechanism: String,
    /// The links that it is on: the one that it names, or every link to a service that it names.
    #[serde(default)]
    pub links: Vec<LinkName>,
    /// Whether anything passed on a link from or to what it hit, at any time of the experiment. If not, no request can have felt
    /// it. `None` where it is on no link, and in journals of harnesses that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<bool>,
    /// When the harness began to apply it: the earliest moment at which users can have felt it.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub began: Duration,
    /// When it was in force for everything that it names; the hold counts from here.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub applied: Duration,
    /// When it had been undone.
    #[serde(default, with = "humantime_serde::option")]
    #[schemars(with = "Option<String>")]
    pub rolled_back: Option<Duration>,
    /// Whether it was measured to have bitten.
    pub bite: Option<Attestation>,
    /// Whether its effect was measured to be gone after the rollback.
    pub gone: Option<Attestation>,
    /// What it did to users, and for how long.
    pub recovery: Option<Recovery>,
    /// The outages that the recovery is made of; `None` in journals of harnesses that did not keep them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outages: Option<Outages>,
    /// Whether and when it was noticed, by the first probe that detects.
    pub detection: Option<Detection>,
    /// The decomposition of its time.
    pub milestones: Option<Milestones>,
}

/// The moments that one injection's time falls into. `None`: it did not happen while observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Milestones {
    /// The first request that went bad: time to recover counts from here.
    #[serde(default, with = "humantime_serde::option")]
    #[schemars(with = "Option<String>")]
    pub first_bad: Option<Duration>,
    /// A health signal showed it.
    #[serde(default, with = "humantime_serde::option")]
    #[schemars(with = "Option<String>")]
    pub detected: Option<Duration>,
    /// The first request that a fallback answered.
    #[serde(default, with = "humantime_serde::option")]
    #[schemars(with = "Option<String>")]
    pub degraded: Option<Duration>,
    /// The fault was undone, or what it hit came back by itself.
    #[serde(default, with = "humantime_serde::option")]
    #[schemars(with = "Option<String>")]
    pub healed: Option<Duration>,
    /// The last outage ended: the steady state was back.
    #[serde(default, with = "humantime_serde::option")]
    #[schemars(with = "Option<String>")]
    pub steady: Option<Duration>,
}

/// What went wrong with the experiment itself. Each fails the test, whatever the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "problem")]
pub enum Problem {
    /// A fault may still be in force.
    RollbackFailed {
        /// The fault.
        fault: String,
        /// Why.
        reason: String,
    },
    /// Something could not be removed.
    LeftBehind {
        /// What.
        what: String,
    },
    /// The experiment could not be carried out.
    Error {
        /// Why.
        reason: String,
    },
}

/// How a journal counts for a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// As expected: upheld, or for a twin refuted.
    Passed,
    /// Refuted, inconclusive, aborted, interrupted, or a twin that was not refuted.
    Failed,
    /// It could not be run here.
    NotRun,
    /// Something was left behind, or a rollback failed.
    LeftBehind,
}

impl Journal {
    /// Its name for people: the test and, where a test runs several, the plan.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// Whether it is a twin: a protecting pattern is switched off, and it is meant to be refuted.
    pub fn is_twin(&self) -> bool {
        matches!(self.plan.expectation, Expectation::Refuted { .. })
    }

    /// How it counts for a gate.
    pub fn outlook(&self) -> Outlook {
        let left = |problem: &Problem| !matches!(problem, Problem::Error { .. });
        if self.problems.iter().any(left) {
            return Outlook::LeftBehind;
        }
        if self.not_run.is_some() {
            return Outlook::NotRun;
        }
        let as_expected = match (&self.plan.expectation, &self.verdict) {
            (Expectation::Upheld, Some(verdict)) => verdict.is_upheld(),
            (Expectation::Refuted { .. }, Some(verdict)) => verdict.is_refuted(),
            (_, None) => false,
        };
        let sound = self.status == Status::Complete && self.problems.is_empty();
        if sound && as_expected { Outlook::Passed } else { Outlook::Failed }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Preflight => "preflight",
            Self::Start => "start",
            Self::Baseline => "baseline",
            Self::Inject => "inject",
            Self::Hold => "hold",
            Self::RollBack => "roll back",
            Self::Recover => "recover",
            Self::Judge => "judge",
            Self::TearDown => "tear down",
        })
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RollbackFailed { fault, reason } => write!(f, "`{fault}` could not be rolled back: {reason}"),
            Self::LeftBehind { what } => write!(f, "left behind: {what}"),
            Self::Error { reason } => f.write_str(reason),
        }
    }
}
