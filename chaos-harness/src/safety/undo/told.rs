//! What a test process tells its guard: the lines of its undo logs, so that the guard needs no file to undo them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Header, Line, Pending, UndoStep, path_in};
use crate::safety::AllowList;

/// One line on the pipe from a test process to its guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::safety) enum Told {
    /// A log begins.
    Begun {
        /// Whose it is.
        header: Header,
        /// The allow-list that its faults go by.
        allowed: Vec<String>,
    },
    /// A log gets a line.
    Written {
        /// The log's environment.
        environment: String,
        /// What it gets.
        line: Line,
    },
    /// An environment is gone, and its log with it.
    Closed {
        /// Which environment.
        environment: String,
    },
}

impl Told {
    /// As it goes over the pipe.
    pub(in crate::safety) fn line(&self) -> Vec<u8> {
        // What has been written into a log can be written here.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// The undo logs of a test process as it has told them.
#[derive(Debug)]
pub(in crate::safety) struct Memory {
    folder: PathBuf,
    logs: BTreeMap<String, Pending>,
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
}

impl Memory {
    /// Nothing has been told yet; the logs themselves are in `folder`.
    pub(in crate::safety) fn new(folder: PathBuf) -> Self {
        Self { folder, logs: BTreeMap::new(), rest: Vec::new() }
    }

    /// Takes in what came over the pipe. A line that cannot be read is passed over: the file has it too.
    pub(in crate::safety) fn hear(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let lines: Vec<u8> = self.rest.drain(..end).collect();
        for told in lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()) {
            self.take_in(told);
        }
    }

    /// Takes in one line.
    pub(in crate::safety) fn take_in(&mut self, told: Told) {
        match told {
            Told::Begun { header, allowed } => {
                let path = path_in(&self.folder, &header.environment);
                let allowed = AllowList::of_names(allowed);
                self.logs.insert(header.environment.clone(), Pending::told(path, header, allowed));
            }
            Told::Written { environment, line } => {
                if let Some(log) = self.logs.get_mut(&environment) {
                    line.apply(&mut log.contents.steps);
                }
            }
            Told::Closed { environment } => self.forget(&environment),
        }
    }

    /// What tells all of it to somebody who knows nothing yet.
    pub(in crate::safety) fn retold(&self) -> Vec<Told> {
        let retell = |log: &Pending| {
            let begun = log.contents.header.clone().map(|header| {
                let allowed = log.allowed.as_ref().map(|list| list.names().to_vec()).unwrap_or_default();
                Told::Begun { header, allowed }
            });
            let environment = log.environment().to_owned();
            let note = move |step: &UndoStep| Told::Written {
                environment: environment.clone(),
                line: Line::Note(step.clone()),
            };
            begun.into_iter().chain(log.steps().iter().map(note)).collect::<Vec<_>>()
        };
        self.logs().flat_map(retell).collect()
    }

    /// The logs that are not closed.
    pub(in crate::safety) fn logs(&self) -> impl Iterator<Item = &Pending> {
        self.logs.values()
    }

    /// The environment is gone.
    pub(in crate::safety) fn forget(&mut self, environment: &str) {
        self.logs.remove(environment);
    }
}
