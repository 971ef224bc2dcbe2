//! One conformance suite for every fault, on every runtime: it bites, it ends, it is undone twice, it composes.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chaos_harness::environment::Environment;
use chaos_harness::fault::catalogue::Entry;
use chaos_harness::fault::{Fault, FaultKind, link, network, partition, target, targets};
use chaos_harness::link::http::Message;
use chaos_harness::link::toxic::{BlackHole, Ending, LimitData};
use chaos_harness::link::udp::toxic::{Bandwidth, PeriodicLoss};
use chaos_harness::runtime::{Capability, RuntimeKind, Signal};
use chaos_harness::topology::{InstanceId, Protocol, Service, Topology, USERS};
use common::{eventually, inside, not_run, on, pair, start};
use tokio::net::UdpSocket;

/// Long enough to tell from an answer of a healthy service, short enough to wait for.
const SLOW: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_millis(900);

/// The trace to which every request belongs.
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What the answers of product hold, in the order in which they are asked for over UDP.
const SKUS: [&str; 6] = ["tea-green", "tea-black", "tea-herbal", "coffee-beans", "mug-white", "pot-glass"];

/// Every example of the catalogue does.
const BITES_WITHIN: Duration = Duration::from_secs(10);

/// Longer than any of it takes.
const HOLD: Duration = Duration::from_secs(600);

