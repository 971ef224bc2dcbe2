//! What people and machines read of an experiment: journals in, bytes out.
//!
//! Nothing here starts, measures or judges anything; the outcome of an experiment is
//! [`Journal::outlook`](crate::journal::Journal::outlook), and every format tells the same one. In the order of reading:
//!
//! - [`Report`]: the journals of a run, sorted, a twin beside its experiment, and the files that could not be read.
//! - [`View`] and [`Measures`]: what the formats show of one journal, worked out once for all of them.
//! - The formats: [`text`] for terminals and failing tests, [`markdown`] for a job's summary, [`html`] to look at,
//!   [`junit`] for test dashboards, [`json`] to store and compare, [`annotations`] for GitHub Actions.
//! - [`Selection`]: which run of the tests it is, and what that one does not have; [`Changed`]: whether it is outdated.
//! - [`baseline`] compares with a stored run, and [`Gate`] says what a pipeline should do.

pub mod annotations;
pub mod baseline;
pub(crate) mod causes;
mod course;
pub mod foreign;
mod freshness;
mod gate;
pub mod html;
mod impact;
pub mod json;
pub mod junit;
pub mod markdown;
mod measures;
mod notes;
mod selection;
mod sparkline;
pub mod text;
mod traffic;
mod view;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

pub use causes::message;
pub use foreign::Output;
pub use freshness::Changed;
pub use gate::Gate;
pub use measures::{Impact, Measures};
pub use selection::{Missing, RunBrief, RunChoice, Selection};
pub use view::{Standing, View};

use crate::journal::{Entry, Journal, JournalError, Outlook};
use crate::runtime::RuntimeKind;

/// The journals of a run.
#[derive(Debug)]
pub struct Report {
    /// The experiments, by package, test target and name; twins follow the experiment whose name theirs begins with.
    pub experiments: Vec<Experiment>,
    /// The files that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// The comparison with a stored run, when one was asked for.
    pub comparison: Option<baseline::Comparison>,
    /// Which run it is about, where it was read from a folder.
    pub selection: Option<Selection>,
    /// A source that is newer than the run, when one was looked for; nothing is judged then.
    pub changed: Option<Changed>,
}

/// One experiment and where its journal lies.
#[derive(Debug)]
pub struct Experiment {
    /// The journal's file.
    pub path: PathBuf,
    /// The journal.
    pub journal: Journal,
    /// Tells it from others of its name in the report: ` on docker`, ` (2 of 3)`; else empty.
    pub suffix: String,
}

/// A file in the journal folder that is no readable journal.
#[derive(Debug)]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// Why, and what to do.
    pub reason: String,
}

/// How many experiments ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// As expected.
    pub passed: usize,
    /// Not as expected: refuted, inconclusive, aborted, interrupted, still running, or a twin that was not refuted.
    pub failed: usize,
    /// Something was left behind, or a rollback failed.
    pub left_behind: usize,
    /// Files that are no readable journal.
    pub unreadable: usize,
    /// Could not be run here; these count for nothing else.
    #[serde(default)]
    pub not_run: usize,
}

impl Totals {
    /// All that there is to judge.
    pub fn all(&self) -> usize {
        self.passed + self.failed + self.left_behind + self.unreadable
    }
}

impl Report {
    /// The report on what `read_dir` found.
    pub fn of(entries: Vec<Entry>) -> Self {
        let (mut experiments, mut unreadable) = (Vec::new(), Vec::new());
        for Entry { path, journal } in entries {
            match journal {
                Ok(journal) => experiments.push(Experiment { path, journal, suffix: String::new() }),
                Err(error) => unreadable.push(Unreadable { path, reason: error.to_string() }),
            }
        }
        let experiments = told_apart(sorted(experiments));
        Self { experiments, unreadable, comparison: None, selection: None, changed: None }
    }

    /// The report on the run of the tests that was started last, of those with journals in `folder`; empty when the
    /// folder does not exist. Every journal of that run counts, so that no retry hides a refusal.
    ///
    /// # Errors
    /// When the folder cannot be read. A file that cannot be read is part of the report.
    pub fn read(folder: &Path) -> Result<Self, JournalError> {
        Self::read_run(folder, RunChoice::Latest)
    }

