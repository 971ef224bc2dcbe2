//! What the links saw, as the formats show it.

use std::collections::BTreeMap;

use super::{View, words};
use crate::journal::{InjectionRecord, LinkTraffic};
use crate::link::is_level;
use crate::measure::Window;
use crate::topology::USERS;

/// Counters of what a link is for. Every other counter tells of something that went wrong on it, so that a
/// new kind of toxic shows in the reports by itself.
const PLAIN: [&str; 9] = [
    "accepted",
    "sessions",
    "bytes_up",
    "bytes_down",
    "datagrams_up",
    "datagrams_down",
    "http_requests",
    "http_opaque",
    "affected",
];

/// A link that is worth showing, and the faults that were on it.
pub(super) struct LinkView<'a> {
    /// What it counted.
    pub(super) traffic: &'a LinkTraffic,
    /// The faults, for people, each once.
    pub(super) faults: Vec<&'a str>,
}

/// The links that saw traffic or a fault: those with a fault first, then those of the users. A fault on a service is on every
/// link to it; those of them that stayed silent tell nothing.
pub(super) fn links<'a>(view: &View<'a>) -> Vec<LinkView<'a>> {
    let journal = view.journal;
    let is_worth_it = |link: &LinkTraffic| {
        let alone = |made: &InjectionRecord| made.links == [link.link.clone()];
        !link.totals.is_empty() || journal.injections.iter().any(alone)
    };
    let of = |traffic: &'a LinkTraffic| {
        let mut faults = Vec::new();
        for made in journal.injections.iter().filter(|made| made.links.contains(&traffic.link)) {
            if !faults.contains(&made.fault.as_str()) {
                faults.push(made.fault.as_str());
            }
        }
        LinkView { traffic, faults }
    };
    let mut links: Vec<_> = journal.links.each.iter().filter(|link| is_worth_it(link)).map(of).collect();
    links.sort_by_key(|link| (link.faults.is_empty(), link.traffic.link.caller != USERS));
    links
}

impl LinkView<'_> {
    /// `order -> inventory`.
    pub(super) fn name(&self) -> String {
        words::line(&self.traffic.link.to_string())
    }

    /// Connections, or sessions where there are none.
    pub(super) fn connections(&self) -> u64 {
        opened(&self.traffic.totals)
    }

    pub(super) fn up(&self) -> String {
        words::bytes(self.traffic.total("bytes_up"))
    }

    pub(super) fn down(&self) -> String {
        words::bytes(self.traffic.total("bytes_down"))
    }

    /// What went wrong on it: `48.2 kB delayed, 312 chunks delayed`; empty when nothing did.
    pub(super) fn disturbed(&self) -> String {
        disturbances(&self.traffic.totals)
    }
}

/// What the links of a fault counted while it was in force: `order -> inventory meanwhile: 12 connections, ...`.
pub(super) fn meanwhile(view: &View<'_>, made: &InjectionRecord) -> Vec<String> {
    let window = Window::new(made.began, made.rolled_back.unwrap_or(view.window().to));
    let traffic = &view.journal.links;
    let told = made.links.iter().filter_map(|name| Some((name, traffic.of(name)?))).filter_map(|(name, link)| {
        let count = |counter: &String| (counter.clone(), traffic.counted(name, counter, window.from, window.to));
        let counted: BTreeMap<String, u64> = link.counted.keys().map(count).filter(|(_, count)| *count > 0).collect();
        (!counted.is_empty()).then(|| format!("{} meanwhile: {}", words::line(&name.to_string()), sum_up(&counted)))
    });
    told.collect()
}

fn sum_up(counted: &BTreeMap<String, u64>) -> String {
    let bytes = |name: &str| words::bytes(get(counted, name));
    let connections = words::count(usize::try_from(opened(counted)).unwrap_or(usize::MAX), "new connection");
    let moved = format!("{connections}, {} up, {} down", bytes("bytes_up"), bytes("bytes_down"));
    match disturbances(counted) {
        disturbed if disturbed.is_empty() => moved,
        disturbed => format!("{moved}; {disturbed}"),
    }
}

fn opened(counted: &BTreeMap<String, u64>) -> u64 {
    get(counted, "accepted").saturating_add(get(counted, "sessions"))
}

fn get(counted: &BTreeMap<String, u64>, name: &str) -> u64 {
    counted.get(name).copied().unwrap_or(0)
}

fn is_disturbance(name: &str) -> bool {
    !PLAIN.contains(&name) && !is_level(name)
}

fn disturbances(counted: &BTreeMap<String, u64>) -> String {
    let hurt = counted.iter().filter(|(name, count)| is_disturbance(name) && **count > 0);
    hurt.map(|(name, count)| words::line(&told(name, *count))).collect::<Vec<_>>().join(", ")
}

/// A counter in words: `48.2 kB delayed`, `312 chunks delayed`, `3 connections reset`.
fn told(name: &str, count: u64) -> String {
    let number = usize::try_from(count).unwrap_or(usize::MAX);
    if let Some(what) = name.strip_suffix("_bytes") {
        return format!("{} {what}", words::bytes(count));
    }
    if let Some(what) = name.strip_suffix("_chunks") {
        return format!("{} {what}", words::count(number, "chunk"));
    }
    if let Some(what) = name.strip_prefix("http_") {
        return format!("{} {}", words::count(number, "HTTP message"), what.replace('_', " "));
    }
    match name {
        "reset" | "refused" | "aborted" | "closed" | "limited" => {
            format!("{} {name}", words::count(number, "connection"))
        }
        "upstream_failed" => format!("{} without a callee", words::count(number, "connection")),
        "stalls" => words::count(number, "stall"),
        _ => format!("{count} {}", name.replace('_', " ")),
    }
}

