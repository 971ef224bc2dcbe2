//! What the links of the shop saw: intervals of 250 ms, cut where the fault begins and ends.

use std::collections::BTreeMap;

use chaos_harness::journal::{LinkInterval, Traffic, TrafficInterval};
use chaos_harness::link::LinkName;

/// The traffic of a slow inventory from 0.7 s to 16 s, delayed between 2.0 s and 12.03 s; the breaker keeps orders away from 3 s on.
pub(crate) fn slow_inventory() -> Traffic {
    let mut edges: Vec<u64> = (0..=64).map(|at| at * 250).chain([700, 12_030]).collect();
    edges.sort_unstable();
    let mut traffic = Traffic::default();
    traffic.push(interval(40, 250, vec![link("inventory", "product", 0, &[])]));
    for (from, until) in edges.iter().zip(&edges[1..]).skip(1) {
        traffic.push(interval(*from, *until, links(*from, until - from)));
    }
    traffic
}

fn links(from: u64, length: u64) -> Vec<LinkInterval> {
    let requests = if from < 700 { 0 } else { length / 10 };
    let (asked, delayed) = match from {
        2_000..3_000 => (requests / 2, true),
        3_000..12_030 => (u64::from(from.is_multiple_of(2_000)), true),
        _ => (requests / 2, false),
    };
    let calls = |requests: u64| [("bytes_up", requests * 310), ("bytes_down", requests * 850)];
    let mut slow = calls(asked).to_vec();
    if delayed {
        slow.extend([("delayed_bytes", asked * 850), ("delayed_chunks", asked)]);
    }
    slow.push(("accepted", u64::from(from == 750)));
    vec![
        link("gateway", "order", 4, &calls(requests / 2)),
        link("order", "inventory", u64::from(from >= 750), &slow),
        link("users", "gateway", 10, &calls(requests)),
    ]
}

fn interval(from: u64, until: u64, links: Vec<LinkInterval>) -> TrafficInterval {
    TrafficInterval { from_us: from * 1_000, until_us: until * 1_000, links }
}

fn link(caller: &str, callee: &str, open: u64, counted: &[(&str, u64)]) -> LinkInterval {
    let counted: BTreeMap<_, _> = counted.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    LinkInterval { link: LinkName::new(caller, callee), open, counted }
}
