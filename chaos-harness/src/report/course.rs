//! The course of one link over time, for drawing. Times are in seconds.

use super::View;
use super::traffic::is_disturbance;
use crate::journal::LinkTraffic;

/// The most bins that can be told apart in a small plot, and the least width of one.
const MOST_BINS: f64 = 100.0;
const NARROWEST: f64 = 0.25;
/// The most shares; neighbours are put together until there are no more.
const MOST_SHARES: usize = 240;

/// Rates, and where something happened to the traffic.
pub(super) struct Course {
    from: f64,
    width: f64,
    /// Rates in bins of one width, empty ones included: an interval of a moment has no meaningful rate of its own.
    pub(super) bins: Vec<Bin>,
    /// The intervals in which something happened, as they were read: the edges of a fault stay sharp.
    pub(super) shares: Vec<Disturbed>,
}

/// Bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bin {
    /// To the callee.
    pub(super) up: f64,
    /// To the caller.
    pub(super) down: f64,
}

/// A time in which something happened to the traffic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Disturbed {
    /// Its start.
    pub(super) from: f64,
    /// Its end.
    pub(super) until: f64,
    /// To how much of it, 0 to 1: of bytes, connections or datagrams, or HTTP requests, whichever is the most.
    pub(super) share: f64,
}

impl Course {
    pub(super) fn of(view: &View<'_>, link: &LinkTraffic) -> Self {
        let window = view.window();
        let (from, length) = (window.from.as_secs_f64(), window.length().as_secs_f64());
        let count = (length / NARROWEST).clamp(1.0, MOST_BINS).floor();
        let mut course =
            Self { from, width: length / count, bins: vec![Bin::default(); count as usize], shares: Vec::new() };
        let times = view.journal.links.intervals().map(|(from, until)| (from.as_secs_f64(), until.as_secs_f64()));
        let intervals: Vec<Interval> = times
            .enumerate()
            .map(|(at, (from, until))| Interval { from, until, counts: Counts::of(link, at) })
            .collect();
        intervals.iter().for_each(|interval| course.spread(interval));
        course.shares = shares(&intervals, from);
        course
    }

    /// Whether there is nothing to see.
    pub(super) fn is_empty(&self) -> bool {
        self.shares.is_empty() && self.bins.iter().all(|bin| *bin == Bin::default())
    }

    /// The start of a bin.
    pub(super) fn at(&self, bin: usize) -> f64 {
        self.from + self.width * bin as f64
    }

    /// Adds bytes to the bins in proportion to how much of the interval lies in each.
    fn spread(&mut self, Interval { from, until, counts }: &Interval) {
        // In bins.
        let (start, end) = ((from - self.from) / self.width, (until - self.from) / self.width);
        if end <= start || end <= 0.0 {
            return;
        }
        let (first, last) = (start.max(0.0) as usize, (end.ceil() as usize).min(self.bins.len()));
        for (at, bin) in self.bins.iter_mut().enumerate().take(last).skip(first) {
            let overlap = (end.min(at as f64 + 1.0) - start.max(at as f64)).max(0.0);
            let share = overlap / (end - start) / self.width;
            bin.up += counts.up * share;
            bin.down += counts.down * share;
        }
    }
}

/// The disturbed intervals that end after `from`.
fn shares(intervals: &[Interval], from: f64) -> Vec<Disturbed> {
    let together = intervals.len().div_ceil(MOST_SHARES).max(1);
    let share = |chunk: &[Interval]| {
        let (first, last) = (chunk.first()?, chunk.last()?);
        let share = chunk.iter().fold(Counts::default(), |sum, interval| sum.plus(&interval.counts)).disturbed();
        (share > 0.0 && last.until > from).then_some(Disturbed { from: first.from, until: last.until, share })
    };
    intervals.chunks(together).filter_map(share).collect()
}

struct Interval {
    from: f64,
    until: f64,
    counts: Counts,
}

/// What was counted, sorted by what it is a share of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    up: f64,
    down: f64,
    hurt_bytes: f64,
    connections: f64,
    hurt_connections: f64,
    requests: f64,
    hurt_requests: f64,
}

