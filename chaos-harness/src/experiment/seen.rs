//! What there is to see while an experiment runs.

use std::collections::BTreeMap;
use std::fmt;

use crate::load::probe::RunningProbes;
use crate::measure::{Sample, Series, Tally};

/// What users and probes have seen so far, for conditions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Answers as they should be.
    pub good: u64,
    /// Answers from a fallback.
    pub degraded: u64,
    /// Failures.
    pub failed: u64,
    /// The last value of each probe that has read one.
    probes: BTreeMap<String, f64>,
}

impl Seen {
    pub(super) fn of(samples: &[Sample], probes: Option<&RunningProbes>) -> Self {
        let tally = Tally::of(samples);
        let series = probes.map(RunningProbes::series).unwrap_or_default();
        let last = |series: &Series| series.readings.iter().rev().find_map(|reading| reading.value);
        Self {
            good: tally.good,
            degraded: tally.degraded,
            failed: tally.failed(),
            probes: series.iter().filter_map(|series| Some((series.name.clone(), last(series)?))).collect(),
        }
    }

    /// The last value that the probe of this name has read; `None` before its first, and where there is no such probe.
    ///
    /// ```no_run
    /// # async fn example(session: &mut chaos_harness::experiment::Session) -> chaos_harness::Result<()> {
    /// use chaos_harness::prelude::*;
    ///
    /// session.until("the queue grows", 10.secs(), |seen| seen.probe("queue") > Some(100.0)).await
    /// # }
    /// ```
    pub fn probe(&self, name: &str) -> Option<f64> {
        self.probes.get(name).copied()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} good, {} degraded, {} failed", self.good, self.degraded, self.failed)?;
        self.probes.iter().try_for_each(|(name, value)| write!(f, ", {name} {value}"))
    }
}