/// A link's traffic in bins of one width, for drawing. Rates are per second.
pub(super) struct Bins {
    /// Start of the first bin, in seconds.
    from: f64,
    /// Width of a bin, in seconds.
    width: f64,
    /// The bins, empty ones included.
    pub(super) bins: Vec<Bin>,
}

/// One bin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bin {
    /// Bytes a second to the callee.
    pub(super) up: f64,
    /// Bytes a second to the caller.
    pub(super) down: f64,
    /// The share of the traffic that something happened to, 0 to 1: of bytes, connections, HTTP requests or
    /// datagrams, whichever is the greatest.
    pub(super) disturbed: f64,
}

/// The most bins that can be told apart in a small plot, and the least width of one.
const MOST_BINS: f64 = 100.0;
const NARROWEST: f64 = 0.25;

impl Bins {
    pub(super) fn of(view: &View<'_>, link: &LinkTraffic) -> Self {
        let window = view.window();
        let (from, length) = (window.from.as_secs_f64(), window.length().as_secs_f64());
        let width = (length / MOST_BINS).max(NARROWEST);
        let mut bins = vec![Counts::default(); ((length / width).ceil() as usize).max(1)];
        for (at, (start, end)) in view.journal.links.intervals().enumerate() {
            let counts = Counts::of(link, at);
            let (start, end) = ((start.as_secs_f64() - from) / width, (end.as_secs_f64() - from) / width);
            spread(&mut bins, &counts, start, end);
        }
        Self { from, width, bins: bins.iter().map(|counts| counts.rates(width)).collect() }
    }

    /// The start of a bin, in seconds.
    pub(super) fn at(&self, bin: usize) -> f64 {
        self.from + self.width * bin as f64
    }
}

/// Adds counts to the bins in proportion to how much of the interval lies in each; `start` and `end` are in bins.
fn spread(bins: &mut [Counts], counts: &Counts, start: f64, end: f64) {
    let length = end - start;
    if counts.is_empty() || !(length > 0.0) || end <= 0.0 {
        return;
    }
    let (first, last) = (start.max(0.0) as usize, (end.ceil() as usize).min(bins.len()));
    for (at, bin) in bins.iter_mut().enumerate().take(last).skip(first) {
        let overlap = (end.min(at as f64 + 1.0) - start.max(at as f64)).max(0.0);
        bin.add(counts, overlap / length);
    }
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
                "accepted" | "datagrams_up" | "datagrams_down" => counts.connections += count,
                name if !is_disturbance(name) || name.ends_with("_chunks") => {}
                name if name.ends_with("_bytes") => counts.hurt_bytes += count,
                name if name.starts_with("http_") => counts.hurt_requests += count,
                _ => counts.hurt_connections += count,
            }
        }
        counts
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, other: &Self, share: f64) {
        self.up += other.up * share;
        self.down += other.down * share;
        self.hurt_bytes += other.hurt_bytes * share;
        self.connections += other.connections * share;
        self.hurt_connections += other.hurt_connections * share;
        self.requests += other.requests * share;
        self.hurt_requests += other.hurt_requests * share;
    }

    fn rates(&self, width: f64) -> Bin {
        let share = |hurt: f64, all: f64| if hurt > 0.0 { hurt / all.max(hurt) } else { 0.0 };
        let bytes = share(self.hurt_bytes, self.up + self.down);
        let connections = share(self.hurt_connections, self.connections);
        let requests = share(self.hurt_requests, self.requests);
        Bin { up: self.up / width, down: self.down / width, disturbed: bytes.max(connections).max(requests) }
    }
}

fn nth(column: &[u64], at: usize) -> f64 {
    column.get(at).map_or(0.0, |count| *count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_read_as_words() {
        let cases = [
            ("delayed_bytes", 48_200, "48.2 kB delayed"),
            ("delayed_chunks", 1, "1 chunk delayed"),
            ("reset", 3, "3 connections reset"),
            ("http_rate_limited", 2, "2 HTTP messages rate limited"),
            ("delayed_opens", 4, "4 delayed opens"),
            ("duplicated", 7, "7 duplicated"),
        ];
        for (name, count, words) in cases {
            assert_eq!(told(name, count), words);
        }
        let counted = [("accepted".to_owned(), 9), ("reset".to_owned(), 1), ("stalls".to_owned(), 0)].into();
        assert_eq!(disturbances(&counted), "1 connection reset");
    }

    #[test]
    fn an_interval_is_spread_over_the_bins_that_it_overlaps() {
        let counts = Counts { up: 100.0, ..Counts::default() };
        let mut bins = [Counts::default(); 4];
        spread(&mut bins, &counts, 0.5, 2.5);
        assert_eq!(bins.map(|bin| bin.up), [25.0, 50.0, 25.0, 0.0]);
        spread(&mut bins, &counts, -1.0, 1.0);
        assert_eq!(bins[0].up, 75.0, "what came before the first bin is not drawn");
        spread(&mut bins, &counts, 3.0, 3.0);
        spread(&mut bins, &counts, 9.0, 10.0);
        assert_eq!(bins.map(|bin| bin.up), [75.0, 50.0, 25.0, 0.0]);
    }

    #[test]
    fn the_disturbed_share_is_the_greatest() {
        let counts = Counts { up: 10.0, down: 90.0, hurt_bytes: 20.0, connections: 4.0, ..Counts::default() };
        assert_eq!(counts.rates(0.5), Bin { up: 20.0, down: 180.0, disturbed: 0.2 });
        assert_eq!(Counts { hurt_connections: 2.0, ..counts }.rates(0.5).disturbed, 0.5);
        assert_eq!(Counts { hurt_requests: 2.0, ..counts }.rates(0.5).disturbed, 1.0, "more than passed is all");
    }
}
