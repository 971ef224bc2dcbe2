//! What the links saw: counters over time.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::link::LinkName;

/// What every link counted, in intervals that follow each other. Columns may end early: what is missing is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// The start of the first interval, in microseconds from the experiment's start.
    pub from_us: u64,
    /// The end of each interval, where the next one begins; every phase begins at such an edge.
    pub until_us: Vec<u64>,
    /// Each link, sorted by caller and callee.
    pub each: Vec<LinkTraffic>,
}

/// What one link counted: the sum over all pairs of instances. Counters are kept by their names, those of
/// [`CountersSnapshot`](crate::link::CountersSnapshot); those that stayed zero are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinkTraffic {
    /// The link.
    pub link: LinkName,
    /// Everything that was counted during the experiment.
    pub totals: BTreeMap<String, u64>,
    /// Connections open at the end of each interval.
    pub open: Vec<u64>,
    /// What was counted in each interval.
    pub counted: BTreeMap<String, Vec<u64>>,
}

/// One interval of every link: what is added to [`Traffic`] while the experiment runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficInterval {
    /// Its start, in microseconds from the experiment's start.
    pub from_us: u64,
    /// Its end.
    pub until_us: u64,
    /// The links on which something was counted or open.
    pub links: Vec<LinkInterval>,
}

/// One interval of one link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkInterval {
    /// The link.
    pub link: LinkName,
    /// Connections open at its end.
    pub open: u64,
    /// What was counted, by the counter's name.
    pub counted: BTreeMap<String, u64>,
}

impl Traffic {
    /// Adds the next interval.
    pub fn push(&mut self, interval: TrafficInterval) {
        if self.until_us.is_empty() {
            self.from_us = interval.from_us;
        }
        let at = self.until_us.len();
        self.until_us.push(interval.until_us);
        for link in interval.links {
            self.entry(link.link).push(at, link.open, link.counted);
        }
    }

    /// The traffic of one link.
    pub fn of(&self, link: &LinkName) -> Option<&LinkTraffic> {
        self.each.iter().find(|traffic| traffic.link == *link)
    }

    /// The intervals: start and end of each.
    pub fn intervals(&self) -> impl Iterator<Item = (Duration, Duration)> + '_ {
        let starts = std::iter::once(self.from_us).chain(self.until_us.iter().copied());
        let edges = starts.zip(&self.until_us);
        edges.map(|(from, until)| (Duration::from_micros(from), Duration::from_micros(*until)))
    }

    /// What `link` counted under `name` in the intervals that overlap the time from `from` to `to`.
    pub fn counted(&self, link: &LinkName, name: &str, from: Duration, to: Duration) -> u64 {
        let Some(column) = self.of(link).and_then(|traffic| traffic.counted.get(name)) else { return 0 };
        let overlapping = self.intervals().zip(column).filter(|((start, end), _)| *start < to && *end > from);
        overlapping.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    fn entry(&mut self, link: LinkName) -> &mut LinkTraffic {
        let at = self.each.binary_search_by(|known| known.link.cmp(&link)).unwrap_or_else(|at| {
            self.each.insert(at, LinkTraffic::new(link));
            at
        });
        &mut self.each[at]
    }
}

impl LinkTraffic {
    fn new(link: LinkName) -> Self {
        Self { link, totals: BTreeMap::new(), open: Vec::new(), counted: BTreeMap::new() }
    }

    fn push(&mut self, at: usize, open: u64, counted: BTreeMap<String, u64>) {
        put(&mut self.open, at, open);
        for (name, count) in counted.into_iter().filter(|(_, count)| *count > 0) {
            let total = self.totals.entry(name.clone()).or_default();
            *total = total.saturating_add(count);
            put(self.counted.entry(name).or_default(), at, count);
        }
    }

    /// What was counted under `name` during the experiment.
    pub fn total(&self, name: &str) -> u64 {
        self.totals.get(name).copied().unwrap_or(0)
    }
}

/// Zeros are written only where something comes after them.
fn put(column: &mut Vec<u64>, at: usize, value: u64) {
    if value > 0 {
        column.resize(at, 0);
        column.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(until_us: u64, open: u64, counted: &[(&str, u64)]) -> TrafficInterval {
        let counted = counted.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let link = LinkInterval { link: LinkName::new("order", "inventory"), open, counted };
        TrafficInterval { from_us: until_us - 10, until_us, links: vec![link] }
    }

    #[test]
    fn columns_hold_zeros_only_before_what_was_counted() {
        let mut traffic = Traffic::default();
        traffic.push(interval(110, 0, &[]));
        traffic.push(TrafficInterval { from_us: 110, until_us: 120, links: Vec::new() });
        traffic.push(interval(130, 2, &[("bytes_up", 7), ("stalls", 0)]));
        traffic.push(interval(140, 0, &[("bytes_up", 5)]));
        assert_eq!((traffic.from_us, traffic.until_us.as_slice()), (100, [110, 120, 130, 140].as_slice()));
        let [link] = traffic.each.as_slice() else { panic!("{traffic:?}") };
        assert_eq!(link.open, [0, 0, 2]);
        assert_eq!(link.counted, [("bytes_up".to_owned(), vec![0, 0, 7, 5])].into());
        assert_eq!((link.total("bytes_up"), link.total("stalls")), (12, 0));
    }

    #[test]
    fn what_was_counted_in_a_window_is_that_of_the_intervals_it_overlaps() {
        let mut traffic = Traffic::default();
        for at in 1..=4 {
            traffic.push(interval(at * 10, 0, &[("stalls", at)]));
        }
        let link = LinkName::new("order", "inventory");
        let counted =
            |from, to| traffic.counted(&link, "stalls", Duration::from_micros(from), Duration::from_micros(to));
        assert_eq!(counted(10, 30), 2 + 3, "edges belong to one side");
        assert_eq!(counted(15, 16), 2);
        assert_eq!(counted(40, 90), 0);
        assert_eq!(traffic.counted(&LinkName::new("a", "b"), "stalls", Duration::ZERO, Duration::MAX), 0);
    }
}
