//! Real sockets on the loopback interface; every wait is bounded.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

mod absence;
mod bulk;
mod connections;
mod decisions;
mod ends;
mod faults;
mod http;
mod intact;
mod latency;
mod live;
mod place;
mod plain;
mod profiles;
mod selections;
mod shapes;
mod spec;
mod urgent;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Bounds a wait.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it should have happened within 20 s")
}

/// Keeps tests that measure time from disturbing each other.
static QUIET: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The lower quartile: other work on the machine only adds time, so this tells of the link, and the rest of the machine.
fn quartile(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() / 4]
}

/// Waits until `condition` holds.
async fn until(mut condition: impl FnMut() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A server that treats each connection with `serve`; it ends when dropped.
struct Server {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    async fn start<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self {
        let listener = TcpListener::bind((LOCAL, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream));
            }
        });
        Self { addr, task }
    }

    /// Sends back what it gets, and ends when the caller ends.
    async fn echo() -> Self {
        Self::start(|mut stream| async move {
            let (mut read, mut write) = stream.split();
            if tokio::io::copy(&mut read, &mut write).await.is_ok() {
                let _ = write.shutdown().await;
            }
        })
        .await
    }

    /// Reads all and throws it away.
    async fn sink() -> Self {
        Self::start(|mut stream| async move {
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        })
        .await
    }

    /// Sends its name and waits for the end.
    async fn named(name: &'static [u8]) -> Self {
        Self::start(move |mut stream| async move {
            let _ = stream.write_all(name).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn link_to(server: &Server) -> LinkProxy {
    let link = LinkProxy::bind(LOCAL, 7).unwrap();
    link.set_upstream(Some(server.addr));
    link
}

async fn connect(link: &LinkProxy) -> TcpStream {
    let stream = soon(TcpStream::connect(link.addr())).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends `data` and reads as many bytes back.
async fn ping(stream: &mut TcpStream, data: &[u8]) -> Vec<u8> {
    soon(async {
        stream.write_all(data).await.unwrap();
        let mut answer = vec![0; data.len()];
        stream.read_exact(&mut answer).await.unwrap();
        answer
    })
    .await
}

/// A connection that is known to be open all the way.
async fn live(link: &LinkProxy) -> TcpStream {
    let mut stream = connect(link).await;
    assert_eq!(ping(&mut stream, b"hello").await, b"hello");
    stream
}

async fn assert_reset(stream: &mut TcpStream) {
    let error = soon(stream.read(&mut [0; 64])).await.expect_err("the connection should have been reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

async fn assert_silent(stream: &mut TcpStream, duration: Duration) {
    let read = tokio::time::timeout(duration, stream.read(&mut [0; 64])).await;
    assert!(read.is_err(), "nothing should have arrived: {read:?}");
}

fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ChaCha8Rng::seed_from_u64(seed).fill(&mut bytes[..]);
    bytes
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn latency(duration: Duration) -> Toxic {
    Toxic::new(toxic::Latency::new(duration))
}

fn black_hole() -> Toxic {
    Toxic::new(toxic::BlackHole::default())
}

fn refuse() -> Toxic {
    Toxic::new(toxic::Refuse {})
}

fn reset() -> Toxic {
    Toxic::new(toxic::Reset::default())
}
