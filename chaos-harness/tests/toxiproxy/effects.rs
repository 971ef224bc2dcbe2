//! What the toxics do to connections, measured.

use std::time::Instant;

use super::*;

const KIB: usize = 1024;

/// Round trips of a new connection, one by one.
async fn round_trips(listen: SocketAddr, count: usize) -> Vec<Duration> {
    let mut stream = connect(listen).await;
    let mut times = Vec::new();
    for _ in 0..count {
        let begin = Instant::now();
        ping(&mut stream, b"ping").await.unwrap();
        times.push(begin.elapsed());
    }
    times
}

#[tokio::test]
async fn latency_is_added_each_way_and_can_be_changed() {
    let (server, echo) = (Server::start().await, echo().await);
    let listen = server.proxy("web", echo).await;
    server.toxic("web", "latency", "downstream", json!({"latency": 30})).await;
    server.toxic("web", "latency", "upstream", json!({"latency": 250})).await;
    let time = quartile(round_trips(listen, 5).await);
    println!("30 ms down and 250 ms up: {time:?}");
    assert!((280..1000).contains(&time.as_millis()), "{time:?}");
    server.ok("PATCH", "/proxies/web/toxics/latency_upstream", json!({"attributes": {"latency": 0}})).await;
    let time = quartile(round_trips(listen, 12).await);
    println!("30 ms down: {time:?}");
    assert!((30..250).contains(&time.as_millis()), "{time:?}");
}

#[tokio::test]
async fn jitter_may_exceed_the_latency() {
    let (server, echo) = (Server::start().await, echo().await);
    let listen = server.proxy("web", echo).await;
    server.toxic("web", "latency", "downstream", json!({"latency": 0, "jitter": 40})).await;
    let times = round_trips(listen, 40).await;
    let (least, most) = (times.iter().min().unwrap().as_millis(), times.iter().max().unwrap().as_millis());
    println!("0 +/- 40 ms: {least} to {most} ms");
    assert!(least < 30 && most >= 20, "{times:?}");
}

#[tokio::test]
async fn a_timeout_swallows_and_closes_and_closes_too_when_it_goes() {
    let (server, echo) = (Server::start().await, echo().await);
    let listen = server.proxy("web", echo).await;
    let mut before = live(listen).await;
    server.toxic("web", "timeout", "downstream", json!({"timeout": 200})).await;
    let begin = Instant::now();
    before.write_all(b"hello").await.unwrap();
    assert_eq!(end_of(&mut before).await, 0, "nothing comes back");
    println!("closed after {:?} (200 ms)", begin.elapsed());
    assert!(begin.elapsed() >= Duration::from_millis(150));

    server.ok("PATCH", "/proxies/web/toxics/timeout_downstream", json!({"attributes": {"timeout": 0}})).await;
    let mut silent = connect(listen).await;
    silent.write_all(b"hello").await.unwrap();
    let quiet = tokio::time::timeout(Duration::from_millis(300), silent.read(&mut [0])).await;
    assert!(quiet.is_err(), "without a timeout it stays open: {quiet:?}");
    server.ok("DELETE", "/proxies/web/toxics/timeout_downstream", Value::Null).await;
    assert_eq!(end_of(&mut silent).await, 0, "what has lost bytes does not go on");
    live(listen).await;
}

#[tokio::test]
async fn a_peer_is_reset_after_a_while() {
    let (server, echo) = (Server::start().await, echo().await);
    let listen = server.proxy("web", echo).await;
    server.toxic("web", "reset_peer", "downstream", json!({"timeout": 200})).await;
    let (begin, mut stream) = (Instant::now(), connect(listen).await);
    stream.write_all(b"hello").await.unwrap();
    let error = soon(stream.read(&mut [0])).await.unwrap_err();
    println!("reset after {:?} (200 ms)", begin.elapsed());
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(begin.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_close_is_delayed() {
    let goodbye = upstream(|mut stream| async move {
        let _ = stream.write_all(b"bye").await;
    })
    .await;
    let server = Server::start().await;
    let listen = server.proxy("web", goodbye).await;
    server.toxic("web", "slow_close", "downstream", json!({"delay": 200})).await;
    let mut stream = connect(listen).await;
    soon(stream.read_exact(&mut [0; 3])).await.unwrap();
    let begin = Instant::now();
    assert_eq!(end_of(&mut stream).await, 0);
    println!("closed after {:?} (200 ms)", begin.elapsed());
    assert!((150..1500).contains(&begin.elapsed().as_millis()));
}

#[tokio::test]
async fn a_connection_ends_after_so_many_bytes() {
    let (server, echo) = (Server::start().await, echo().await);
    let listen = server.proxy("web", echo).await;
    server.toxic("web", "limit_data", "downstream", json!({"bytes": 1000})).await;
    for _ in 0..5 {
        let mut stream = connect(listen).await;
        stream.write_all(&[7; 1500]).await.unwrap();
        assert_eq!(end_of(&mut stream).await, 1000);
    }
}

/// Sends 60 kB on a connection that is known to be open.
async fn source() -> SocketAddr {
    upstream(|mut stream| async move {
        let _ = stream.read(&mut [0]).await;
        let _ = stream.write_all(&[7; 60_000]).await;
    })
    .await
}

#[tokio::test]
async fn a_bandwidth_is_kept() {
    let server = Server::start().await;
    let listen = server.proxy("web", source().await).await;
    let mut times = Vec::new();
    for rate in [100, 1000] {
        let toxic = json!({"type": "bandwidth", "attributes": {"rate": rate}});
        server.ok("POST", "/proxies/web/toxics", toxic).await;
        let mut stream = connect(listen).await;
        let begin = Instant::now();
        stream.write_all(b"!").await.unwrap();
        assert_eq!(end_of(&mut stream).await, 60_000);
        let time = begin.elapsed();
        println!("60 kB at {rate} kB/s: {time:?} ({} ms)", 60_000 / rate);
        assert!(time.as_millis() >= 50_000 / rate, "{time:?}");
        times.push(time);
        server.ok("DELETE", "/proxies/web/toxics/bandwidth_downstream", Value::Null).await;
    }
    assert!(times[1] < times[0], "{times:?}");
}

#[tokio::test]
async fn no_bandwidth_lets_nothing_through_until_it_goes() {
    let (server, echo) = (Server::start().await, echo().await);
    let listen = server.proxy("web", echo).await;
    let mut stream = live(listen).await;
    server.toxic("web", "bandwidth", "downstream", json!({})).await;
    stream.write_all(b"hello").await.unwrap();
    let quiet = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut [0])).await;
    assert!(quiet.is_err(), "{quiet:?}");
    server.ok("DELETE", "/proxies/web/toxics/bandwidth_downstream", Value::Null).await;
    soon(stream.read_exact(&mut [0; 5])).await.unwrap();
}

