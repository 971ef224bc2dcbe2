//! How exact toxics are.

use std::time::Duration;

use chaos_harness::link::toxic::Latency;
use chaos_harness::link::{Direction, Toxic};
use serde::Serialize;

use super::contender::{Contender, toxic_link};
use super::cpu;
use super::rig::{self, Callee};

/// How far round trips are from what the toxic promises, in ms.
#[derive(Serialize)]
pub struct Exactness {
    latency_ms: u64,
    error_median_ms: f64,
    error_p99_ms: f64,
}

fn slow(ms: u64) -> Toxic {
    Toxic::new(Latency::new(Duration::from_millis(ms))).direction(Direction::Down)
}

/// Round trips through latencies, less those through a link without.
pub fn latency() -> Vec<Exactness> {
    println!("error of latency (bar: median 0.2 ms, p99 1 ms)");
    let callee = Callee::new();
    let plain_link = Contender::Link.start(callee.addr(), cpu::PROXY);
    let plain = rig::round_trips(&callee, &plain_link, 2000, Duration::from_secs(1));
    let plain = plain[plain.len() / 2];
    let measure = |(ms, trips)| {
        let link = toxic_link(callee.addr(), cpu::PROXY, &slow(ms));
        let times = rig::round_trips(&callee, &link, trips, Duration::from_secs(60));
        let error = |quantile: usize| (times[times.len() * quantile / 100] - plain) / 1e3 - ms as f64;
        let exactness = Exactness { latency_ms: ms, error_median_ms: error(50), error_p99_ms: error(99) };
        println!("  {ms:>3} ms  median {:.3} ms  p99 {:.3} ms", exactness.error_median_ms, exactness.error_p99_ms);
        exactness
    };
    [(1, 2000), (10, 500), (50, 200), (100, 300)].map(measure).into()
}

/// The throughput of 256 MiB through 50 ms, as a share of that without.
pub fn throughput_through_latency() -> f64 {
    let callee = Callee::new();
    let mut ratios: Vec<f64> = (0..7)
        .map(|_| {
            let plain = rig::bulk(&callee, &Contender::Link.start(callee.addr(), cpu::PROXY), 256 << 20);
            let slow = toxic_link(callee.addr(), cpu::PROXY, &slow(50).direction(Direction::Up));
            rig::bulk(&callee, &slow, 256 << 20) / plain
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let (low, median, high) = (ratios[0], ratios[3], ratios[6]);
    println!("256 MiB through 50 ms: {median:.2} ({low:.2} to {high:.2}) of the throughput without (bar 0.5)");
    median
}