/// One fault of every registered kind, and every toxic, with what a user sees while it is in force.
fn cases() -> Vec<(Fault, Seen)> {
    vec![
        (link(USERS, "product").latency(SLOW).fault, Seen::Slow),
        (link(USERS, "product").black_hole().fault, Seen::Nothing),
        (link(USERS, "product").refuse().fault, Seen::Error),
        (link(USERS, "product").reset().fault, Seen::Error),
        (link(USERS, "product").slow_open(SLOW).fault, Seen::Slow),
        (link(USERS, "product").slow_close(SLOW).fault, Seen::Answer),
        (link(USERS, "product").limit_data(200).fault, Seen::Error),
        (link(USERS, "product").toxic(LimitData { bytes: 200, then: Ending::Reset }).fault, Seen::Error),
        (link(USERS, "product").bandwidth(1200).fault, Seen::Slow),
        (link(USERS, "product").shared_bandwidth(1200).fault, Seen::Slow),
        (link(USERS, "product").slicer(50, SLOW / 6).fault, Seen::Slow),
        (link(USERS, "product").corrupt(1.0).fault, Seen::Error),
        (link(USERS, "product").half_open().fault, Seen::Nothing),
        (link(USERS, "product").down().half_open().fault, Seen::Error),
        (link(USERS, "product").connection_limit(0).fault, Seen::Error),
        (link(USERS, "product").connection_queue(0).fault, Seen::Nothing),
        (link(USERS, "product").toxic(BlackHole { discard: true, ..BlackHole::default() }).fault, Seen::Nothing),
        (
            link(USERS, "product").toxic(BlackHole { close_after: Some(SLOW), ..BlackHole::default() }).fault,
            Seen::Error,
        ),
        (link(USERS, "product").http().get("/products").abort(503).fault, Seen::Error),
        (link(USERS, "product").http().has_header("traceparent").nth_of_trace(1).abort(503).fault, Seen::Error),
        (link(USERS, "product").http().path("/pro*").rate_limit(0, SLOW * 100).fault, Seen::Error),
        (link(USERS, "product").http().delay(SLOW).fault, Seen::Slow),
        (link(USERS, "product").http().every(1).delay_body(SLOW).fault, Seen::Slow),
        (link(USERS, "product").http().first(1).truncate(10).fault, Seen::Error),
        (link(USERS, "product").http().share(1.0).corrupt().fault, Seen::Answer),
        (link(USERS, "product").http().set_header(Message::Request, "x-tenant", "a").fault, Seen::Answer),
        (link(USERS, "product").http().drop_header(Message::Response, "content-type").fault, Seen::Answer),
        (link(USERS, "product").udp().loss(1.0).fault, Seen::Nothing),
        (link(USERS, "product").udp().down().toxic(PeriodicLoss { nth: 1 }).fault, Seen::Nothing),
        (link(USERS, "product").udp().burst_loss(0.99, 1e6).fault, Seen::Nothing),
        (link(USERS, "product").udp().delay(SLOW).fault, Seen::Slow),
        (link(USERS, "product").udp().toxic(Bandwidth::new(150)).fault, Seen::Slow),
        (link(USERS, "product").udp().duplicate(1.0).fault, Seen::Twice),
        (link(USERS, "product").udp().reorder(0.5).fault, Seen::Disorder),
        (link(USERS, "product").udp().corrupt(1.0).fault, Seen::Error),
        (link(USERS, "product").first(1000).refuse().fault, Seen::Error),
        (link(USERS, "product").every(1).reset().fault, Seen::Error),
        (link(USERS, "product").pulse(Duration::ZERO, HOLD).black_hole().fault, Seen::Nothing),
        (link(USERS, "product").square(2 * HOLD, HOLD).refuse().fault, Seen::Error),
        (target("product").in_process().path("/products").delay(SLOW).fault, Seen::Slow),
        (target("product").in_process().method("GET").path("/pro*").error(503).fault, Seen::Error),
        (target("product").in_process().path("/products").hang(HOLD).fault, Seen::Nothing),
        (target("product").in_process().has_header("traceparent").rate_limit(0, HOLD).fault, Seen::Error),
        (target("product").fail_point("product::list").returns("out of tea").fault, Seen::Error),
        (target("product").fail_point("product::list").sleeps(SLOW).fault, Seen::Slow),
        (target("product").fail_point("product::list").panics("no tea").fault, Seen::Error),
        (target("product").kill().fault, Seen::Error),
        (target("product").pause().fault, Seen::Nothing),
        (target("product").stop().fault, Seen::Error),
        (target("product").signal("SIGUSR1").fault, Seen::Error),
        (target("product").kill_with(Signal::Stop).fault, Seen::Nothing),
        (target("product").restart(HOLD).fault, Seen::Error),
        (target("product").crash_loop(SLOW / 3).fault, Seen::Error),
        (target("product").scale(0).fault, Seen::Error),
        (target("product").disconnect().fault, Seen::Nothing),
        (target("product").cpu_quota(0.1).fault, Seen::Slow),
        (target("product").memory_limit(48 << 20).fault, Seen::Error),
        (target("product").process_limit(1).fault, Seen::Error),
        (target("product").cpu_stress(1).fault, Seen::Answer),
        (target("product").memory_stress_by(32 << 20).fault, Seen::Answer),
        (target("product").disk_full("/data").fault, Seen::Error),
        (target("product").fill_disk("/data", 0.5).fault, Seen::Answer),
        (targets(["inventory", "product"]).kill().fault, Seen::Error),
        (network("product").cut().fault, Seen::Nothing),
        (network("product").inbound().cut().fault, Seen::Nothing),
        (network("product").outbound().cut().fault, Seen::Nothing),
        (network("product").reject().fault, Seen::Error),
        (network("product").loss(1.0).fault, Seen::Nothing),
        (network("product").loss_every(1).fault, Seen::Nothing),
        (network("product").rate(100).fault, Seen::Nothing),
        (partition([["inventory"], ["product"]]).fault, Seen::Nothing),
        (network("inventory").peer("product").latency(SLOW).fault, Seen::Slow),
        (network("inventory").dns_refused().fault, Seen::Error),
        (network("inventory").dns_delay(SLOW).fault, Seen::Slow),
    ]
}

/// `inventory` -> `product`, which uses up resources on demand.
fn stressed(kind: RuntimeKind) -> Topology {
    let stressed = |product: Service| match kind {
        RuntimeKind::Docker => product.env("STRESS", "on").env("DATA", "/data").volume("/data", 4 << 20),
        RuntimeKind::Process => product.env("STRESS", "on"),
    };
    pair().with("product", stressed).unwrap()
}

/// What a user sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Answer,
    Slow,
    Error,
    Nothing,
    Twice,
    Disorder,
}