    /// The same report with a comparison to a stored run.
    #[must_use]
    pub fn compared_with(mut self, stored: &json::Summary) -> Self {
        self.comparison = Some(baseline::compare(stored, &json::Summary::of(&self)));
        self
    }

    /// How many ended in which way.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { unreadable: self.unreadable.len(), ..Totals::default() };
        for experiment in &self.experiments {
            match experiment.journal.outlook() {
                Outlook::Passed => totals.passed += 1,
                Outlook::Failed => totals.failed += 1,
                Outlook::NotRun => totals.not_run += 1,
                Outlook::LeftBehind => totals.left_behind += 1,
            }
        }
        totals
    }

    /// The resilience score, 0 to 1: experiments that ended as expected / all journals. Twins count like other
    /// experiments, and unreadable journals as not passed. What could not be run here is left out. `None` without any journal
    /// to judge.
    pub fn score(&self) -> Option<f64> {
        let totals = self.totals();
        (totals.all() > 0).then(|| totals.passed as f64 / totals.all() as f64)
    }

    /// When the last of the experiments started.
    pub fn latest_start(&self) -> Option<Timestamp> {
        self.experiments.iter().map(|experiment| experiment.journal.started_at).max()
    }
}

impl Experiment {
    /// Its name for people, unlike any other in the report.
    pub fn name(&self) -> String {
        format!("{}{}", self.journal.name(), self.suffix)
    }

    /// What the formats show of it.
    pub fn view(&self) -> View<'_> {
        View::of(&self.journal)
    }
}

/// By package, target and name, each twin after the experiment whose name its own begins with.
fn sorted(experiments: Vec<Experiment>) -> Vec<Experiment> {
    let place = |journal: &Journal| (journal.test.package.clone(), journal.test.target.clone());
    let originals = experiments.iter().map(|experiment| &experiment.journal).filter(|journal| !journal.is_twin());
    let originals: HashSet<(&str, &str, &str)> =
        originals.map(|journal| (&*journal.test.package, &*journal.test.target, journal.name())).collect();
    let lengths: BTreeSet<usize> = originals.iter().map(|(_, _, name)| name.len()).collect();
    let original_of = |twin: &Journal| {
        let mut beginnings = lengths.iter().rev().filter_map(|length| twin.name().get(..*length));
        let name = beginnings.find(|name| originals.contains(&(&*twin.test.package, &*twin.test.target, *name)));
        name.map(str::to_owned)
    };
    let key = |Experiment { journal, .. }: &Experiment| {
        let name = journal.name().to_owned();
        let leader = if journal.is_twin() { original_of(journal) } else { None };
        let run = (journal.runtime.kind, journal.started_at, journal.run.clone());
        (place(journal), leader.unwrap_or_else(|| name.clone()), journal.is_twin(), name, run)
    };
    let mut order: Vec<_> = experiments.iter().map(key).zip(0..).collect();
    order.sort();
    let mut experiments: Vec<Option<Experiment>> = experiments.into_iter().map(Some).collect();
    order.into_iter().filter_map(|(_, at): (_, usize)| experiments[at].take()).collect()
}

/// Marks those that have their name, as it is shown, in common with others, on another runtime or in another attempt.
fn told_apart(mut experiments: Vec<Experiment>) -> Vec<Experiment> {
    let shown = |journal: &Journal| words::line(&journal.test.experiment(journal.name()));
    let mut runtimes: HashMap<String, BTreeMap<RuntimeKind, usize>> = HashMap::new();
    for Experiment { journal, .. } in &experiments {
        *runtimes.entry(shown(journal)).or_default().entry(journal.runtime.kind).or_default() += 1;
    }
    let mut seen: BTreeMap<(String, RuntimeKind), usize> = BTreeMap::new();
    for experiment in &mut experiments {
        let (id, runtime) = (shown(&experiment.journal), experiment.journal.runtime.kind);
        let of_name = &runtimes[&id];
        if of_name.len() > 1 {
            experiment.suffix += &format!(" on {runtime}");
        }
        let (at, of) = (seen.entry((id, runtime)).or_default(), of_name[&runtime]);
        *at += 1;
        if of > 1 {
            experiment.suffix += &format!(" ({at} of {of})");
        }
    }
    experiments
}
