//! Toxiproxy's own tests, as far as they are about what a client sees: its cases of `toxics/*_test.go`, `proxy_test.go`,
//! `link_test.go`. Each says which.

use std::io::ErrorKind;
use std::time::Instant;

use rstest::rstest;
use tokio::io::AsyncBufReadExt;
use tokio::sync::mpsc;

use super::*;

/// Sends back each line that it gets, and tells of it before.
async fn line_echo() -> (SocketAddr, mpsc::UnboundedReceiver<(Instant, Vec<u8>)>) {
    let (heard, hears) = mpsc::unbounded_channel();
    let addr = upstream(move |stream| {
        let heard = heard.clone();
        async move {
            let mut stream = tokio::io::BufReader::new(stream);
            let mut line = Vec::new();
            while let Ok(1..) = stream.read_until(b'\n', &mut line).await {
                let _ = heard.send((Instant::now(), line.clone()));
                let _ = stream.get_mut().write_all(&line).await;
                line.clear();
            }
        }
    })
    .await;
    (addr, hears)
}

/// `TestResetToxicNoTimeout`, `TestResetToxicWithTimeout`, `TestResetToxicWithTimeoutDownstream`.
#[rstest]
#[case("upstream", 0)]
#[case("upstream", 100)]
#[case("downstream", 0)]
#[case("downstream", 100)]
#[tokio::test]
async fn a_peer_is_reset_by_its_first_data(#[case] stream: &str, #[case] timeout: u64) {
    let (server, (echo, _heard)) = (Server::start().await, line_echo().await);
    let listen = server.proxy("test", echo).await;
    let mut before = live_line(listen).await;
    server.toxic("test", "reset_peer", stream, json!({"timeout": timeout})).await;

    let silent = connect(listen).await;
    for mut stream in [connect(listen).await, silent] {
        let quiet = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut [0])).await;
        assert!(quiet.is_err(), "it is not reset before something is said: {quiet:?}");
        let begin = Instant::now();
        stream.write_all(b"reset toxic payload\n").await.unwrap();
        let error = soon(stream.read(&mut [0; 1000])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(begin.elapsed() >= Duration::from_millis(timeout), "{:?}", begin.elapsed());
        assert_eq!(soon(stream.read(&mut [0; 1000])).await.unwrap(), 0, "then it is at its end");
    }
    before.write_all(b"live\n").await.unwrap();
    assert_eq!(soon(before.read(&mut [0; 8])).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    server.ok("DELETE", &format!("/proxies/test/toxics/reset_peer_{stream}"), Value::Null).await;
    live_line(listen).await;
}

async fn live_line(listen: SocketAddr) -> TcpStream {
    let mut stream = connect(listen).await;
    ping(&mut stream, b"hello\n").await.unwrap();
    stream
}

/// `TestResetToxicZeroToxicity`.
#[tokio::test]
async fn a_peer_is_not_reset_without_toxicity_and_loses_nothing_when_the_toxic_goes() {
    let (server, (echo, _heard)) = (Server::start().await, line_echo().await);
    let listen = server.proxy("test", echo).await;
    let toxic = |timeout: u64, toxicity: f64| json!({"name": "reset", "type": "reset_peer", "toxicity": toxicity, "attributes": {"timeout": timeout}});
    server.ok("POST", "/proxies/test/toxics", toxic(0, 0.0)).await;
    live_line(listen).await;
    server.ok("DELETE", "/proxies/test/toxics/reset", Value::Null).await;
    server.ok("POST", "/proxies/test/toxics", toxic(3_600_000, 1.0)).await;
    let mut stream = connect(listen).await;
    stream.write_all(b"held\n").await.unwrap();
    let quiet = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut [0])).await;
    assert!(quiet.is_err(), "{quiet:?}");
    server.ok("DELETE", "/proxies/test/toxics/reset", Value::Null).await;
    let mut answer = [0; 5];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"held\n");
}

