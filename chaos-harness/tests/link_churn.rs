//! A thousand toxics come and go on one link while a hundred connections use it: nothing freezes, nothing is lost,
//! nothing is left. A binary of its own, because the descriptors that are counted are those of the whole process.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chaos_harness::link::toxic::{Bandwidth, BlackHole, Latency, Slicer, SlowClose, SlowOpen};
use chaos_harness::link::{Direction, LinkProxy, Profile, Selection, Toxic, Toxics};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

const CYCLES: usize = 1000;
const CONNECTIONS: usize = 100;

/// So many change the link at a time, each as often as the others.
const CHANGERS: usize = 8;

/// What no change may take: it waits for nobody, so that this is the machine's share of the time.
const BOUND: Duration = Duration::from_secs(1);

/// Each connection says something about this often, and each tenth a lot: what is measured is the link, and not how
/// much a machine can echo at all.
const PACE: Duration = Duration::from_millis(5);

/// Bytes that a connection may have under way. Fewer than `PERIOD`, so that a loss of any length shows.
const WINDOW: usize = 64 << 10;

/// After so many bytes the stream repeats itself.
const PERIOD: usize = 1 << 20;

/// Bounds a wait.
async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.unwrap_or_else(|_| panic!("{what}: not within 20 s"))
}

/// Waits until `condition` holds; returns how long it took.
async fn until(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    let holds = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(what, holds).await;
    start.elapsed()
}

/// What the process has open, this look at it included.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// A server that sends back what it gets, and ends when the caller ends.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await.unwrap();
                write.shutdown().await.unwrap();
            });
        }
    });
    addr
}

/// Bytes without a pattern, `PERIOD` of them twice over, so that a period can begin at any of them.
fn noise() -> Arc<[u8]> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let once: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(PERIOD)
    .collect();
    once.iter().chain(&once).copied().collect()
}

/// One of the hundred: sends its own part of the noise without end, and checks every byte that comes back.
struct Talker {
    number: usize,
    noise: Arc<[u8]>,
    stop: Arc<AtomicBool>,
    /// Bytes that have come back.
    echoed: Arc<AtomicU64>,
}

impl Talker {
    /// What goes from byte `at` of its stream on, to the end of the period.
    fn bytes(&self, at: usize) -> &[u8] {
        let begin = self.number * 10_007 + at % PERIOD;
        &self.noise[begin..(self.number * 10_007 + PERIOD)]
    }

    /// Returns how many bytes went there and back.
    async fn run(self, mut stream: TcpStream) -> usize {
        let window = Semaphore::new(WINDOW);
        let (mut read, mut write) = stream.split();
        let writer = async {
            let mut sent = 0;
            while !self.stop.load(Ordering::Relaxed) {
                let bytes = self.bytes(sent);
                let much = if self.number.is_multiple_of(10) { 10 } else { 1 };
                let size = bytes.len().min((500 + self.number * 37) * much);
                window.acquire_many(size as u32).await.unwrap().forget();
                write.write_all(&bytes[..size]).await.unwrap();
                sent += size;
                tokio::time::sleep(PACE).await;
            }
            write.shutdown().await.unwrap();
            sent
        };
        let reader = async {
            let (mut received, mut buffer) = (0, vec![0; 16 << 10]);
            loop {
                let expected = self.bytes(received);
                let most = buffer.len().min(expected.len());
                let n = read.read(&mut buffer[..most]).await.unwrap();
                if n == 0 {
                    return received;
                }
                assert!(buffer[..n] == expected[..n], "connection {}: byte {received} or one of {n}", self.number);
                received += n;
                self.echoed.fetch_add(n as u64, Ordering::Relaxed);
                window.add_permits(n);
            }
        };
        let (sent, received) = tokio::join!(writer, reader);
        assert_eq!(sent, received, "connection {}", self.number);
        received
    }
}

/// A connection that comes, is served and goes; a selection acts on such new ones alone.
async fn visit(addr: SocketAddr) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"a visit").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"a visit");
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Toxics that keep the stream intact, in turn. Those on a selection come last.
fn kinds() -> [Toxic; 14] {
    let hole = || Toxic::new(BlackHole::default());
    let slices = || Toxic::new(Slicer { size: 700, variation: 300, delay: Duration::ZERO });
    [
        Toxic::new(Latency::new(ms(2)).jitter(ms(1))),
        Toxic::new(Bandwidth::new(5_000_000)),
        slices(),
        hole(),
        Toxic::new(Latency::new(ms(3))).direction(Direction::Down).probability(0.5),
        Toxic::new(Bandwidth::new(100_000_000).shared()).direction(Direction::Up),
        hole().direction(Direction::Up).probability(0.5),
        slices().direction(Direction::Down).probability(0.3),
        hole().profile(Profile::Square { period: ms(4), on: ms(2) }),
        Toxic::new(SlowClose { delay: ms(1) }).connections(Selection::First(2)),
        Toxic::new(SlowOpen { delay: ms(1) }).connections(Selection::Every(2)),
        hole().connections(Selection::First(1)),
        slices().connections(Selection::Every(1)),
        Toxic::new(Latency::new(ms(1))).connections(Selection::Every(2)),
    ]
}

