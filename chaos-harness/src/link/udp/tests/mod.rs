//! Real sockets on the loopback interface; every wait is bounded, and few datagrams are on their way at a time, since the
//! kernel drops what does not fit into a socket.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::toxic::*;
use super::*;
use crate::link::Direction;

mod intact;
mod plain;
mod spec;
mod statistics;
mod timing;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Bounds a wait.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it should have happened within 20 s")
}

/// Waits until `condition` holds.
async fn until(mut condition: impl FnMut() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    })
    .await;
}

/// Who sent what.
type Received = (SocketAddr, Vec<u8>);

/// A callee that keeps what it gets, with the sender, and sends it back; it ends when dropped.
struct Callee {
    addr: SocketAddr,
    got: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Callee {
    async fn start() -> Self {
        Self::start_at(SocketAddr::new(LOCAL, 0)).await
    }

    async fn start_at(addr: SocketAddr) -> Self {
        let socket = UdpSocket::bind(addr).await.unwrap();
        let (addr, got) = (socket.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&got);
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let Ok((n, from)) = socket.recv_from(&mut buffer).await else { continue };
                kept.lock().unwrap().push((from, buffer[..n].to_vec()));
                let _ = socket.send_to(&buffer[..n], from).await;
            }
        });
        Self { addr, got, task }
    }

    fn got(&self) -> Vec<Vec<u8>> {
        self.got.lock().unwrap().iter().map(|(_, data)| data.clone()).collect()
    }

    /// The ports from which it was spoken to, in order, each once in a row.
    fn ports(&self) -> Vec<u16> {
        let mut ports: Vec<_> = self.got.lock().unwrap().iter().map(|(from, _)| from.port()).collect();
        ports.dedup();
        ports
    }

    async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Callee {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn link_to(callee: &Callee) -> UdpLink {
    let link = UdpLink::bind(LOCAL, 7).unwrap();
    link.set_upstream(Some(callee.addr));
    link
}

/// A caller of the link.
async fn caller(link: &UdpLink) -> UdpSocket {
    let socket = UdpSocket::bind((LOCAL, 0)).await.unwrap();
    socket.connect(link.addr()).await.unwrap();
    socket
}

async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 16];
    let n = soon(socket.recv(&mut buffer)).await.unwrap();
    buffer.truncate(n);
    buffer
}

async fn ask(socket: &UdpSocket, data: &[u8]) -> Vec<u8> {
    socket.send(data).await.unwrap();
    receive(socket).await
}

async fn assert_silent(socket: &UdpSocket, duration: Duration) {
    let read = tokio::time::timeout(duration, socket.recv(&mut [0; 64])).await;
    assert!(read.is_err(), "nothing should have arrived: {read:?}");
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn up(spec: impl Into<UdpToxicSpec>) -> UdpToxic {
    UdpToxic::new(spec).direction(Direction::Up)
}

fn number(data: &[u8]) -> u32 {
    u32::from_le_bytes(data.try_into().unwrap())
}

/// Sends the numbers below `count`, a few at a time, and waits until the link is done with each, one way or another.
async fn send_numbers(link: &UdpLink, socket: &UdpSocket, count: u32) {
    let done = || {
        let now = link.counters();
        now.datagrams_up + now.dropped + now.overflowed - now.duplicated
    };
    let before = done();
    for n in 0..count {
        socket.send(&n.to_le_bytes()).await.unwrap();
        if n % 32 == 31 || n + 1 == count {
            until(|| done() - before == u64::from(n) + 1).await;
        }
    }
}
