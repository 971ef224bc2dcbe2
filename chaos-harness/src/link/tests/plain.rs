//! The link without a toxic: transparent.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_data_passes_both_ways() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let data = random_bytes(1, 5_000_000);
    let (mut read, mut write) = connect(&link).await.into_split();
    let sent = data.clone();
    let writer = tokio::spawn(async move {
        for chunk in sent.chunks(33_333) {
            write.write_all(chunk).await.unwrap();
        }
        write.shutdown().await.unwrap();
        write
    });
    let mut received = Vec::new();
    soon(read.read_to_end(&mut received)).await.unwrap();
    writer.await.unwrap();
    assert!(received == data);
    let counters = link.counters();
    assert_eq!((counters.accepted, counters.bytes_up, counters.bytes_down), (1, 5_000_000, 5_000_000));
    until(|| link.counters().active == 0).await;
    assert_eq!(link.counters().aborted, 0, "an orderly end is no abort");
}

#[tokio::test]
async fn half_close_ends_one_way_only() {
    let server = Server::start(|mut stream| async move {
        let mut request = Vec::new();
        stream.read_to_end(&mut request).await.unwrap();
        stream.write_all(b"you said: ").await.unwrap();
        stream.write_all(&request).await.unwrap();
    })
    .await;
    let link = link_to(&server);
    let mut stream = connect(&link).await;
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "you said: hello");
}

#[tokio::test]
async fn the_callee_may_end_first() {
    let (said, heard) = tokio::sync::oneshot::channel();
    let said = parking_lot::Mutex::new(Some(said));
    let server = Server::start(move |mut stream| {
        let said = said.lock().take().unwrap();
        async move {
            stream.shutdown().await.unwrap();
            let mut request = Vec::new();
            stream.read_to_end(&mut request).await.unwrap();
            said.send(request).unwrap();
        }
    })
    .await;
    let link = link_to(&server);
    let mut stream = connect(&link).await;
    assert_eq!(soon(stream.read(&mut [0; 8])).await.unwrap(), 0);
    stream.write_all(b"still talking").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(soon(heard).await.unwrap(), b"still talking");
}

#[tokio::test]
async fn a_reset_crosses_the_link_both_ways() {
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let said = said.clone();
        async move {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            if byte == *b"r" {
                stream.set_zero_linger().unwrap();
            } else {
                said.send(stream.read(&mut [0; 64]).await.map_err(|error| error.kind())).unwrap();
            }
        }
    })
    .await;
    let link = link_to(&server);

    let mut stream = connect(&link).await;
    stream.write_all(b"r").await.unwrap();
    assert_reset(&mut stream).await;

    let mut stream = connect(&link).await;
    stream.write_all(b"x").await.unwrap();
    until(|| link.counters().bytes_up == 2).await;
    stream.set_zero_linger().unwrap();
    drop(stream);
    assert_eq!(soon(heard.recv()).await.unwrap(), Err(ErrorKind::ConnectionReset));
    until(|| link.counters().active == 0).await;
    assert_eq!(link.counters().aborted, 2);
}

#[tokio::test]
async fn a_reset_after_a_half_close_crosses_too() {
    let ended = Arc::new(AtomicBool::new(false));
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let seen = Arc::clone(&ended);
    let server = Server::start(move |mut stream| {
        let (said, seen) = (said.clone(), Arc::clone(&seen));
        async move {
            stream.read_to_end(&mut Vec::new()).await.unwrap();
            seen.store(true, Ordering::SeqCst);
            stream.ready(tokio::io::Interest::ERROR).await.unwrap();
            said.send(stream.take_error().unwrap().unwrap().kind()).unwrap();
        }
    })
    .await;
    let link = link_to(&server);
    let mut stream = connect(&link).await;
    stream.shutdown().await.unwrap();
    until(|| ended.load(Ordering::SeqCst)).await;
    stream.set_zero_linger().unwrap();
    drop(stream);
    let kind = soon(heard.recv()).await.unwrap();
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
}