/// One of those who change the link, with a toxic of its own at a time.
struct Changer {
    name: String,
    toxics: Toxics,
    addr: SocketAddr,
    /// How long its changes took.
    times: Vec<Duration>,
    visits: usize,
}

impl Changer {
    fn new(name: impl Into<String>, link: &LinkProxy) -> Self {
        Self { name: name.into(), toxics: link.toxics(), addr: link.addr(), times: Vec::new(), visits: 0 }
    }

    fn timed(&mut self, change: impl FnOnce(&Toxics, &str)) {
        let start = Instant::now();
        change(&self.toxics, &self.name);
        self.times.push(start.elapsed());
    }

    /// Adds a toxic, waits until it has done something, and removes it.
    async fn cycle(&mut self, toxic: Toxic) {
        let visitors = if toxic.connections.is_some() { 2 } else { 0 };
        self.timed(|toxics, name| toxics.add(name, toxic.clone()).unwrap());
        let visits: Vec<_> = (0..visitors).map(|_| tokio::spawn(visit(self.addr))).collect();
        let affected = || self.toxics.counters(&self.name).unwrap().affected > 0;
        until(&format!("{toxic} bites"), affected).await;
        self.timed(|toxics, name| assert_eq!(toxics.remove(name).unwrap().toxic, toxic));
        for visit in visits {
            soon("a visit ends", visit).await.unwrap();
        }
        self.visits += visitors;
    }

    /// Goes through the kinds from the `first` on.
    async fn run(mut self, first: usize) -> Self {
        for toxic in kinds().into_iter().cycle().skip(first).take(CYCLES / CHANGERS) {
            self.cycle(toxic).await;
        }
        self
    }
}

/// Waits until every connection has got an answer since it was looked at last; returns how long it took.
async fn all_progress(echoed: &[Arc<AtomicU64>]) -> Duration {
    let now = |count: &Arc<AtomicU64>| count.load(Ordering::Relaxed);
    let before: Vec<u64> = echoed.iter().map(now).collect();
    until("every connection goes on", || echoed.iter().zip(&before).all(|(count, before)| now(count) > *before)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_toxics_come_and_go_under_load() {
    let began = Instant::now();
    let server = echo().await;
    let bare = (tasks(), descriptors());
    let link = LinkProxy::bind(Ipv4Addr::LOCALHOST.into(), 7).unwrap();
    link.set_upstream(Some(server));
    let idle = (tasks(), descriptors());

    let (noise, stop) = (noise(), Arc::new(AtomicBool::new(false)));
    let (mut talks, mut echoed) = (Vec::new(), Vec::new());
    for number in 0..CONNECTIONS {
        let stream = TcpStream::connect(link.addr()).await.unwrap();
        let (noise, stop, count) = (Arc::clone(&noise), Arc::clone(&stop), Arc::default());
        echoed.push(Arc::clone(&count));
        talks.push(tokio::spawn(Talker { number, noise, stop, echoed: count }.run(stream)));
    }
    all_progress(&echoed).await;
    let busy = (tasks(), descriptors());
    // What is to come back to its old level has left it: a task at each of three places, a descriptor at four.
    assert!(busy.0 >= idle.0 + 3 * CONNECTIONS && busy.1 >= idle.1 + 4 * CONNECTIONS, "{idle:?} to {busy:?}");

    let mut companion = Changer::new("companion", &link);
    companion.timed(|toxics, name| toxics.add(name, Toxic::new(Latency::new(ms(1)))).unwrap());
    let changers: Vec<_> =
        (0..CHANGERS).map(|n| tokio::spawn(Changer::new(format!("changer {n}"), &link).run(n * 3))).collect();
    let mut waits = Vec::new();
    while !changers.iter().all(JoinHandle::is_finished) {
        let next = Latency::new(ms(waits.len() as u64 % 3));
        companion.timed(|toxics, name| toxics.update(name, Toxic::new(next)).unwrap());
        waits.push(all_progress(&echoed).await);
    }
    companion.timed(|toxics, _| toxics.clear().unwrap());
    waits.push(all_progress(&echoed).await);
    let cycled = began.elapsed();
    let (mut times, mut visits) = (companion.times, 0);
    for changer in changers {
        let changer = changer.await.unwrap();
        times.extend(changer.times);
        visits += changer.visits;
    }

    stop.store(true, Ordering::Relaxed);
    let mut bytes = 0;
    for talk in talks {
        bytes += soon("a connection ends", talk).await.unwrap();
    }
    until("only the idle link is left", || (tasks(), descriptors()) == idle).await;
    assert_eq!(link.counters().active, 0);
    let accepted = link.counters().accepted;
    soon("the link shuts down", link.shutdown()).await;
    until("nothing of the link is left", || (tasks(), descriptors()) == bare).await;

    times.sort();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "{CYCLES} cycles in {cycled:?}: {} changes, median {median:?}, worst {worst:?}; {CONNECTIONS} connections and \
         {visits} visits, {} MiB echoed; all went on within {:?}; tasks and descriptors {bare:?} bare, {idle:?} idle, \
         {busy:?} busy",
        times.len(),
        bytes >> 20,
        waits.iter().max().unwrap(),
    );
    assert!(times.len() >= 2 * CYCLES && worst < BOUND, "the slowest changes: {:?}", &times[times.len() - 10..]);
    assert_eq!(accepted, (CONNECTIONS + visits) as u64);
}