/// A fresh user asks for the products, over what the fault acts on.
async fn ask(environment: &Environment, fault: &Fault) -> Seen {
    match fault {
        Fault::Udp(_) => ask_over_udp(environment).await,
        Fault::Partition(_) | Fault::Netem(_) => ask_as_inventory(environment).await,
        Fault::Dns(_) | Fault::DnsDelay(_) => ask_name_as_inventory(environment).await,
        Fault::CpuQuota(_) => ask_for(environment, &format!("/stress/cpu?amount={}", *WORK.get().unwrap())).await,
        Fault::MemoryLimit(_) => ask_for(environment, "/stress/memory?amount=96").await,
        Fault::DiskFull(_) => ask_for(environment, "/stress/disk?amount=64").await,
        Fault::ProcessLimit(_) => ask_for(environment, "/stress/threads?amount=4").await,
        _ => ask_for(environment, "/products").await,
    }
}

/// So many thousand rounds take about 60 ms of a processor of this machine.
static WORK: OnceLock<u32> = OnceLock::new();

/// Measures [`WORK`] where processor time can be measured, and where alone it is asked for.
async fn calibrate(environment: &Environment) {
    const TRY: u32 = 20_000;
    let Some(resources) = environment.runtime().resources() else { return };
    let (id, path) = (InstanceId::new("product", 1), format!("/stress/cpu?amount={TRY}"));
    let before = resources.usage(&id).await.unwrap().cpu;
    assert_eq!(ask_for(environment, &path).await, Seen::Answer);
    let took = resources.usage(&id).await.unwrap().cpu - before;
    WORK.get_or_init(|| (0.060 / took.as_secs_f64() * f64::from(TRY)) as u32);
}

/// Once, from where inventory runs.
async fn ask_as_inventory(environment: &Environment) -> Seen {
    let (link, asked) = (environment.links("inventory", "product")[0].addr(), Instant::now());
    match inside::get(environment, "inventory", link, PATIENCE).await {
        Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => Seen::Nothing,
        Err(_) => Seen::Error,
        Ok(answer) if !answer.contains(SKUS[0]) => Seen::Error,
        Ok(_) if asked.elapsed() >= SLOW => Seen::Slow,
        Ok(_) => Seen::Answer,
    }
}

async fn ask_name_as_inventory(environment: &Environment) -> Seen {
    let asked = Instant::now();
    match inside::ask_name(environment, "inventory", PATIENCE).await {
        Ok(()) if asked.elapsed() >= SLOW => Seen::Slow,
        Ok(()) => Seen::Answer,
        Err(ErrorKind::WouldBlock) => Seen::Nothing,
        Err(_) => Seen::Error,
    }
}

/// For one after the other, without waiting for an answer.
async fn ask_over_udp(environment: &Environment) -> Seen {
    ask_link(environment.udp_address("product").unwrap()).await
}

async fn ask_link(link: SocketAddr) -> Seen {
    let socket = UdpSocket::bind((link.ip(), 0)).await.unwrap();
    socket.connect(link).await.unwrap();
    let asked = Instant::now();
    for sku in SKUS {
        socket.send(sku.as_bytes()).await.unwrap();
    }
    let (mut answers, mut buffer, mut patience) = (Vec::new(), [0; 1024], PATIENCE);
    while let Ok(length) = tokio::time::timeout(patience, socket.recv(&mut buffer)).await {
        answers.push((asked.elapsed(), String::from_utf8_lossy(&buffer[..length.unwrap()]).into_owned()));
        if answers.len() >= SKUS.len() {
            patience = Duration::from_millis(50);
        }
    }
    let in_order = answers.iter().zip(SKUS).all(|((_, answer), sku)| answer.contains(sku));
    match answers.last() {
        None => Seen::Nothing,
        Some(_) if answers.iter().any(|(_, answer)| answer.contains("error")) => Seen::Error,
        Some(_) if answers.len() > SKUS.len() => Seen::Twice,
        Some(_) if !in_order => Seen::Disorder,
        Some((last, _)) if *last >= SLOW => Seen::Slow,
        Some(_) => Seen::Answer,
    }
}

