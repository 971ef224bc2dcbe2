//! HTTP/2 by `h2load` against `nghttpd` (Debian: nghttp2-client, nghttp2-server), directly and through links.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chaos_harness::link::Toxic;
use chaos_harness::link::http::{Abort, Http, HttpAction, RequestMatch};
use indexmap::IndexMap;
use serde::Serialize;

use super::contender::{self, http_link, on};
use super::cpu;

const ROUNDS: usize = 5;

/// What `h2load` sends.
struct Scenario {
    name: &'static str,
    requests: usize,
    connections: usize,
    streams: usize,
    headers: Vec<String>,
    /// In the place of a link with a rule that fits nothing: one that aborts 1%.
    aborts: bool,
}

fn scenarios() -> Vec<Scenario> {
    let plain = |name, requests, connections, streams| Scenario {
        name,
        requests,
        connections,
        streams,
        headers: Vec::new(),
        aborts: false,
    };
    let header = |n: usize| format!("x-header-{n}: value number {n} of this request");
    vec![
        plain("small requests", 100_000, 10, 10),
        Scenario { headers: (0..200).map(header).collect(), ..plain("200 headers", 10_000, 10, 10) },
        Scenario {
            headers: vec![format!("x-long: {}", "a1Z-".repeat(7_500))],
            ..plain("30 KB header block", 5_000, 10, 10)
        },
        Scenario { aborts: true, ..plain("1 x 1000 streams, 1% abort", 400_000, 1, 1_000) },
        Scenario { aborts: true, ..plain("10 x 100 streams, 1% abort", 400_000, 10, 100) },
    ]
}

/// Requests a second of one way to the server, as medians, and requests that got no answer in any round.
#[derive(Serialize)]
pub struct Row {
    scenario: &'static str,
    per_second: IndexMap<&'static str, f64>,
    unanswered: IndexMap<&'static str, usize>,
}

/// `None` where the programs are missing.
pub fn measure() -> Option<Vec<Row>> {
    for program in ["/usr/bin/h2load", "/usr/sbin/nghttpd"] {
        if !Path::new(program).exists() {
            println!("SKIPPED: HTTP/2 ({program} is missing)");
            return None;
        }
    }
    println!("HTTP/2, requests/s (bar: an HTTP link at least 0.8 of a TCP link, and every request answered)");
    Some(scenarios().iter().map(row).collect())
}

fn row(scenario: &Scenario) -> Row {
    let server = Server::start();
    let rule = |when, act| Toxic::new(Http { when, act });
    let last = match scenario.aborts {
        true => (
            "1% abort",
            rule(RequestMatch { share: 0.01, ..RequestMatch::default() }, HttpAction::Abort(Abort::new(503))),
        ),
        false => {
            let never = RequestMatch { path: Some("/never".to_owned()), ..RequestMatch::default() };
            ("a rule that fits nothing", rule(never, HttpAction::Abort(Abort::new(503))))
        }
    };
    let mut rounds: IndexMap<&'static str, Vec<Outcome>> = IndexMap::new();
    for _ in 0..ROUNDS {
        let tcp = contender::Contender::Link.start(server.addr, cpu::PROXY);
        let (http, ruled) =
            (http_link(server.addr, cpu::PROXY, None), http_link(server.addr, cpu::PROXY, Some(&last.1)));
        for (name, addr) in
            [("direct", server.addr), ("tcp link", tcp.addr), ("http link", http.addr), (last.0, ruled.addr)]
        {
            rounds.entry(name).or_default().push(load(scenario, addr));
        }
    }
    let per_second: IndexMap<_, _> = rounds.iter().map(|(name, rounds)| (*name, median(rounds))).collect();
    let lost = |rounds: &[Outcome]| rounds.iter().map(|round| round.unanswered).sum();
    let unanswered: IndexMap<_, usize> = rounds.iter().map(|(name, rounds)| (*name, lost(rounds))).collect();
    println!("  {}", scenario.name);
    for (name, rate) in &per_second {
        let ratio = rate / per_second["tcp link"];
        let missed = ratio < 0.8 || unanswered[name] > 0;
        let missed = if missed { "MISSED" } else { "" };
        println!("    {name:<26} {rate:>9.0}   it / tcp link = {ratio:.2}   unanswered {} {missed}", unanswered[name]);
    }
    Row { scenario: scenario.name, per_second, unanswered }
}

fn median(rounds: &[Outcome]) -> f64 {
    let mut rates: Vec<f64> = rounds.iter().map(|round| round.per_second).collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

struct Outcome {
    per_second: f64,
    unanswered: usize,
}

fn load(scenario: &Scenario, addr: SocketAddr) -> Outcome {
    let mut command = Command::new("/usr/bin/h2load");
    let number = |n: usize| n.to_string();
    command.args([
        "-n",
        &number(scenario.requests),
        "-c",
        &number(scenario.connections),
        "-m",
        &number(scenario.streams),
    ]);
    command.args(scenario.headers.iter().flat_map(|header| ["-H", header]));
    command.arg(format!("http://{addr}/index.html"));
    let output = on(cpu::PEERS, || command.output().unwrap());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let before =
        |what: &str| text.split(what).next().and_then(|text| text.rsplit([' ', ',']).find(|word| !word.is_empty()));
    let per_second = before(" req/s").and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no rate in {text}"));
    let codes = text.lines().find(|line| line.starts_with("status codes:")).unwrap_or_default();
    let answered: usize = codes.split([' ', ',']).filter_map(|word| word.parse::<usize>().ok()).sum();
    Outcome { per_second, unanswered: scenario.requests.saturating_sub(answered) }
}

/// An `nghttpd` that runs until dropped.
struct Server {
    addr: SocketAddr,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.html"), "hello\n").unwrap();
        let addr = contender::free_port();
        let mut command = Command::new("/usr/sbin/nghttpd");
        command.args(["--no-tls", "--address", "127.0.0.1", "--max-concurrent-streams", "1000", "-d"]);
        command.arg(folder.path()).arg(addr.port().to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = on(cpu::PEERS, || command.spawn().unwrap());
        let start = Instant::now();
        while std::net::TcpStream::connect(addr).is_err() {
            assert!(start.elapsed() < Duration::from_secs(5), "nghttpd does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { addr, child, _folder: folder }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
