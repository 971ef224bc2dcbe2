//! The generator against real servers on loopback.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Generator, GeneratorLag, Load, LoadError, LoadReport, Request, Running};
use crate::clock::Clock;
use crate::measure::testing::ms;
use crate::measure::{Latencies, MIN_SAMPLES, Outcome, Sample, SteadyStretch, Tally, Window, recovery};

/// A server that ends with the test.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(router: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Server { address, task }
}

/// A server which reads the head of each request and then does as `answer` says with the connection.
async fn serve_raw<F>(answer: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            read_request(&mut connection).await;
            tokio::spawn(answer(connection));
        }
    });
    Server { address, task }
}

/// Reads one small request; false when there is none any more.
async fn read_request(connection: &mut TcpStream) -> bool {
    let mut request = [0; 4096];
    connection.read(&mut request).await.is_ok_and(|read| read > 0)
}

async fn write(connection: &mut TcpStream, text: &str) {
    connection.write_all(text.as_bytes()).await.unwrap();
}

fn start(load: &Load, address: SocketAddr) -> Running {
    start_by(Clock::start(), load, address)
}

fn start_by(clock: Clock, load: &Load, address: SocketAddr) -> Running {
    Generator::start(load, clock, 1, |service| (service == "target").then_some(address)).unwrap()
}

/// Sends `load` until `count` samples are known.
async fn send(load: &Load, address: SocketAddr, count: usize) -> LoadReport {
    collect(start(load, address), count).await
}

