//! How exactly a link keeps to a bandwidth: bytes that arrived in 5 s against the bytes that should have.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chaos_harness::link::toxic::Bandwidth;
use chaos_harness::link::{Direction, LinkProxy, Toxic};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const WINDOW: Duration = Duration::from_secs(5);
/// Until all connections are up and have something to send.
const WARM_UP: Duration = Duration::from_secs(1);

/// One rate, measured.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Bytes per second asked for: of each connection, or of all when shared.
    pub rate: u64,
    /// Connections that send as fast as they may.
    pub connections: usize,
    /// Whether they share the rate.
    pub shared: bool,
    /// Bytes per second that arrived: the connection furthest from the rate, or the sum when shared.
    pub measured: f64,
    /// How far that is from the rate: 0.01 is one percent too fast.
    pub error: f64,
    /// What the slowest connection got of the mean.
    pub fairness: f64,
}

/// 0.1, 1, 10 and 100 MB/s: one connection, four with the rate each, four and twenty that share it.
pub fn run() -> Vec<Row> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut rows = Vec::new();
    for rate in [100_000, 1_000_000, 10_000_000, 100_000_000] {
        for (connections, shared) in [(1, false), (4, false), (4, true), (20, true)] {
            rows.push(runtime.block_on(measure(rate, connections, shared)));
        }
    }
    rows
}

async fn measure(rate: u64, connections: usize, shared: bool) -> Row {
    let (addr, arrived) = sink(connections).await;
    let link = LinkProxy::bind(LOCAL, 1).expect("a free port");
    link.set_upstream(Some(addr));
    let toxic = Toxic::new(Bandwidth { rate, shared }).direction(Direction::Up);
    link.toxics().add("bandwidth", toxic).expect("a good rate");
    let senders: Vec<_> = (0..connections).map(|_| tokio::spawn(pour(link.addr()))).collect();
    tokio::time::sleep(WARM_UP).await;
    let read = || arrived.iter().map(|bytes| bytes.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let (start, before) = (Instant::now(), read());
    tokio::time::sleep(WINDOW).await;
    let (seconds, after) = (start.elapsed().as_secs_f64(), read());
    senders.iter().for_each(tokio::task::JoinHandle::abort);
    link.shutdown().await;
    let rates: Vec<f64> = after.iter().zip(before).map(|(after, before)| (after - before) as f64 / seconds).collect();
    row(rate, shared, &rates)
}

fn row(rate: u64, shared: bool, rates: &[f64]) -> Row {
    let sum: f64 = rates.iter().sum();
    let error = |measured: f64| measured / rate as f64 - 1.0;
    let furthest = rates.iter().copied().max_by(|a, b| error(*a).abs().total_cmp(&error(*b).abs()));
    let measured = if shared { sum } else { furthest.unwrap_or_default() };
    let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let fairness = slowest * rates.len() as f64 / sum;
    Row { rate, connections: rates.len(), shared, measured, error: error(measured), fairness }
}

/// Sends as fast as it may.
async fn pour(addr: SocketAddr) {
    let mut stream = TcpStream::connect(addr).await.expect("the link listens");
    let chunk = vec![7; 64 << 10];
    while stream.write_all(&chunk).await.is_ok() {}
}

/// Reads all, and counts it by connection.
async fn sink(connections: usize) -> (SocketAddr, Vec<Arc<AtomicU64>>) {
    let listener = TcpListener::bind((LOCAL, 0)).await.expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let arrived: Vec<Arc<AtomicU64>> = (0..connections).map(|_| Arc::default()).collect();
    let counters = arrived.clone();
    tokio::spawn(async move {
        for counter in counters {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            tokio::spawn(async move {
                let mut buffer = vec![0; 256 << 10];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    counter.fetch_add(n as u64, Ordering::Relaxed);
                }
            });
        }
    });
    (addr, arrived)
}
