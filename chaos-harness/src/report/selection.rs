//! Which run of the tests a report is about, and what it leaves out.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Report;
use crate::journal::{JournalError, Run, runs};
use crate::runtime::RuntimeKind;

/// The runs that a report is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunChoice {
    /// The one that was started last.
    #[default]
    Latest,
    /// All of them, as if they were one: every journal counts.
    All,
    /// The one of this id.
    Id(String),
}

impl FromStr for RunChoice {
    type Err = std::convert::Infallible;

    /// `latest`, `all`, or the id of a run.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "latest" => Self::Latest,
            "all" => Self::All,
            id => Self::Id(id.to_owned()),
        })
    }
}

/// What was chosen of the runs in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// What was asked for.
    pub choice: RunChoice,
    /// The run that is judged; `None` where there is none, and for all of them.
    pub run: Option<RunBrief>,
    /// The runs that are not judged, the latest first.
    pub not_judged: Vec<RunBrief>,
    /// The experiments that earlier runs have and the judged one has not: renamed, deleted, or not asked for.
    pub missing: Vec<Missing>,
}

/// A run, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunBrief {
    /// Names it; `None` for journals from a time before there were runs.
    pub id: Option<String>,
    /// When it was started.
    pub started_at: Timestamp,
    /// How many journals it has.
    pub journals: usize,
    /// Whether an experiment of it is under way.
    pub is_running: bool,
}

/// An experiment that the judged run does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Package, test target and name.
    pub experiment: String,
    /// Where it ran.
    pub runtime: RuntimeKind,
    /// Whether the run before the judged one has it; otherwise an earlier one does.
    pub in_previous: bool,
}

impl RunBrief {
    fn of(run: &Run) -> Self {
        Self {
            id: run.id.clone(),
            started_at: run.started_at,
            journals: run.journals(),
            is_running: run.heads.iter().any(|head| head.is_running),
        }
    }
}

impl Report {
    /// The report on the runs that `choice` names, of those that left journals in `folder`. Without such a run it is empty.
    ///
    /// # Errors
    /// When the folder cannot be read. A file that cannot be read is part of the report.
    pub fn read_run(folder: &Path, choice: RunChoice) -> Result<Self, JournalError> {
        let mut runs = runs(folder)?;
        let chosen = match &choice {
            RunChoice::All => {
                let report = Self::of(runs.iter().flat_map(Run::read).collect());
                return Ok(Self { selection: Some(Selection { choice, ..Selection::default() }), ..report });
            }
            RunChoice::Latest => runs.len().checked_sub(1),
            RunChoice::Id(id) => runs.iter().position(|run| run.id.as_ref() == Some(id)),
        };
        let missing = chosen.map(|chosen| missing(&runs[..chosen], &runs[chosen])).unwrap_or_default();
        let chosen = chosen.map(|chosen| runs.remove(chosen));
        let selection = Selection {
            choice,
            run: chosen.as_ref().map(RunBrief::of),
            not_judged: runs.iter().rev().map(RunBrief::of).collect(),
            missing,
        };
        let entries = chosen.as_ref().map(Run::read).unwrap_or_default();
        Ok(Self { selection: Some(selection), ..Self::of(entries) })
    }
}

/// What `earlier` runs have and `run` has not, by name.
fn missing(earlier: &[Run], run: &Run) -> Vec<Missing> {
    let mut missing: BTreeMap<(String, RuntimeKind), bool> = BTreeMap::new();
    for (back, run) in earlier.iter().rev().enumerate() {
        for head in &run.heads {
            missing.entry((head.experiment.clone(), head.runtime)).or_insert(back == 0);
        }
    }
    for head in &run.heads {
        missing.remove(&(head.experiment.clone(), head.runtime));
    }
    let missing = missing.into_iter();
    missing.map(|((experiment, runtime), in_previous)| Missing { experiment, runtime, in_previous }).collect()
}