/// `TestUpstreamLatency`, `TestDownstreamLatency`, `TestFullstreamLatencyEven`, `TestFullstreamLatencyBiasUp`,
/// `TestFullstreamLatencyBiasDown`, `TestZeroLatency`: two rounds of 32 KiB each.
#[rstest]
#[case(Some(100), None)]
#[case(None, Some(100))]
#[case(Some(100), Some(100))]
#[case(Some(400), Some(100))]
#[case(Some(100), Some(400))]
#[case(Some(0), Some(0))]
#[tokio::test]
async fn latency_is_what_was_asked_for_each_way(#[case] up: Option<u64>, #[case] down: Option<u64>) {
    let (server, (echo, mut heard)) = (Server::start().await, line_echo().await);
    let listen = server.proxy("test", echo).await;
    let mut stream = tokio::io::BufReader::new(live_line(listen).await);
    soon(heard.recv()).await.unwrap();
    for (direction, latency) in [("upstream", up), ("downstream", down)] {
        if let Some(latency) = latency {
            server.toxic("test", "latency", direction, json!({"latency": latency})).await;
        }
    }
    let message = [b"hello world ".as_slice(), &[b'a'; 32 << 10], b"\n"].concat();
    for round in 0..2 {
        let begin = Instant::now();
        stream.get_mut().write_all(&message).await.unwrap();
        let (arrived, line) = soon(heard.recv()).await.unwrap();
        assert!(line == message);
        let mut answer = Vec::new();
        soon(stream.read_until(b'\n', &mut answer)).await.unwrap();
        assert!(answer == message);
        let took = [arrived - begin, arrived.elapsed()].map(|took| took.as_millis() as u64);
        println!("round {round}: {took:?} ms of {up:?} up and {down:?} down");
        for (took, latency) in took.into_iter().zip([up, down].map(Option::unwrap_or_default)) {
            assert!((latency..latency + 250).contains(&took), "{took} ms of {latency}");
        }
    }
}

/// `TestTwoLatencyToxics`.
#[tokio::test]
async fn two_latencies_add_up() {
    let (server, (echo, mut heard)) = (Server::start().await, line_echo().await);
    let listen = server.proxy("test", echo).await;
    for name in ["one", "two"] {
        let toxic = json!({"name": name, "type": "latency", "stream": "upstream", "attributes": {"latency": 100}});
        server.ok("POST", "/proxies/test/toxics", toxic).await;
    }
    let begin = Instant::now();
    connect(listen).await.write_all(b"hello\n").await.unwrap();
    let (arrived, _) = soon(heard.recv()).await.unwrap();
    let took = (arrived - begin).as_millis();
    assert!((200..450).contains(&took), "{took} ms");
}

