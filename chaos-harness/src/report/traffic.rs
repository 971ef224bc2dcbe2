//! What the links saw, as the formats show it.

use std::collections::BTreeMap;

use super::{View, words};
use crate::journal::{InjectionRecord, LinkTraffic};
use crate::link::http::Unread;
use crate::link::is_level;
use crate::measure::Window;
use crate::topology::USERS;

/// Counters of what a link is for. Every other counter tells of something that went wrong on it, so that a
/// new kind of toxic shows in the reports by itself.
const PLAIN: [&str; 11] = [
    "accepted",
    "sessions",
    "bytes_up",
    "bytes_down",
    "bytes_spliced",
    "datagrams_up",
    "datagrams_down",
    "http_requests",
    "http_opaque",
    "http_unread_upgraded",
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

/// Whether a counter tells of something that went wrong.
pub(super) fn is_disturbance(name: &str) -> bool {
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
    if let Some(reason) = Unread::ALL.into_iter().find(|reason| reason.counter_name() == name) {
        return format!("{} unread by HTTP faults ({reason})", words::count(number, "connection"));
    }
    if let Some(what) = name.strip_prefix("http_") {
        return format!("{} {}", words::count(number, "HTTP message"), what.replace('_', " "));
    }
    match name {
        "refused_peers" => format!("{} of foreign peers refused", words::count(number, "attempt")),
        "reset" | "refused" | "aborted" | "closed" | "limited" | "half_opened" => {
            format!("{} {}", words::count(number, "connection"), name.replace('_', " "))
        }
        "upstream_failed" => format!("{} without a callee", words::count(number, "connection")),
        "stalls" => words::count(number, "stall"),
        "slices" => words::count(number, "slice"),
        "closings" => format!("port closed {}", words::count(number, "time")),
        "dropped" | "delayed" | "duplicated" | "reordered" | "corrupted" | "overflowed" => {
            format!("{} {name}", words::count(number, "datagram"))
        }
        "unreachable" => format!("{} without a callee", words::count(number, "datagram")),
        "evicted" => format!("{} {name}", words::count(number, "session")),
        _ => format!("{count} {}", name.replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::CountersSnapshot;
    use crate::link::udp::UdpCountersSnapshot;

    /// A new counter fails this: it is either plain, or has to read well among what went wrong.
    #[test]
    fn every_counter_is_plain_or_reads_as_something_that_went_wrong() {
        let (tcp, udp) = (CountersSnapshot::default(), UdpCountersSnapshot::default());
        let told = |entries: &mut dyn Iterator<Item = (&'static str, u64)>| -> Vec<String> {
            entries.filter(|(name, _)| is_disturbance(name)).map(|(name, _)| told(name, 1_200)).collect()
        };
        insta::assert_snapshot!(told(&mut tcp.entries()).join("\n"), @"
        1200 attempts of foreign peers refused
        1200 connections without a callee
        port closed 1200 times
        1200 connections refused
        1200 connections reset
        1200 connections closed
        1200 connections limited
        1200 connections half opened
        1200 connections aborted
        1.20 kB delayed
        1200 chunks delayed
        1200 delayed opens
        1200 delayed closes
        1.20 kB dropped
        1.20 kB corrupted
        1.20 kB throttled
        1200 slices
        1.20 kB stalled
        1200 stalls
        1200 HTTP messages aborted
        1200 HTTP messages rate limited
        1200 HTTP messages delayed
        1200 HTTP messages truncated
        1200 HTTP messages corrupted
        1200 HTTP messages rewritten
        1200 connections unread by HTTP faults (TLS)
        1200 connections unread by HTTP faults (not HTTP)
        1200 connections unread by HTTP faults (upgraded to h2c)
        1200 connections unread by HTTP faults (HTTP message too large to follow)
        1200 connections unread by HTTP faults (malformed HTTP)
        ");
        insta::assert_snapshot!(told(&mut udp.entries()).join("\n"), @"
        1200 datagrams dropped
        1200 datagrams delayed
        1200 datagrams duplicated
        1200 datagrams reordered
        1200 datagrams corrupted
        1200 datagrams overflowed
        1200 datagrams without a callee
        1200 attempts of foreign peers refused
        1200 sessions evicted
        ");
    }

    #[test]
    fn what_did_not_happen_is_not_told() {
        let counted = [("accepted".to_owned(), 9), ("reset".to_owned(), 1), ("stalls".to_owned(), 0)].into();
        assert_eq!(disturbances(&counted), "1 connection reset");
        assert_eq!(told("not_known_yet", 3), "3 not known yet");
    }
}
