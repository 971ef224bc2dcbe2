//! The journal of a run together with its clock.

use std::path::Path;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::Result;
use crate::journal::{Event, Journal, JournalError, Problem, Record, What, Writer};
use crate::shortage;

/// Writes what happens, with the moment at which it does.
#[derive(Debug)]
pub(super) struct Log {
    writer: Writer,
    clock: Clock,
    /// What had run short before.
    shortages: shortage::Counts,
}

impl Log {
    pub(super) fn new(writer: Writer, clock: Clock) -> Self {
        Self { writer, clock, shortages: shortage::seen() }
    }

    pub(super) fn journal(&self) -> &Journal {
        self.writer.journal()
    }

    /// The journal's file while the experiment runs.
    pub(super) fn partial_path(&self) -> &Path {
        self.writer.partial_path()
    }

    /// Something happens now.
    pub(super) fn event(&mut self, what: What) -> Result<()> {
        self.event_at(self.clock.now(), what)
    }

    /// Something happened at `moment`.
    pub(super) fn event_at(&mut self, moment: Duration, what: What) -> Result<()> {
        let at_us = u64::try_from(moment.as_micros()).unwrap_or(u64::MAX);
        // Both times come from one clock, so that they never disagree on the order of events.
        let wall = self.clock.started_at() + moment;
        self.add(Record::Event(Event { at_us, wall, what }))
    }

    /// Adds a record, in memory and on disk. An experiment whose journal cannot be written goes on: it is tried again at
    /// the end, as a whole.
    pub(super) fn add(&mut self, record: Record) -> Result<()> {
        warn_of(self.writer.add(record));
        Ok(())
    }

    /// Adds a record on disk only.
    pub(super) fn append(&mut self, record: &Record) -> Result<()> {
        warn_of(self.writer.append(record));
        Ok(())
    }

    /// The experiment has ended: the journal becomes whole, and says what ran short meanwhile. When it cannot be written, that is a problem in it.
    pub(super) fn complete(mut self) -> Journal {
        for reason in shortage::since(&self.shortages) {
            // What was measured without it is void.
            warn_of(self.writer.add(Record::Problem(Problem::Error { reason })));
        }
        warn_of(self.writer.add(Record::End { took: self.clock.now() }));
        let (mut journal, written) = self.writer.finish();
        if let Err(error) = written {
            journal.problems.push(Problem::Error { reason: format!("the journal could not be written: {error}") });
        }
        journal
    }
}

fn warn_of(written: Result<(), JournalError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "a line of the journal could not be written");
    }
}