#[tokio::test]
async fn new_connections_follow_the_callee() {
    let (first, second) = (Server::named(b"first.").await, Server::named(b"second").await);
    let link = link_to(&first);
    let addr = link.addr();
    let name = async |stream: &mut TcpStream| {
        let mut name = [0; 6];
        soon(stream.read_exact(&mut name)).await.unwrap();
        name
    };
    let mut old = connect(&link).await;
    assert_eq!(&name(&mut old).await, b"first.");
    link.set_upstream(Some(second.addr));
    let mut new = connect(&link).await;
    assert_eq!(&name(&mut new).await, b"second");
    assert_eq!(link.addr(), addr);
    assert_eq!(link.counters().active, 2, "the old connection lives on");
}

#[test]
fn every_interface_is_refused() {
    for addr in ["0.0.0.0", "::"] {
        let error = LinkProxy::bind(addr.parse().unwrap(), 7).err().unwrap();
        assert!(matches!(error, LinkError::Unspecified(_)), "{error}");
    }
}

#[test]
fn no_runtime_and_foreign_addresses_are_errors() {
    assert!(matches!(LinkProxy::bind(LOCAL, 7), Err(LinkError::NoRuntime)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _runtime = runtime.enter();
    assert!(matches!(LinkProxy::bind("192.0.2.1".parse().unwrap(), 7), Err(LinkError::Bind { .. })));
}

#[tokio::test]
async fn only_the_address_asked_for_is_bound() {
    let link = LinkProxy::bind("127.0.0.9".parse().unwrap(), 7).unwrap();
    assert_eq!(link.addr().ip().to_string(), "127.0.0.9");
    let other = TcpStream::connect((LOCAL, link.addr().port())).await;
    assert_eq!(other.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_leaves_no_connection_and_no_descriptor() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut streams = Vec::new();
    for _ in 0..200 {
        streams.push(live(&link).await);
    }
    assert_eq!(link.counters().active, 200);
    let sockets = sockets_of(&link, &server);
    assert_eq!((sockets.len(), open(&sockets)), (401, 402), "the listener, open twice, and two for each connection");
    let toxics = link.toxics();
    toxics.add("hole", black_hole()).unwrap();
    soon(link.shutdown()).await;
    assert_eq!(open(&sockets), 0);
    for stream in &mut streams {
        assert_reset(stream).await;
    }
    assert!(matches!(toxics.add("late", latency(ms(1))), Err(LinkError::Closed(_))));
    until(|| Arc::strong_count(&toxics.link) == 1).await;
}

#[tokio::test]
async fn a_dropped_link_lets_go_too() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut stream = live(&link).await;
    let sockets = sockets_of(&link, &server);
    assert_eq!((sockets.len(), open(&sockets)), (3, 4));
    drop(link);
    assert_reset(&mut stream).await;
    until(|| open(&sockets) == 0).await;
}

/// Names of the sockets that the link owns: those bound to its address, and those connected to the callee.
///
/// Other tests run in the same process, so its descriptors cannot simply be counted.
fn sockets_of(link: &LinkProxy, server: &Server) -> HashSet<PathBuf> {
    let hex = |addr: SocketAddr| format!("0100007F:{:04X}", addr.port());
    let (link, server) = (hex(link.addr()), hex(server.addr));
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    // A connection that has ended lingers without a socket, and its port may have come to another link.
    let owned = rows.filter(|row| (row[1] == link || row[2] == server) && row[9] != "0");
    owned.map(|row| PathBuf::from(format!("socket:[{}]", row[9]))).collect()
}

/// How many of `sockets` this process holds open.
fn open(sockets: &HashSet<PathBuf>) -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    descriptors.filter_map(|entry| std::fs::read_link(entry.path()).ok()).filter(|name| sockets.contains(name)).count()
}