async fn ask_over_http(environment: &Environment) -> Seen {
    ask_for(environment, "/products").await
}

async fn ask_for(environment: &Environment, path: &str) -> Seen {
    let address = environment.address("product").unwrap();
    let client = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    let asked = Instant::now();
    let request = client.get(format!("http://{address}{path}")).header("traceparent", TRACE);
    let answer = async { request.send().await?.error_for_status()?.bytes().await };
    match answer.await {
        Err(error) if error.is_timeout() => Seen::Nothing,
        Err(_) => Seen::Error,
        Ok(_) if asked.elapsed() >= SLOW => Seen::Slow,
        Ok(_) => Seen::Answer,
    }
}

#[test]
fn on_docker() {
    on(RuntimeKind::Docker, all);
}

#[test]
fn on_processes() {
    on(RuntimeKind::Process, all);
}

#[test]
fn the_catalogue_on_docker() {
    on(RuntimeKind::Docker, catalogue);
}

#[test]
fn the_catalogue_on_processes() {
    on(RuntimeKind::Process, catalogue);
}

/// Every example of every registered fault, while users ask: it bites, it ends, it is undone twice.
async fn catalogue(kind: RuntimeKind) {
    let linked = stressed(kind).link_over(USERS, "product", Protocol::Http).link_over(USERS, "product", Protocol::Udp);
    let environment = Arc::new(start(kind, linked).await);
    calibrate(&environment).await;
    let users = tokio::spawn(keep_asking(environment.clone()));
    let examples = |entry: Entry| entry.examples.into_iter().map(move |fault| (fault, entry.shown_by));
    for (fault, shown_by) in Fault::catalogue().into_iter().flat_map(examples) {
        if let Some(reason) = why_not(&fault, kind).or(shown_by.map(str::to_owned)) {
            not_run(&format!("{fault} on {kind}: {reason}"));
            continue;
        }
        eventually("a healthy start", || async { ask(&environment, &fault).await == Seen::Answer }).await;
        bites_and_is_undone(&environment, &fault).await;
    }
    users.abort();
    let _ = users.await;
    Arc::into_inner(environment).unwrap().destroy().await.unwrap();
}

/// What keeps a fault from being applied here: the runtime, or the machine.
fn why_not(fault: &Fault, kind: RuntimeKind) -> Option<String> {
    let missing = fault.requires().iter().find(|needed| !kind.capabilities().contains(needed));
    let from_inside = matches!(fault, Fault::Partition(_) | Fault::Netem(_) | Fault::Dns(_) | Fault::DnsDelay(_));
    let inside = from_inside && kind.capabilities().contains(&Capability::NetworkNamespace);
    match missing {
        Some(missing) => Some(format!("it requires {missing}")),
        None if inside && !inside::may_enter() => Some("only root may ask from inside".to_owned()),
        None => Some(fault.check_machine().err()?.to_string()),
    }
}

