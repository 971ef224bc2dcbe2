//! Who calls and who answers: bare sockets, so that the proxy between them is what costs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::net::{RecvFlags, recv};

use super::contender::Running;
use super::cpu;

/// Bytes of a request, and of its answer.
const MESSAGE: usize = 64;

/// The callee's socket, to start proxies in front of.
pub struct Callee(TcpListener);

impl Callee {
    pub fn new() -> Self {
        cpu::pin(cpu::PEERS);
        Self(TcpListener::bind(("127.0.0.1", 0)).unwrap())
    }

    pub fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// A connection through `proxy`, seen from both ends.
    pub fn connect(&self, proxy: &Running) -> (TcpStream, TcpStream) {
        let mut caller = TcpStream::connect(proxy.addr).unwrap();
        caller.write_all(b"?").unwrap();
        loop {
            let (mut callee, _) = self.0.accept().unwrap();
            // Others have only looked whether the proxy listens.
            if callee.read(&mut [0]).unwrap() == 1 {
                caller.set_nodelay(true).unwrap();
                callee.set_nodelay(true).unwrap();
                return (caller, callee);
            }
        }
    }
}

/// Requests one at a time on each connection; the first fifth of the time does not count.
pub struct Round {
    pub rate: f64,
    pub p99_us: f64,
}

enum Peer {
    Callee(TcpStream),
    Caller(TcpStream, Instant),
}

/// One thread plays both sides on all connections, so that they cost as little as they can.
pub fn ping_pong(callee: &Callee, proxy: &Running, connections: usize, duration: Duration) -> Round {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let mut peers = Vec::new();
    for _ in 0..connections {
        let (caller, callee) = callee.connect(proxy);
        for peer in [Peer::Callee(callee), Peer::Caller(caller, Instant::now())] {
            let (Peer::Callee(stream) | Peer::Caller(stream, _)) = &peer;
            stream.set_nonblocking(true).unwrap();
            epoll::add(&poll, stream, epoll::EventData::new_u64(peers.len() as u64), epoll::EventFlags::IN).unwrap();
            peers.push(peer);
        }
    }
    let mut histogram = Histogram::<u64>::new(3).unwrap();
    let warm = Instant::now() + duration / 5;
    let end = warm + duration;
    for peer in &mut peers {
        if let Peer::Caller(stream, sent) = peer {
            *sent = Instant::now();
            stream.write_all(&[1; MESSAGE]).unwrap();
        }
    }
    let mut events = Vec::with_capacity(1024);
    let mut now = Instant::now();
    while now < end {
        let timeout = Timespec { tv_sec: 5, tv_nsec: 0 };
        epoll::wait(&poll, spare_capacity(&mut events), Some(&timeout)).unwrap();
        assert!(!events.is_empty(), "{} answers nothing", proxy.addr);
        for event in events.drain(..) {
            now = answer(&mut peers[event.data.u64() as usize], now, |latency| {
                if now > warm {
                    histogram.record(latency.as_nanos() as u64).unwrap();
                }
            });
        }
    }
    let p99_us = histogram.value_at_quantile(0.99) as f64 / 1e3;
    Round { rate: histogram.len() as f64 / duration.as_secs_f64(), p99_us }
}

/// Does what a peer that has got a message does next; returns the time.
fn answer(peer: &mut Peer, now: Instant, mut record: impl FnMut(Duration)) -> Instant {
    let mut buffer = [0; 2 * MESSAGE];
    match peer {
        Peer::Callee(stream) => {
            let n = stream.read(&mut buffer).unwrap();
            stream.write_all(&buffer[..n]).unwrap();
            now
        }
        Peer::Caller(stream, sent) => {
            assert_eq!(stream.read(&mut buffer).unwrap(), MESSAGE);
            let now = Instant::now();
            record(now - *sent);
            *sent = now;
            stream.write_all(&buffer[..MESSAGE]).unwrap();
            now
        }
    }
}

/// Round trips one at a time between two threads that wait for each other, in microseconds, in order.
pub fn round_trips(callee: &Callee, proxy: &Running, most: usize, duration: Duration) -> Vec<f64> {
    let (mut caller, mut callee) = callee.connect(proxy);
    let answers = std::thread::spawn(move || {
        let mut message = [0; MESSAGE];
        while callee.read_exact(&mut message).is_ok() {
            callee.write_all(&message).unwrap();
        }
    });
    let mut times = Vec::new();
    let start = Instant::now();
    let mut message = [1; MESSAGE];
    while start.elapsed() < duration && times.len() < most {
        let sent = Instant::now();
        caller.write_all(&message).unwrap();
        caller.read_exact(&mut message).unwrap();
        times.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    drop(caller);
    answers.join().unwrap();
    times.sort_by(f64::total_cmp);
    times
}

/// Sends `bytes` over one connection as fast as they go; how many a second arrived, in MB/s.
pub fn bulk(callee: &Callee, proxy: &Running, bytes: u64) -> f64 {
    let (caller, callee) = callee.connect(proxy);
    let start = Instant::now();
    let source = send(caller, bytes);
    receive(&callee, bytes);
    let seconds = start.elapsed().as_secs_f64();
    source.join().unwrap();
    bytes as f64 / seconds / 1e6
}

fn send(mut stream: TcpStream, bytes: u64) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let chunk = vec![7; 256 << 10];
        let mut left = bytes;
        while left > 0 {
            let n = left.min(chunk.len() as u64);
            stream.write_all(&chunk[..n as usize]).unwrap();
            left -= n;
        }
    })
}

/// The kernel throws the bytes away: to read them here would be the slowest part.
fn receive(stream: &TcpStream, bytes: u64) {
    let mut buffer = vec![0; 1 << 20];
    let mut received = 0;
    while received < bytes {
        let (_, n) = recv(stream, &mut buffer[..], RecvFlags::TRUNC).unwrap();
        assert!(n > 0, "the stream ended after {received} of {bytes} bytes");
        received += n as u64;
    }
}
