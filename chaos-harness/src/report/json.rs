//! The report as data: what is stored and compared, without samples, events and logs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::foreign::{Output, Syntax};
use super::traffic::LinkView;
use super::view::finding_word;
use super::{Changed, Experiment, Measures, Report, Selection, Totals, baseline, notes, traffic};

/// The version of [`Summary`]'s shape; raised when old readers cannot read it.
pub const FORMAT: u32 = 1;

/// The report of a run. Moments are in UTC, times in milliseconds, shares from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The version of this shape.
    pub format: u32,
    /// When the last of the experiments started.
    pub latest_start: Option<Timestamp>,
    /// The resilience score, 0 to 1; see [`Report::score`].
    pub score: Option<f64>,
    /// How many experiments ended in which way.
    pub totals: Totals,
    /// The experiments.
    pub experiments: Vec<ExperimentSummary>,
    /// The files that are no readable journal.
    pub unreadable: Vec<UnreadableSummary>,
    /// The comparison with a stored run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<baseline::Comparison>,
    /// Which run it is about, and what was not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection>,
    /// The experiments that were run more than once. Each run counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retried: Vec<Retried>,
    /// A source that is newer than the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Changed>,
}

/// An experiment that was run more than once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retried {
    /// The experiment and its runtime.
    pub experiment: String,
    /// How it stood each time, in that order.
    pub standings: Vec<String>,
}

/// One experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExperimentSummary {
    /// Package, test target and name: by this runs are compared.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The source file of the test.
    pub file: String,
    /// The line of the test.
    pub line: u32,
    /// How it stands: `upheld`, `refuted_as_expected`, `refuted`, `inconclusive`, ...
    pub standing: String,
    /// Whether it ended as expected.
    pub passed: bool,
    /// Why it stands so.
    pub reason: String,
    /// For a twin, what was switched off.
    pub twin_without: Option<String>,
    /// The runtime.
    pub runtime: String,
    /// The seed.
    pub seed: u64,
    /// How long it took.
    pub took_ms: Option<u64>,
    /// The hypotheses.
    pub hypotheses: Vec<HypothesisSummary>,
    /// What was measured while the fault was in force.
    pub measures: Measures,
    /// The links that saw traffic or a fault, those with a fault first.
    #[serde(default)]
    pub links: Vec<LinkSummary>,
    /// What went wrong with the experiment itself.
    pub problems: Vec<String>,
    /// The command that runs it again.
    pub replay: String,
    /// The file name of the journal.
    pub journal: String,
}

/// One hypothesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HypothesisSummary {
    /// The claim.
    pub claim: String,
    /// What was measured.
    pub measured: String,
    /// `held`, `refuted` or `not measured`.
    pub result: String,
}

/// One link, summed over all pairs of instances. Its course over time is in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSummary {
    /// Who calls; `users` for the load.
    pub caller: String,
    /// Who is called.
    pub callee: String,
    /// The faults that were on it.
    pub faults: Vec<String>,
    /// What it counted during the experiment, by the counters' names; those that stayed zero are left out.
    pub totals: BTreeMap<String, u64>,
}

impl LinkSummary {
    fn of(link: &LinkView<'_>) -> Self {
        let name = link.traffic.link.clone();
        let faults = link.faults.iter().map(|fault| (*fault).to_owned()).collect();
        Self { caller: name.caller, callee: name.callee, faults, totals: link.traffic.totals.clone() }
    }
}

/// A file that is no readable journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableSummary {
    /// The file.
    pub path: String,
    /// Why, and what to do.
    pub reason: String,
}

impl Summary {
    /// The summary of `report`.
    pub fn of(report: &Report) -> Self {
        let unreadable = report
            .unreadable
            .iter()
            .map(|file| UnreadableSummary { path: file.path.display().to_string(), reason: file.reason.clone() });
        Self {
            format: FORMAT,
            latest_start: report.latest_start(),
            score: report.score(),
            totals: report.totals(),
            experiments: report.experiments.iter().map(ExperimentSummary::of).collect(),
            unreadable: unreadable.collect(),
            comparison: report.comparison.clone(),
            selection: report.selection.clone(),
            retried: notes::retried(report).into_iter().map(Retried::of).collect(),
            changed: report.changed.clone(),
        }
    }
}

impl Retried {
    fn of((experiment, standings): (String, Vec<&str>)) -> Self {
        Self { experiment, standings: standings.into_iter().map(str::to_owned).collect() }
    }
}

impl ExperimentSummary {
    fn of(experiment: &Experiment) -> Self {
        let (view, journal) = (experiment.view(), &experiment.journal);
        let hypotheses = journal.findings.iter().map(|finding| HypothesisSummary {
            claim: finding.hypothesis.to_string(),
            measured: finding.measured.to_string(),
            result: finding_word(finding).to_owned(),
        });
        Self {
            id: view.id(),
            name: journal.name().to_owned(),
            file: journal.test.file.clone(),
            line: journal.test.line,
            standing: view.standing().code(),
            passed: view.standing().is_passed(),
            reason: view.reason(),
            twin_without: view.without().map(str::to_owned),
            runtime: journal.runtime.kind.to_string(),
            seed: journal.plan.seed,
            took_ms: journal.took.map(|took| took.as_millis() as u64),
            hypotheses: hypotheses.collect(),
            measures: view.measures(),
            links: traffic::links(&view).iter().map(LinkSummary::of).collect(),
            problems: journal.problems.iter().map(ToString::to_string).collect(),
            replay: journal.replay.clone(),
            journal: experiment.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        }
    }
}

/// The report as JSON, indented, with a line feed at its end.
///
/// # Errors
/// Never for what this crate makes; serde_json's signature is kept.
pub fn render(report: &Report) -> serde_json::Result<Output> {
    serde_json::to_string_pretty(&Summary::of(report)).map(|text| Output::new(Syntax::Json, &(text + "\n")))
}