/// `TestLatencyToxicBandwidth`: a latency is no limit of the rate.
#[tokio::test]
async fn a_latency_keeps_the_rate() {
    let endless = upstream(|mut stream| async move { while stream.write_all(&[b'x'; 12_000]).await.is_ok() {} }).await;
    let server = Server::start().await;
    let listen = server.proxy("test", endless).await;
    let mut stream = connect(listen).await;
    server.toxic("test", "latency", "downstream", json!({"latency": 100})).await;
    soon(stream.read_exact(&mut [0; 12_000])).await.unwrap();
    let begin = Instant::now();
    let mut payload = vec![0; 100 * 12_000];
    soon(stream.read_exact(&mut payload)).await.unwrap();
    println!("1.2 MB in {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
}

/// `TestPersistentConnections`, `TestToxicAddRemove`, `TestLatencyToxicCloseRace`.
#[tokio::test]
async fn toxics_come_and_go_on_a_live_connection() {
    let (server, (echo, _heard)) = (Server::start().await, line_echo().await);
    let listen = server.proxy("test", echo).await;
    let mut stream = live_line(listen).await;
    for stream in ["upstream", "downstream"] {
        server.toxic("test", "noop", stream, Value::Null).await;
    }
    ping(&mut stream, b"hello world\n").await.unwrap();
    let listed = server.ok("GET", "/proxies/test/toxics/noop_upstream", Value::Null).await;
    assert_eq!(listed["attributes"], json!({}));
    server.ok("POST", "/reset", Value::Null).await;
    for _ in 0..50 {
        server.toxic("test", "noop", "upstream", json!({})).await;
        ping(&mut stream, b"hello world\n").await.unwrap();
        server.ok("DELETE", "/proxies/test/toxics/noop_upstream", Value::Null).await;
        server.toxic("test", "latency", "upstream", json!({"latency": 10})).await;
        connect(listen).await.write_all(b"hello").await.unwrap();
        server.ok("DELETE", "/proxies/test/toxics/latency_upstream", Value::Null).await;
    }
    ping(&mut stream, b"hello world\n").await.unwrap();
}

/// `TestProxyToDownUpstream`: accepted, and closed at once.
#[tokio::test]
async fn an_upstream_that_is_down_closes_every_connection() {
    let server = Server::start().await;
    let vacant = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listen = server.proxy("test", vacant).await;
    for _ in 0..5 {
        let mut stream = connect(listen).await;
        assert_eq!(soon(stream.read(&mut [0])).await.unwrap(), 0);
    }
}

/// Disabling and deleting close connections; they do not reset them.
#[rstest]
#[case("PATCH", json!({"enabled": false}))]
#[case("DELETE", Value::Null)]
#[case("PATCH", json!({"listen": "127.0.0.1:0"}))]
#[tokio::test]
async fn a_proxy_that_stops_closes_its_connections(#[case] method: &str, #[case] body: Value) {
    let (server, (echo, _heard)) = (Server::start().await, line_echo().await);
    let listen = server.proxy("test", echo).await;
    let mut stream = live_line(listen).await;
    server.ok(method, "/proxies/test", body).await;
    assert_eq!(soon(stream.read(&mut [0])).await.unwrap(), 0);
}

/// What toxiproxy takes, and what it does then.
#[rstest]
#[case("latency", json!({"latency": -100}), true)]
#[case("latency", json!({"latency": 0, "jitter": -5}), true)]
#[case("latency", json!({"latency": 7_200_000, "jitter": 9_000_000_000_i64}), false)]
#[case("slow_close", json!({"delay": -1}), true)]
#[case("timeout", json!({"timeout": -1}), false)]
#[case("limit_data", json!({"bytes": -1}), false)]
#[case("bandwidth", json!({"rate": 9_000_000_000_000_i64}), true)]
#[case("slicer", json!({"average_size": 4, "size_variation": 4, "delay": 10}), true)]
#[case("slicer", json!({"average_size": 4, "size_variation": 400, "delay": -10}), true)]
#[case("slicer", json!({"average_size": 9_000_000_000_i64}), true)]
#[tokio::test]
async fn odd_numbers_are_taken(#[case] kind: &str, #[case] attributes: Value, #[case] passes: bool) {
    let (server, (echo, _heard)) = (Server::start().await, line_echo().await);
    let listen = server.proxy("test", echo).await;
    server.toxic("test", kind, "downstream", attributes.clone()).await;
    let told = server.ok("GET", &format!("/proxies/test/toxics/{kind}_downstream"), Value::Null).await;
    for (name, value) in attributes.as_object().unwrap() {
        assert_eq!(&told["attributes"][name], value, "it is told as it was asked for");
    }
    let mut stream = connect(listen).await;
    let answer = tokio::time::timeout(Duration::from_millis(if passes { 20_000 } else { 100 }), async {
        stream.write_all(b"hello world\n").await?;
        stream.read_exact(&mut [0; 12]).await
    });
    assert_eq!(answer.await.is_ok_and(|read| read.is_ok()), passes);
}