/// Users who ask over everything, ten times a second, whatever they are told.
async fn keep_asking(environment: Arc<Environment>) {
    loop {
        let _ = tokio::join!(ask_over_http(&environment), ask_over_udp(&environment));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn bites_and_is_undone(environment: &Environment, fault: &Fault) {
    fault.validate(environment.topology()).unwrap();
    let mut injected = fault.inject(environment).await.unwrap();
    let since = Instant::now();
    let mut bite = injected.attest(environment).await;
    while !bite.shown {
        assert!(since.elapsed() < BITES_WITHIN, "{fault}: {}", bite.looked_at);
        // For a limit, that is for more than usual.
        ask(environment, fault).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        bite = injected.attest(environment).await;
    }
    assert!(!injected.mechanism().is_empty(), "{fault}");
    injected.roll_back(environment).await.unwrap();
    injected.roll_back(environment).await.unwrap();
    let gone = injected.attest_gone(environment).await;
    assert!(gone.shown, "{fault}: {}", gone.looked_at);
    eventually(&format!("the end of `{fault}`"), || async { ask(environment, fault).await == Seen::Answer }).await;
    assert_eq!(environment.runtime().undo_log().noted(), [], "{fault}: undone, and so nothing is noted");
}

async fn all(kind: RuntimeKind) {
    let linked = stressed(kind).link_over(USERS, "product", Protocol::Http).link_over(USERS, "product", Protocol::Udp);
    let linked = linked.link_over("inventory", "product", Protocol::Udp);
    let environment = start(kind, linked).await;
    calibrate(&environment).await;
    for (fault, expected) in cases() {
        if !is_capable(&environment, &fault).await {
            continue;
        }
        if let Some(reason) = why_not(&fault, kind) {
            not_run(&format!("{fault} on {kind}: {reason}"));
            continue;
        }
        eventually("a healthy start", || async { ask(&environment, &fault).await == Seen::Answer }).await;
        conforms(&environment, &fault, expected).await;
    }
    compose(&environment).await;
    services_have_udp_links_of_their_own(&environment).await;
    environment.destroy().await.unwrap();
}

/// Whether the runtime can do it. What it cannot is refused by name, and visibly not tested.
async fn is_capable(environment: &Environment, fault: &Fault) -> bool {
    let runtime = environment.runtime();
    let Some(missing) = fault.requires().iter().find(|needed| !runtime.capabilities().contains(needed)) else {
        return true;
    };
    let refused = fault.inject(environment).await.err().unwrap();
    assert!(refused.to_string().contains(&format!("the {} runtime", runtime.kind())), "{refused}");
    not_run(&format!("{fault}, on the {} runtime, which lacks {missing}", runtime.kind()));
    false
}

async fn conforms(environment: &Environment, fault: &Fault, expected: Seen) {
    fault.validate(environment.topology()).unwrap();
    let mut injected = fault.inject(environment).await.unwrap();
    match fault {
        // Between two crashes it answers.
        Fault::CrashLoop(_) => eventually("a crash", || async { ask(environment, fault).await == expected }).await,
        _ => assert_eq!(ask(environment, fault).await, expected, "{fault}"),
    }
    let mut bite = injected.attest(environment).await;
    // What a user does last, closing the connection, is felt a moment later.
    for _ in 0..100 {
        if bite.shown {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        bite = injected.attest(environment).await;
    }
    assert!(bite.shown, "{fault}: {}", bite.looked_at);
    injected.roll_back(environment).await.unwrap();
    let gone = injected.attest_gone(environment).await;
    assert!(gone.shown, "{fault}: {}", gone.looked_at);
}

/// Two faults on one link are both in force, and one goes without the other.
async fn compose(environment: &Environment) {
    let (slow, silent) = (link(USERS, "product").latency(SLOW).fault, link(USERS, "product").black_hole().fault);
    let mut slow = slow.inject(environment).await.unwrap();
    let mut silent = silent.inject(environment).await.unwrap();
    assert_eq!(ask_over_http(environment).await, Seen::Nothing);
    assert!(silent.attest(environment).await.shown);
    let bite = slow.attest(environment).await;
    assert!(!bite.shown, "nothing came through to be delayed, whatever the other did: {}", bite.looked_at);
    silent.roll_back(environment).await.unwrap();
    assert_eq!(ask_over_http(environment).await, Seen::Slow);
    assert!(slow.attest(environment).await.shown);
    slow.roll_back(environment).await.unwrap();
    assert_eq!(ask_over_http(environment).await, Seen::Answer);
}

/// Bound where targets find it, and not touched by what happens to the users' one.
async fn services_have_udp_links_of_their_own(environment: &Environment) {
    let links = environment.udp_links("inventory", "product");
    assert_eq!((links.len(), links[0].addr().ip()), (1, environment.runtime().link_host()));
    let mut lost = link(USERS, "product").udp().loss(1.0).fault.inject(environment).await.unwrap();
    assert_eq!(ask_link(links[0].addr()).await, Seen::Answer);
    assert_eq!(ask_over_udp(environment).await, Seen::Nothing);
    lost.roll_back(environment).await.unwrap();
}
