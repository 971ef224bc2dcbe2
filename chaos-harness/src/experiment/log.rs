//! The journal of a run together with its clock.

use std::path::Path;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::Result;
use crate::journal::{Event, Journal, Record, What, Writer};

/// Writes what happens, with the moment at which it does.
#[derive(Debug)]
pub(super) struct Log {
    writer: Writer,
    clock: Clock,
}

impl Log {
    pub(super) fn new(writer: Writer, clock: Clock) -> Self {
        Self { writer, clock }
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

    /// Adds a record, in memory and on disk.
    pub(super) fn add(&mut self, record: Record) -> Result<()> {
        Ok(self.writer.add(record)?)
    }

    /// Adds a record on disk only.
    pub(super) fn append(&mut self, record: &Record) -> Result<()> {
        Ok(self.writer.append(record)?)
    }

    /// The experiment has ended: the journal becomes whole.
    pub(super) fn complete(mut self) -> Result<Journal> {
        self.add(Record::End { took: self.clock.now() })?;
        Ok(self.writer.complete()?.0)
    }
}
