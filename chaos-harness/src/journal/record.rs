//! One line of a `.partial` file.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Event, InjectionRecord, Journal, Problem, Status, TrafficInterval, logs};
use crate::hypothesis::{Finding, Verdict};
use crate::load::LagReport;
use crate::measure::{SampleColumns, Series};

/// Something that was added to a journal while its experiment ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record", content = "data")]
pub enum Record {
    /// The first line: everything that is known at the start.
    Head {
        /// The process that writes.
        owner: String,
        /// The journal so far.
        journal: Box<Journal>,
    },
    /// Something happened.
    Event(Event),
    /// An injection was made, or more is known of it.
    Injection {
        /// Its index.
        index: usize,
        /// What is known of it.
        record: Box<InjectionRecord>,
    },
    /// Some requests ended.
    Samples(SampleColumns),
    /// Every request, at the end; replaces the pieces.
    AllSamples(SampleColumns),
    /// The links were read.
    Traffic(TrafficInterval),
    /// The probes have stopped.
    Probes(Vec<Series>),
    /// The load generator has stopped.
    Generator(LagReport),
    /// The baseline was measured.
    SteadyState(Vec<Finding>),
    /// The hypotheses were measured.
    Findings(Vec<Finding>),
    /// The experiment was judged.
    Verdict(Verdict),
    /// What was seen, in words.
    Observation(String),
    /// It cannot be run here, and why.
    NotRun(String),
    /// Something went wrong with the experiment itself.
    Problem(Problem),
    /// The last lines of the instances.
    Logs(#[serde(deserialize_with = "logs::bounded")] BTreeMap<String, Vec<String>>),
    /// It has ended.
    End {
        /// How long it took.
        #[serde(with = "humantime_serde")]
        took: Duration,
    },
}

impl Journal {
    /// Adds what `record` says. Pieces of samples and of traffic are appended; everything else replaces what was there.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Head { journal, .. } => *self = *journal,
            Record::Event(event) => self.events.push(event),
            Record::Injection { index, record } if index < self.injections.len() => self.injections[index] = *record,
            Record::Injection { record, .. } => self.injections.push(*record),
            Record::Samples(columns) => self.append(&columns),
            Record::AllSamples(columns) => self.samples = columns,
            Record::Traffic(interval) => self.links.push(interval),
            Record::Probes(series) => self.probes = series,
            Record::Generator(report) => self.generator = Some(report),
            Record::SteadyState(findings) => self.steady_state = findings,
            Record::Findings(findings) => self.findings = findings,
            Record::Verdict(verdict) => self.verdict = Some(verdict),
            Record::Observation(text) => self.plan.story.observation = text,
            Record::NotRun(reason) => self.not_run = Some(reason),
            Record::Problem(problem) => self.problems.push(problem),
            Record::Logs(logs) => self.logs = logs,
            Record::End { took } => {
                self.took = Some(took);
                self.status = Status::Complete;
            }
        }
    }

    /// Changes of instances are learnt of a moment late; in a journal everything is in order.
    pub(super) fn sort_events(&mut self) {
        self.events.sort_by_key(|event| event.at_us);
    }

    /// Columns that cannot be decoded are dropped here; the reader has refused them before.
    fn append(&mut self, columns: &SampleColumns) {
        self.samples = SampleColumns::merged(&[std::mem::take(&mut self.samples), columns.clone()]);
    }
}
