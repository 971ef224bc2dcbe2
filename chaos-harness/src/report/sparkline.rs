//! A timeline in one line of text.

use std::time::Duration;

use super::{View, words};
use crate::measure::{Bucket, Timeline};

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const COLUMNS: usize = 60;

/// Availability and p99 over time, with the faults below them; all rows have the same columns.
pub(super) struct Sparkline {
    /// Share of served requests: full height is 100%, the lowest block is 0%.
    pub(super) availability: String,
    /// The least availability of a column, 0 to 1.
    pub(super) least: Option<f64>,
    /// p99, on a logarithmic scale from the least to the greatest.
    pub(super) p99: String,
    /// The least and the greatest p99.
    pub(super) range: Option<(Duration, Duration)>,
    /// `#` where a fault was in force, `+` where the steady state came back.
    pub(super) faults: String,
    /// What one column spans.
    pub(super) column: Duration,
}

impl Sparkline {
    /// `None` when no request was sent.
    pub(super) fn of(view: &View<'_>) -> Option<Self> {
        if view.samples().is_empty() {
            return None;
        }
        let Timeline { width, buckets } = view.timeline();
        let per_column = buckets.len().div_ceil(COLUMNS).max(1);
        let columns: Vec<&[Bucket]> = buckets.chunks(per_column).collect();
        let shares: Vec<Option<f64>> = columns.iter().map(|column| availability(column)).collect();
        let p99: Vec<Option<Duration>> =
            columns.iter().map(|c| c.iter().filter_map(|bucket| bucket.p99).max()).collect();
        let known = || p99.iter().flatten().copied();
        let range = known().min().zip(known().max());
        let column = width * u32::try_from(per_column).unwrap_or(u32::MAX);
        Some(Self {
            availability: shares.iter().map(|share| share.map_or(' ', block)).collect(),
            least: shares.iter().flatten().copied().min_by(f64::total_cmp),
            p99: p99.iter().map(|time| time.zip(range).map_or(' ', |(time, range)| log_block(time, range))).collect(),
            range,
            faults: columns.iter().map(|buckets| mark(view, buckets[0].from, column)).collect(),
            column,
        })
    }

    /// The rows with their names and ranges.
    pub(super) fn rows(&self) -> Vec<(&'static str, &str, String)> {
        let least = self.least.map_or_else(String::new, |least| format!("least {}", words::share(least)));
        let range = self
            .range
            .map_or_else(String::new, |(least, most)| format!("{} to {}", words::time(least), words::time(most)));
        let column = format!("a column is {}", words::time(self.column));
        vec![
            ("availability", self.availability.as_str(), least),
            ("p99", self.p99.as_str(), range),
            ("fault", self.faults.as_str(), column),
        ]
    }
}

fn availability(column: &[Bucket]) -> Option<f64> {
    let all: u64 = column.iter().map(Bucket::all).sum();
    let failed: u64 = column.iter().map(|bucket| bucket.failed).sum();
    (all > 0).then(|| (all - failed) as f64 / all as f64)
}

/// The full block only for 1, the lowest for 0.
fn block(share: f64) -> char {
    BLOCKS[(share.clamp(0.0, 1.0) * 7.0).floor() as usize]
}

fn log_block(time: Duration, (least, most): (Duration, Duration)) -> char {
    let log = |time: Duration| (time.as_secs_f64().max(1e-6)).ln();
    let span = log(most) - log(least);
    // A spread of less than a tenth is no shape worth drawing.
    if span < 0.1 { BLOCKS[0] } else { block((log(time) - log(least)) / span) }
}

fn mark(view: &View<'_>, from: Duration, width: Duration) -> char {
    let to = from + width;
    let injections = || view.journal.injections.iter();
    let is_steady = injections().filter_map(super::view::steady).any(|at| from <= at && at < to);
    let in_force = injections().any(|made| made.began < to && made.rolled_back.is_none_or(|end| end >= from));
    match (is_steady, in_force) {
        (true, _) => '+',
        (false, true) => '#',
        (false, false) => '.',
    }
}
