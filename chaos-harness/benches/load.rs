//! The load generator against a fast local server: how punctual it is at 1,000 requests/s, and how many it
//! sustains, beside `wrk` and `oha` where they are on the PATH.
//!
//! `cargo bench -p chaos-harness --bench load` prints a table and writes `target/chaos/bench/load.json`.
//! `wrk` and `oha` are closed loops: they send as fast as answers come. The generator's maximum is the highest
//! rate at which it kept its schedule for 3 s, in one of two tries, and every request was served.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use chaos_harness::clock::Clock;
use chaos_harness::load::{Generator, Load, LoadReport};
use chaos_harness::measure::{Latencies, MIN_SAMPLES, Tally};
use serde::Serialize;

const SERVE: &str = "--serve-for-bench";
const CONNECTIONS: &str = "64";

fn main() {
    if std::env::args().any(|argument| argument == SERVE) {
        return serve();
    }
    if !std::env::args().any(|argument| argument == "--bench") {
        return println!("SKIPPED: measured by `cargo bench` alone");
    }
    let server = Server::start();
    let punctual = Punctual::of(&run(server.address, 1_000.0, Duration::from_secs(10)));
    println!("at 1,000 requests/s for 10 s:");
    println!(
        "  lag      p50 {} us, p99 {} us, max {} us",
        punctual.lag_p50_us, punctual.lag_p99_us, punctual.lag_max_us
    );
    println!("  latency  p50 {} us, p99 {} us", punctual.latency_p50_us, punctual.latency_p99_us);
    let bar = if punctual.within_1ms >= 0.99 { "met" } else { "MISSED" };
    println!("  {:.2}% of sends within 1 ms of schedule; the bar of 99% is {bar}", punctual.within_1ms * 100.0);

    let own = sustained(server.address);
    let url = format!("http://{}/", server.address);
    let rates = [("chaos-harness", Some(own)), ("wrk", wrk(&url)), ("oha", oha(&url))];
    println!("\nmost requests/s, {CONNECTIONS} connections for the others:");
    for (tool, rate) in &rates {
        match rate {
            Some(rate) => println!("  {tool:<14} {rate:>9.0}   chaos-harness / {tool} = {:.2}", own / rate),
            None => println!("  {tool:<14}  SKIPPED: not on the PATH, or it failed"),
        }
    }
    write(&Results { at_1000_per_second: punctual, sustained: rates.map(|(tool, rate)| Rate { tool, rate }) });
}

/// What is written, for others to compare with.
#[derive(Serialize)]
struct Results {
    at_1000_per_second: Punctual,
    sustained: [Rate; 3],
}

/// Requests per second; `None` where the tool is missing.
#[derive(Serialize)]
struct Rate {
    tool: &'static str,
    rate: Option<f64>,
}

#[derive(Serialize)]
struct Punctual {
    sends: u64,
    lag_p50_us: u128,
    lag_p99_us: u128,
    lag_max_us: u128,
    latency_p50_us: u128,
    latency_p99_us: u128,
    within_1ms: f64,
}

impl Punctual {
    fn of(report: &LoadReport) -> Self {
        let latencies = Latencies::of(&report.samples);
        let latency = |q| latencies.quantile(q, MIN_SAMPLES).unwrap().as_micros();
        Self {
            sends: report.lag.sends,
            lag_p50_us: report.lag.p50.as_micros(),
            lag_p99_us: report.lag.p99.as_micros(),
            lag_max_us: report.lag.max.as_micros(),
            latency_p50_us: latency(0.5),
            latency_p99_us: latency(0.99),
            within_1ms: report.lag.within_1ms,
        }
    }
}

fn run(address: SocketAddr, rate: f64, time: Duration) -> LoadReport {
    let load = Load::get("server", "/").rate(rate).deadline(Duration::from_secs(5));
    let running = Generator::start(&load, Clock::start(), 1, |_| Some(address)).unwrap();
    std::thread::sleep(time);
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(running.stop())
}

/// Whether one of two tries keeps the rate; one alone would measure what else the machine does.
fn keeps_up(address: SocketAddr, rate: f64) -> bool {
    (0..2).any(|_| {
        let report = run(address, rate, Duration::from_secs(3));
        report.lag.kept_up().is_ok() && Tally::of(&report.samples).failed() == 0
    })
}

/// The highest rate that is kept, to 5%.
fn sustained(address: SocketAddr) -> f64 {
    let (mut kept, mut lost) = (1_000.0, 100_000.0);
    while lost / kept > 1.05 {
        let rate = f64::sqrt(kept * lost);
        *(if keeps_up(address, rate) { &mut kept } else { &mut lost }) = rate;
    }
    kept
}

fn wrk(url: &str) -> Option<f64> {
    let text = output("wrk", &["-t1", "-c", CONNECTIONS, "-d5s", url])?;
    text.lines().find_map(|line| line.strip_prefix("Requests/sec:"))?.trim().parse().ok()
}

fn oha(url: &str) -> Option<f64> {
    let text = output("oha", &["-z", "5s", "-c", CONNECTIONS, "--no-tui", "--output-format", "json", url])?;
    let json: serde_json::Value = serde_json::from_str(&text).ok()?;
    json["summary"]["requestsPerSec"].as_f64()
}

fn output(tool: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(tool).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn write(results: &Results) {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("../target"), PathBuf::from);
    let folder = target.join("chaos/bench");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("load.json"), serde_json::to_vec_pretty(results).unwrap()).unwrap();
    println!("\nwritten to {}", folder.join("load.json").display());
}

/// The server, in a process of its own; it ends with its standard input.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(SERVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { child, address: address.trim().parse().unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    println!("{}", listener.local_addr().unwrap());
    std::thread::spawn(|| {
        let _end_of_input = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let router = Router::new().route("/", get(|| async { "hello" }));
    runtime.block_on(async { axum::serve(listener, router).await.unwrap() });
}
