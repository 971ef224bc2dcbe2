//! Questions to name servers that wait.

use std::io::PipeWriter;
use std::thread::JoinHandle;
use std::time::Instant;

use super::*;
use crate::NameDelay;

const QUESTION: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04shop\x00\x00\x01\x00\x01";
const DELAY: Duration = Duration::from_millis(100);
const NOTHING: Duration = Duration::from_millis(20);

/// Held back until it is dropped.
struct Late {
    lease: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
    delayed: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Late {
    fn begin(pair: &Pair, table: &str) -> Self {
        let delay = NameDelay { table: table.to_owned(), delay: DELAY };
        let mut names = pair.here.run(|| delay.begin().unwrap()).unwrap();
        let ((end, lease), delayed) = (std::io::pipe().unwrap(), names.delayed());
        let thread = std::thread::spawn(move || names.run_until(end).unwrap());
        Self { lease: Some(lease), thread: Some(thread), delayed }
    }

    fn count(&self) -> u64 {
        self.delayed.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        drop(self.lease.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A name server on the other side, which answers all with what it was asked.
fn serve(pair: &Pair) {
    let socket = pair.there.run(|| UdpSocket::bind((THERE, 53)).unwrap()).unwrap();
    std::thread::spawn(move || answer(&socket, |question| question.to_vec()));
}

fn answer(socket: &UdpSocket, how: impl Fn(&[u8]) -> Vec<u8>) {
    let mut buffer = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        socket.send_to(&how(&buffer[..length]), from).unwrap();
    }
}

/// The middle one of the times that some questions to `server` take.
fn ask(pair: &Pair, server: Ipv4Addr) -> Duration {
    let socket = pair.here.run(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    socket.connect((server, 53)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let one = || {
        let asked = Instant::now();
        socket.send(QUESTION).unwrap();
        let length = socket.recv(&mut [0; 512]).unwrap();
        assert_eq!(length, QUESTION.len());
        asked.elapsed()
    };
    let mut times: Vec<Duration> = std::iter::repeat_with(one).take(5).collect();
    times.sort();
    times[times.len() / 2]
}

#[test]
fn questions_wait_and_pass_when_nobody_holds_them() {
    let Some(pair) = Pair::new() else { return };
    serve(&pair);
    assert!(ask(&pair, THERE) < NOTHING);
    let late = Late::begin(&pair, "late");
    let during = ask(&pair, THERE);
    eprintln!("{DELAY:?} later: {during:?}");
    assert!(during.abs_diff(DELAY) <= Duration::from_millis(5), "{during:?}");
    assert_eq!((late.count(), pair.count("late").seen), (5, 5));
    // A question on another port is none.
    let (here, there) = pair.sockets();
    assert_eq!(send(&here, &there, 10).len(), 10);
    let later = Late::begin(&pair, "later");
    assert!(ask(&pair, THERE).abs_diff(DELAY * 2) <= Duration::from_millis(10), "delays add up");
    drop(late);
    assert!(ask(&pair, THERE).abs_diff(DELAY) <= Duration::from_millis(10), "one ends without the other");
    drop(later);
    assert!(ask(&pair, THERE) < NOTHING, "the rules alone hold nothing back");
    pair.remove("late");
    pair.remove("later");
    assert!(ask(&pair, THERE) < NOTHING);
}

#[test]
fn what_waits_at_the_end_is_let_go() {
    let Some(pair) = Pair::new() else { return };
    serve(&pair);
    let late = Late::begin(&pair, "late");
    let asked = Instant::now();
    let asking = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let socket = pair.here.run(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            socket.send_to(QUESTION, (THERE, 53)).unwrap();
            socket.recv(&mut [0; 512]).unwrap();
            asked.elapsed()
        });
        while late.count() == 0 {
            std::thread::yield_now();
        }
        drop(late);
        asking.join().unwrap()
    });
    assert!(asking < DELAY / 2, "{asking:?}");
}

/// As Docker's own name server does, in the network of each container.
#[test]
fn what_a_local_server_passes_on_waits_once() {
    let Some(pair) = Pair::new() else { return };
    serve(&pair);
    let (local, out) =
        pair.here.run(|| (UdpSocket::bind("127.0.0.11:53").unwrap(), UdpSocket::bind("0.0.0.0:0").unwrap())).unwrap();
    std::thread::spawn(move || {
        answer(&local, |question| {
            out.send_to(question, (THERE, 53)).unwrap();
            let mut buffer = [0; 512];
            let length = out.recv(&mut buffer).unwrap();
            buffer[..length].to_vec()
        });
    });
    let late = Late::begin(&pair, "late");
    let during = ask(&pair, Ipv4Addr::new(127, 0, 0, 11));
    assert!(during.abs_diff(DELAY) <= Duration::from_millis(10), "{during:?}");
    assert_eq!(late.count(), 5);
}
