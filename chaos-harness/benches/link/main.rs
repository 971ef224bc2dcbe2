//! A link without a toxic beside HAProxy, nginx and no proxy at all; then how exact toxics are, and what a
//! connection costs.
//!
//! `cargo bench -p chaos-harness --bench link` prints tables and writes `target/chaos/bench/link.json`.
//! Each proxy is a process with one thread. Under load it has the second core, and who calls and who answers share
//! the first; for one request at a time all share one core, since to wake a core that sleeps costs more than any proxy.
//! Names of parts after `--` choose: requests, one, bulk, latency, bandwidth, through,
//! connections, h2.
//! The contenders take turns, round after round, and each figure is the median of its rounds.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, unreachable_pub, reason = "a program of its own")]

mod bandwidth;
mod connections;
mod contender;
mod cpu;
mod h2;
mod own;
mod rig;
mod table;
mod toxics;

use std::path::PathBuf;
use std::time::Duration;

use contender::Contender;
use rig::Callee;
use serde::Serialize;
use table::{Row, Table};

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(500);
/// Bytes of one round over one connection.
const BULK: u64 = 1 << 30;

fn main() {
    if own::play() {
        return;
    }
    if !std::env::args().any(|argument| argument == "--bench") {
        return println!("SKIPPED: measured by `cargo bench` alone");
    }
    let tables = Tables::measure();
    let latency = wanted("latency").then(toxics::latency);
    let bandwidth = wanted("bandwidth").then(measure_bandwidth);
    let through_latency = wanted("through").then(toxics::throughput_through_latency);
    let connections = wanted("connections").then(connections::measure);
    let h2 = wanted("h2").then(h2::measure).flatten();
    write(&Results {
        requests_per_second: tables.requests.rows(),
        p99_us: tables.p99.rows(),
        one_at_a_time_p50_us: tables.one.rows(),
        bulk_mb_per_second: tables.bulk.rows(),
        latency,
        bandwidth,
        through_latency,
        connections,
        h2,
    });
}

/// Whether a part was asked for by its name, or none was.
fn wanted(part: &str) -> bool {
    let mut parts = std::env::args().skip(1).filter(|argument| argument != "--bench").peekable();
    parts.peek().is_none() || parts.any(|wanted| wanted == part)
}

struct Tables {
    requests: Table,
    p99: Table,
    one: Table,
    bulk: Table,
}

impl Tables {
    fn measure() -> Self {
        let mut tables = Self {
            requests: Table::new("requests/s, 32 connections", "1/s"),
            p99: Table::new("p99 of these requests", "us"),
            one: Table::new("p50 of requests one at a time, one connection, one core for all", "us"),
            bulk: Table::new("one connection, one way", "MB/s"),
        };
        let contenders = Contender::all();
        for _ in 0..ROUNDS {
            contenders.iter().for_each(|contender| tables.round(*contender));
        }
        for table in [&tables.requests, &tables.p99, &tables.one, &tables.bulk] {
            print!("{table}");
        }
        tables.judge();
        tables
    }

    fn round(&mut self, contender: Contender) {
        let name = contender.name();
        let callee = Callee::new();
        let under_load = || contender.start(callee.addr(), cpu::PROXY);
        if wanted("requests") {
            let round = rig::ping_pong(&callee, &under_load(), 32, ROUND);
            self.requests.add(name, round.rate);
            self.p99.add(name, round.p99_us);
        }
        if wanted("one") {
            let proxy = contender.start(callee.addr(), cpu::PEERS);
            let times = rig::round_trips(&callee, &proxy, usize::MAX, ROUND / 2);
            self.one.add(name, times[times.len() / 2]);
        }
        if wanted("bulk") {
            self.bulk.add(name, rig::bulk(&callee, &under_load(), BULK));
        }
    }

    /// Says what became of the bars.
    fn judge(&self) {
        let ratio = |table: &Table, name| Some(table.median("link")? / table.median(name)?);
        let added = |name| Some(self.one.median(name)? - self.one.median("direct")?);
        let bars = [
            ("requests/s beside haproxy, at least 1.0", ratio(&self.requests, "haproxy"), 1.0..f64::MAX),
            ("p99 beside haproxy, at most 1.0", ratio(&self.p99, "haproxy"), 0.0..1.0),
            ("one way beside haproxy, at least 1.5", ratio(&self.bulk, "haproxy"), 1.5..f64::MAX),
            ("added by the link, at most 20 us", added("link"), 0.0..20.0),
            ("added by the floor, for comparison", added("floor"), 0.0..f64::MAX),
            ("added by haproxy, for comparison", added("haproxy"), 0.0..f64::MAX),
        ];
        for (bar, figure, range) in bars {
            let Some(figure) = figure else { continue };
            println!("{bar}: {figure:.2} {}", if range.contains(&figure) { "" } else { "MISSED" });
        }
    }
}

/// In this process, on all cores.
fn measure_bandwidth() -> Vec<bandwidth::Row> {
    println!("bandwidth over 5 s (bar 1%)");
    let rows = bandwidth::run();
    for bandwidth::Row { rate, connections, shared, error, fairness, .. } in &rows {
        let kind = if *shared { "shared" } else { "each" };
        println!(
            "  {rate:>9} B/s {kind:<6} {connections:>3} connections: {:+.3}%, fairness {fairness:.3}",
            error * 100.0
        );
    }
    rows
}

/// What is written, for others to compare with.
#[derive(Serialize)]
struct Results {
    requests_per_second: Vec<Row>,
    p99_us: Vec<Row>,
    one_at_a_time_p50_us: Vec<Row>,
    bulk_mb_per_second: Vec<Row>,
    latency: Option<Vec<toxics::Exactness>>,
    bandwidth: Option<Vec<bandwidth::Row>>,
    through_latency: Option<f64>,
    connections: Option<connections::Connections>,
    h2: Option<Vec<h2::Row>>,
}

fn write(results: &Results) {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    let folder = target.join("chaos/bench");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("link.json");
    std::fs::write(&path, serde_json::to_string_pretty(results).unwrap()).unwrap();
    println!("written to {}", path.display());
}