impl Counts {
    /// What a link counted in the interval `at`.
    fn of(link: &LinkTraffic, at: usize) -> Self {
        let mut counts = Self { connections: nth(&link.open, at), ..Self::default() };
        for (name, column) in &link.counted {
            let count = nth(column, at);
            match name.as_str() {
                "bytes_up" => counts.up += count,
                "bytes_down" => counts.down += count,
                "http_requests" => counts.requests += count,
                "accepted" | "sessions" | "datagrams_up" | "datagrams_down" => counts.connections += count,
                // Chunks are counted a second time, as bytes.
                name if !is_disturbance(name) || name.ends_with("_chunks") => {}
                name if name.ends_with("_bytes") => counts.hurt_bytes += count,
                name if name.starts_with("http_") => counts.hurt_requests += count,
                _ => counts.hurt_connections += count,
            }
        }
        counts
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            up: self.up + other.up,
            down: self.down + other.down,
            hurt_bytes: self.hurt_bytes + other.hurt_bytes,
            connections: self.connections + other.connections,
            hurt_connections: self.hurt_connections + other.hurt_connections,
            requests: self.requests + other.requests,
            hurt_requests: self.hurt_requests + other.hurt_requests,
        }
    }

    /// The greatest of the shares.
    fn disturbed(&self) -> f64 {
        let share = |hurt: f64, all: f64| if hurt > 0.0 { hurt / all.max(hurt) } else { 0.0 };
        let bytes = share(self.hurt_bytes, self.up + self.down);
        let connections = share(self.hurt_connections, self.connections);
        bytes.max(connections).max(share(self.hurt_requests, self.requests))
    }
}

fn nth(column: &[u64], at: usize) -> f64 {
    column.get(at).map_or(0.0, |count| *count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(from: f64, until: f64, counts: Counts) -> Interval {
        Interval { from, until, counts }
    }

    #[test]
    fn an_interval_is_spread_over_the_bins_that_it_overlaps() {
        let mut course = Course { from: 10.0, width: 0.5, bins: vec![Bin::default(); 4], shares: Vec::new() };
        let counts = Counts { up: 100.0, ..Counts::default() };
        let rates = |course: &Course| course.bins.iter().map(|bin| bin.up).collect::<Vec<_>>();
        course.spread(&interval(10.25, 11.25, counts));
        assert_eq!(rates(&course), [50.0, 100.0, 50.0, 0.0]);
        course.spread(&interval(9.5, 10.5, counts));
        assert_eq!(rates(&course), [150.0, 100.0, 50.0, 0.0], "what came before the first bin is not drawn");
        course.spread(&interval(11.5, 11.5, counts));
        course.spread(&interval(14.0, 15.0, counts));
        assert_eq!(rates(&course), [150.0, 100.0, 50.0, 0.0]);
    }

    #[test]
    fn the_disturbed_share_is_the_greatest() {
        let counts = Counts { up: 10.0, down: 90.0, hurt_bytes: 20.0, connections: 4.0, ..Counts::default() };
        assert_eq!(counts.disturbed(), 0.2);
        assert_eq!(Counts { hurt_connections: 2.0, ..counts }.disturbed(), 0.5);
        assert_eq!(Counts { hurt_requests: 2.0, ..counts }.disturbed(), 1.0, "more than passed is all");
    }

    #[test]
    fn shares_begin_where_the_fault_does_and_are_not_too_many() {
        let hurt = Counts { up: 10.0, hurt_bytes: 5.0, ..Counts::default() };
        let well = Counts { up: 10.0, ..Counts::default() };
        let some = [interval(0.0, 1.0, hurt), interval(1.0, 1.001, well), interval(1.001, 2.0, hurt)];
        assert_eq!(shares(&some, 1.0), [Disturbed { from: 1.001, until: 2.0, share: 0.5 }]);
        let many: Vec<_> = (0..1_000).map(|at| interval(f64::from(at), f64::from(at + 1), hurt)).collect();
        let drawn = shares(&many, 0.0);
        assert_eq!((drawn.len(), drawn[199].until), (200, 1_000.0));
    }
}