#[tokio::test]
async fn the_stream_arrives_in_slices() {
    let server = Server::start().await;
    let listen = server.proxy("web", source().await).await;
    server
        .toxic("web", "slicer", "downstream", json!({"average_size": 2000, "size_variation": 500, "delay": 5000}))
        .await;
    let mut stream = connect(listen).await;
    stream.write_all(b"!").await.unwrap();
    let (mut sizes, mut buffer) = (Vec::new(), [0; 60_000]);
    let begin = Instant::now();
    while let Ok(n @ 1..) = soon(stream.read(&mut buffer)).await {
        sizes.push(n);
    }
    println!("{} reads of {:?} bytes in {:?}", sizes.len(), quartile_of(&sizes), begin.elapsed());
    assert_eq!(sizes.iter().sum::<usize>(), 60_000);
    assert!((10..=40).contains(&sizes.len()), "{sizes:?}");
    assert!((1500..=2500).contains(&quartile_of(&sizes)), "{sizes:?}");
    assert!(begin.elapsed() >= Duration::from_millis(100), "24 slices or more, 5 ms apart");
}

fn quartile_of(sizes: &[usize]) -> usize {
    let mut sorted = sizes.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 4]
}

/// Which of 40 connections a toxicity of a half affects.
async fn hits(server: &Server, listen: SocketAddr) -> Vec<bool> {
    let mut hits = Vec::new();
    for _ in 0..40 {
        hits.push(ping(&mut connect(listen).await, b"hello").await.is_err());
    }
    server.ok("POST", "/reset", Value::Null).await;
    hits
}

#[tokio::test]
async fn toxicity_is_a_share_of_the_connections_and_the_seed_decides_which() {
    let echo = echo().await;
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let server = Server::seeded(seed).await;
        let listen = server.proxy("web", echo).await;
        let toxic = json!({"type": "limit_data", "toxicity": 0.5, "attributes": {"bytes": 0}});
        server.ok("POST", "/proxies/web/toxics", toxic).await;
        runs.push(hits(&server, listen).await);
        server.stop().await;
    }
    println!("hit: {:?}", runs.iter().map(|run| run.iter().filter(|hit| **hit).count()).collect::<Vec<_>>());
    assert_eq!(runs[0], runs[1], "the same seed, the same connections");
    assert_ne!(runs[0], runs[2]);
    assert!(runs.iter().all(|run| (8..=32).contains(&run.iter().filter(|hit| **hit).count())));
}

#[tokio::test]
async fn an_upstream_has_a_name_and_may_come_late() {
    let server = Server::start().await;
    let callee = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, name) = (callee.local_addr().unwrap(), format!("localhost:{}", callee.local_addr().unwrap().port()));
    drop(callee);
    let made = server.ok("POST", "/proxies", json!({"name": "web", "upstream": name})).await;
    assert_eq!(made["upstream"], json!(name), "the name stays a name");
    let listen: SocketAddr = made["listen"].as_str().unwrap().parse().unwrap();
    assert!(listen.ip().is_loopback(), "without a host it is loopback: {listen}");
    assert_eq!(end_of(&mut connect(listen).await).await, 0, "nobody is there");
    let callee = TcpListener::bind(addr).await.unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = callee.accept().await.unwrap();
        stream.write_all(b"late").await.unwrap();
    });
    assert_eq!(end_of(&mut connect(listen).await).await, 4);
}

#[tokio::test]
async fn a_plain_proxy_changes_nothing() {
    let (server, echo) = (Server::start().await, echo().await);
    let mut stream = live(server.proxy("web", echo).await).await;
    let data: Vec<u8> = (0..256 * KIB).map(|i| (i % 251) as u8).collect();
    ping(&mut stream, &data).await.unwrap();
    server.stop().await;
    assert_eq!(end_of(&mut stream).await, 0, "what ends takes its connections along");
}