async fn collect(running: Running, count: usize) -> LoadReport {
    let feed = running.feed();
    let enough = async {
        while feed.count() < count {
            tokio::time::sleep(ms(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), enough).await.expect("the samples come within 30 s");
    running.stop().await
}

fn target() -> Load {
    Load::get("target", "/").rate(200).deadline(ms(1_000))
}

#[track_caller]
fn all_are(report: &LoadReport, outcome: Outcome) {
    assert!(!report.samples.is_empty());
    let others: Vec<_> = report.samples.iter().filter(|sample| sample.outcome != outcome).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test]
async fn answers_are_classified_by_route() {
    let router = Router::new()
        .route("/good", get(|| async { "good" }))
        .route("/degraded", get(|| async { ([("x-degraded", "cache")], "from the cache") }))
        .route("/broken", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .route("/moved", get(|| async { (StatusCode::FOUND, [("location", "/good")]) }))
        .route("/missing", get(|| async { StatusCode::NOT_FOUND }))
        .route("/echo", post(|body: axum::Json<serde_json::Value>| async { body }));
    let server = serve(router).await;
    let load = Load::get("target", "/good")
        .also(Request::get("target", "/degraded"))
        .also(Request::get("target", "/broken"))
        .also(Request::get("target", "/moved"))
        .also(Request::get("target", "/missing").expect([200, 404]))
        .also(Request::post("target", "/echo").json(&[1, 2]))
        .rate(500);
    let report = send(&load, server.address, 120).await;
    let expected = [
        Outcome::Good(200),
        Outcome::Degraded(200),
        Outcome::Status(500),
        Outcome::Status(302),
        Outcome::Good(404),
        Outcome::Good(200),
    ];
    for (route, expected) in expected.into_iter().enumerate() {
        let samples: Vec<_> = report.samples.iter().filter(|sample| usize::from(sample.route) == route).collect();
        assert!(!samples.is_empty(), "route {route} was never sent");
        assert!(samples.iter().all(|sample| sample.outcome == expected), "{samples:?}");
    }
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    all_are(&send(&target(), address, 20).await, Outcome::Refused);
}

#[tokio::test]
async fn a_connection_that_is_reset_or_closed_before_the_answer() {
    let resetting = serve_raw(|connection| async move { connection.set_zero_linger().unwrap() }).await;
    all_are(&send(&target(), resetting.address, 20).await, Outcome::Reset);
    let closing = serve_raw(|connection| async move { drop(connection) }).await;
    all_are(&send(&target(), closing.address, 20).await, Outcome::Reset);
}

#[tokio::test]
async fn an_answer_that_breaks_off() {
    let by_length = serve_raw(|mut connection| async move {
        write(&mut connection, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this").await;
    });
    all_are(&send(&target(), by_length.await.address, 20).await, Outcome::Truncated);
    let in_chunks = serve_raw(|mut connection| async move {
        write(&mut connection, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    });
    all_are(&send(&target(), in_chunks.await.address, 20).await, Outcome::Truncated);
    let by_reset = serve_raw(|mut connection| async move {
        write(&mut connection, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this").await;
        // Once the head has been read there is nothing to wait for; the reset must not overtake it.
        tokio::time::sleep(ms(50)).await;
        connection.set_zero_linger().unwrap();
    });
    all_are(&send(&target(), by_reset.await.address, 20).await, Outcome::Truncated);
}

#[tokio::test]
async fn an_answer_that_is_no_http() {
    let server = serve_raw(|mut connection| async move { write(&mut connection, "SSH-2.0-OpenSSH_9.2\r\n\r\n").await });
    all_are(&send(&target(), server.await.address, 20).await, Outcome::Protocol);
    let bad_chunk = serve_raw(|mut connection| async move {
        write(&mut connection, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nhello\r\n").await;
    });
    all_are(&send(&target(), bad_chunk.await.address, 20).await, Outcome::Protocol);
}

#[tokio::test]
async fn no_answer_and_a_slow_body_time_out_at_the_deadline() {
    let silent = serve(Router::new().route("/", get(std::future::pending::<()>))).await;
    let load = target().deadline(ms(200));
    let report = send(&load, silent.address, 20).await;
    all_are(&report, Outcome::Timeout);
    for sample in &report.samples {
        assert!((ms(200)..ms(400)).contains(&sample.latency()), "{sample:?}");
    }
    let slow_body = serve_raw(|mut connection| async move {
        write(&mut connection, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this").await;
        std::future::pending().await
    });
    all_are(&send(&load, slow_body.await.address, 20).await, Outcome::Timeout);
}

#[tokio::test]
async fn a_pooled_connection_that_dies_under_a_request_is_a_reset_and_nothing_is_sent_twice() {
    let received = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&received);
    let server = serve_raw(move |mut connection| {
        let counter = Arc::clone(&counter);
        async move {
            write(&mut connection, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            let second = read_request(&mut connection).await;
            counter.fetch_add(1 + usize::from(second), Ordering::Relaxed);
        }
    });
    let report = send(&target().rate(20), server.await.address, 20).await;
    let reset = report.samples.iter().filter(|sample| sample.outcome == Outcome::Reset).count();
    assert!(reset.abs_diff(report.samples.len() / 2) <= 1, "{:?}", Tally::of(&report.samples));
    // The last connection may still wait for a second request.
    let received = received.load(Ordering::Relaxed);
    assert!(report.samples.len().abs_diff(received) <= 1, "{received} received of {}", report.samples.len());
}

/// Since when a server stood still, and until when.
type Stall = Arc<OnceLock<(Instant, Instant)>>;

/// A server that stands still once, for `stall`, from the moment of its `n`th request.
async fn stalling(n: usize, stall: Duration) -> (Server, Stall) {
    let stood = Stall::default();
    let known = Arc::clone(&stood);
    let count = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(tokio::sync::RwLock::new(()));
    let handler = move || {
        let (count, gate, known) = (Arc::clone(&count), Arc::clone(&gate), Arc::clone(&known));
        async move {
            if count.fetch_add(1, Ordering::Relaxed) == n {
                let closed = Arc::clone(&gate).write_owned().await;
                // Detached: the server goes on standing still when the client of this request gives up.
                tokio::spawn(async move {
                    let since = Instant::now();
                    tokio::time::sleep(stall).await;
                    known.set((since, Instant::now())).unwrap();
                    drop(closed);
                });
            }
            let _open = gate.read().await;
        }
    };
    (serve(Router::new().route("/", get(handler))).await, stood)
}

#[tokio::test]
async fn a_stall_shows_in_availability_and_in_p99() {
    let (server, _) = stalling(100, Duration::from_secs(3)).await;
    let report = send(&target().rate(100).deadline(ms(1_000)), server.address, 500).await;
    // 2 of the 3 seconds are over the deadline of 1 s: 200 of about 500 requests.
    let tally = Tally::of(&report.samples);
    let timeouts = tally.failed();
    assert!((185..=215).contains(&timeouts), "{tally:?}");
    assert!(tally.rates(MIN_SAMPLES).unwrap().availability < 0.65);
    let p99 = Latencies::of(&report.samples).quantile(0.99, MIN_SAMPLES).unwrap();
    assert!(p99 >= ms(1_000), "{p99:?}");
}

#[tokio::test]
async fn a_stall_delays_every_request_that_was_due_in_it() {
    let (server, stall) = stalling(50, ms(1_000)).await;
    let clock = Clock::start();
    let report = collect(start_by(clock, &target().rate(100).deadline(ms(20_000)), server.address), 300).await;
    let (since, until) = stall.get().map(|(since, until)| (clock.at(*since), clock.at(*until))).unwrap();
    // A closed loop would count one slow request. Here each that was due in the stall waits for the rest of it.
    let due: Vec<_> = report.samples.iter().filter(|sample| (since..until).contains(&sample.intended)).collect();
    let expected = (until - since).as_secs_f64() * 100.0;
    assert!((due.len() as f64 - expected).abs() <= 2.0, "{} of {expected}", due.len());
    for sample in &due {
        assert!(sample.latency() >= until - sample.intended, "{sample:?} in a stall until {until:?}");
    }
    // The target's fault, not the generator's: it sent them while the target stood still, most of them in time.
    let mut late: Vec<_> = due.iter().map(|sample| sample.sent - sample.intended).collect();
    late.sort();
    assert!(late[late.len() / 4] <= ms(20), "{late:?}");
    assert!(!matches!(report.lag.kept_up(), Err(GeneratorLag::Unsent { .. })), "{:?}", report.lag);
    assert_eq!(Tally::of(&report.samples).failed(), 0);
}

#[tokio::test]
async fn a_generator_that_cannot_send_voids_the_run() {
    let server = serve(Router::new().route("/", get(|| tokio::time::sleep(ms(100))))).await;
    let report = send(&target().max_in_flight(1), server.address, 40).await;
    assert!(
        matches!(report.lag.kept_up(), Err(GeneratorLag::Unsent { unsent, .. }) if unsent > 20),
        "{:?}",
        report.lag
    );
    let unsent: Vec<_> = report.samples.iter().filter(|sample| sample.outcome == Outcome::Unsent).collect();
    assert!(unsent.iter().all(|sample| sample.latency() == ms(1_000)), "{unsent:?}");
    assert!(!Outcome::Unsent.is_served());
}

#[tokio::test]
async fn stop_waits_for_what_is_under_way_and_the_feed_shows_all() {
    let server = serve(Router::new().route("/", get(|| tokio::time::sleep(ms(300))))).await;
    let running = start(&target(), server.address);
    let feed = running.feed();
    while running.in_flight() < 20 {
        tokio::time::sleep(ms(5)).await;
    }
    let before = feed.count();
    let report = running.stop().await;
    all_are(&report, Outcome::Good(200));
    assert!(report.samples.len() >= before + 20);
    assert_eq!(feed.since(0).len(), report.samples.len());
    assert_eq!(feed.since(before).len(), report.samples.len() - before);
    assert!(feed.since(usize::MAX).is_empty());
    assert!(report.samples.is_sorted_by_key(|sample| sample.intended));
}

#[tokio::test]
async fn the_same_seed_sends_the_same_routes() {
    let server = serve(Router::new().route("/", get(|| async {})).route("/b", get(|| async {}))).await;
    let load = target().also(Request::get("target", "/b"));
    let first = send(&load, server.address, 50).await;
    let second = send(&load, server.address, 50).await;
    let routes = |report: &LoadReport| report.samples[..50].iter().map(|sample| sample.route).collect::<Vec<_>>();
    assert_eq!(routes(&first), routes(&second));
}

#[tokio::test]
async fn an_unknown_service_is_named_before_anything_is_sent() {
    let load = target().also(Request::get("inventry", "/stock"));
    let address = "127.0.0.1:9".parse().unwrap();
    let error = Generator::start(&load, Clock::start(), 1, |service| (service == "target").then_some(address));
    let error = error.unwrap_err();
    assert!(matches!(&error, LoadError::UnknownService { service, .. } if service == "inventry"));
    assert_eq!(error.to_string(), "route `/stock` goes to service `inventry`, which the topology does not have");
}

/// A server on a runtime of its own, which can be killed with all its connections.
fn serve_apart(address: SocketAddr) -> (SocketAddr, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(|| async {}));
    runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, runtime)
}

#[test]
fn time_to_recover_agrees_with_the_truth() {
    let (address, mut server) = serve_apart("127.0.0.1:0".parse().unwrap());
    let clock = Clock::start();
    let running = Generator::start(&target().rate(200), clock, 1, |_| Some(address)).unwrap();
    let mut outages = Vec::new();
    for down in [150, 300, 450] {
        std::thread::sleep(ms(300));
        let killed = clock.now();
        server.shutdown_timeout(ms(0));
        std::thread::sleep(ms(down));
        server = serve_apart(address).1;
        outages.push((killed, clock.now()));
        std::thread::sleep(ms(1_100));
    }
    let report = tokio::runtime::Runtime::new().unwrap().block_on(running.stop());
    for (killed, back) in outages {
        let watch = Window::new(killed, back + ms(1_100));
        let failed = |sample: &Sample| !sample.outcome.is_served();
        let (measured, _) = recovery(&report.samples, watch, back, failed, &SteadyStretch::default());
        let error = measured.time().expect("it recovers").abs_diff(back - killed);
        assert!(error <= ms(50 + 5), "{measured:?} for {killed:?} to {back:?}");
    }
}

#[tokio::test]
async fn a_dropped_load_ends_at_once() {
    let server = serve(Router::new().route("/", get(std::future::pending::<()>))).await;
    let running = start(&target(), server.address);
    let feed = running.feed();
    while running.in_flight() < 5 {
        tokio::time::sleep(ms(5)).await;
    }
    let begin = std::time::Instant::now();
    drop(running);
    assert!(begin.elapsed() < ms(200), "{:?}", begin.elapsed());
    assert_eq!(feed.count(), 0);
}

#[test]
fn a_plan_has_a_schema() {
    let schema = serde_json::to_value(schemars::schema_for!(Load)).unwrap();
    assert_eq!(schema["properties"]["deadline"]["type"], "string");
    assert_eq!(schema["properties"]["deadline"]["default"], "1s");
}
