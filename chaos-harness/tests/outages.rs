//! Outages against the truth: scripted servers, and for each a thread that asks it all the time and knows nothing of
//! the harness.
#![allow(clippy::single_range_in_vec_init, reason = "a list of outages, which may be one")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::net::SocketAddr;
use std::ops::Range;
use std::thread::JoinHandle;
use std::time::Duration;

use chaos_harness::clock::Clock;
use chaos_harness::load::{Generator, Load, Request};
use chaos_harness::measure::{Outages, Recovery, Sample, SteadyStretch, Window, recovery};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// When the injection begins, and when observation ends.
const BEGAN: u64 = 1_000;
const END: u64 = 5_500;
/// The load's interval between requests, and the error that is allowed besides it.
const INTERVAL: Duration = Duration::from_millis(10);
const ALLOWED: Duration = Duration::from_millis(50);
/// How often the observer asks.
const PAUSE: Duration = Duration::from_millis(5);
/// How many shapes are observed at the same time.
const AT_ONCE: usize = 3;

/// What a server does with a request.
#[derive(Clone, Copy)]
enum Does {
    Answer,
    Fail,
    Close,
    /// An answer after so many milliseconds.
    Late(u64),
    /// An answer at this moment, in milliseconds.
    Hold(u64),
}

/// What a server does at a moment in milliseconds, with which path, to its how-manieth request.
type Script = fn(u64, &str, usize) -> Does;

struct Shape {
    name: &'static str,
    script: Script,
    over: u64,
    load: Load,
}

fn down(at: u64, outages: &[Range<u64>]) -> Does {
    if outages.iter().any(|outage| outage.contains(&at)) { Does::Close } else { Does::Answer }
}

fn shapes() -> Vec<Shape> {
    let load = || Load::get("target", "/").rate(1.0 / INTERVAL.as_secs_f64()).deadline(Duration::from_secs(1));
    let shape = |name, script: Script| Shape { name, script, over: 2_000, load: load() };
    let routes = load().also(Request::get("target", "/b")).rate(200);
    vec![
        shape("single", |at, _, _| down(at, &[1_000..2_200])),
        shape("drain", |at, _, _| if (1_000..1_030).contains(&at) { Does::Fail } else { down(at, &[2_700..4_300]) }),
        shape("flap", |at, _, _| down(at, &[1_000..1_300, 1_500..1_900, 2_200..2_600])),
        shape("periodic", |at, _, _| down(at, &[1_000..1_200, 1_400..1_600, 1_800..2_000, 2_200..2_400, 2_600..2_800])),
        shape("after rollback", |at, _, _| down(at, &[3_300..4_100])),
        shape("before injection", |at, _, _| down(at, &[500..1_600])),
        shape("slow start", |at, _, _| match at {
            1_000..1_800 => Does::Close,
            1_800..2_500 => Does::Fail,
            2_500..3_000 => Does::Late(10),
            _ => Does::Answer,
        }),
        shape(
            "partial",
            |at, _, nth| {
                if (1_000..3_000).contains(&at) && nth % 10 < 3 { Does::Fail } else { Does::Answer }
            },
        ),
        Shape {
            load: routes,
            ..shape("one route", |at, path, _| if path == "/b" { down(at, &[1_000..2_500]) } else { Does::Answer })
        },
        Shape {
            load: load().deadline(Duration::from_millis(200)),
            ..shape(
                "late answers",
                |at, _, _| if (1_000..2_400).contains(&at) { Does::Late(400) } else { Does::Answer },
            )
        },
        shape("black hole", |at, _, _| if (1_000..3_500).contains(&at) { Does::Hold(3_500) } else { Does::Answer }),
        shape("two injections", |at, _, _| down(at, &[1_000..1_700, 2_500..3_400])),
        shape("never", |at, _, _| down(at, &[1_000..60_000])),
    ]
}

fn millis(clock: Clock) -> u64 {
    u64::try_from(clock.now().as_millis()).unwrap()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

async fn serve(clock: Clock, script: Script) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for nth in 0.. {
            let Ok((mut connection, _)) = listener.accept().await else { return };
            tokio::spawn(async move {
                let mut head = [0; 1_024];
                let read = connection.read(&mut head).await.unwrap_or_default();
                let path = String::from_utf8_lossy(&head[..read]).split(' ').nth(1).unwrap_or("/").to_owned();
                let status = match script(millis(clock), &path, nth) {
                    Does::Close => return,
                    Does::Fail => "503 Service Unavailable",
                    Does::Answer => "200 OK",
                    Does::Late(after) => {
                        tokio::time::sleep(ms(after)).await;
                        "200 OK"
                    }
                    Does::Hold(until) => {
                        tokio::time::sleep(ms(until).saturating_sub(clock.now())).await;
                        "200 OK"
                    }
                };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = connection.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

/// Asks until the end, each time without waiting for the answers before; gives each outage, from the first request in
/// vain to the next answer.
fn observe(
    clock: Clock,
    target: SocketAddr,
    path: &'static str,
    patience: Duration,
) -> JoinHandle<Vec<Range<Duration>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let (mut pause, mut asked) = (tokio::time::interval(PAUSE), Vec::new());
            while clock.now() < ms(END) {
                pause.tick().await;
                asked.push(tokio::spawn(async move {
                    let asked = clock.now();
                    let answered = tokio::time::timeout(patience, ask(target, path)).await;
                    (asked, clock.now(), matches!(answered, Ok(Ok(true))))
                }));
            }
            let mut answers = Vec::new();
            for asked in asked {
                answers.push(asked.await.unwrap());
            }
            outages(&answers)
        })
    })
}

async fn ask(target: SocketAddr, path: &str) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect(target).await?;
    connection.write_all(format!("GET {path} HTTP/1.1\r\nhost: target\r\n\r\n").as_bytes()).await?;
    let mut head = [0; 12];
    connection.read_exact(&mut head).await?;
    Ok(head.ends_with(b"200"))
}

fn outages(answers: &[(Duration, Duration, bool)]) -> Vec<Range<Duration>> {
    let mut alike = answers.chunk_by(|one, next| one.2 == next.2).peekable();
    let mut outages = Vec::new();
    while let Some(several) = alike.next() {
        let (asked, _, answered) = several[0];
        if !answered {
            let again = alike.peek().and_then(|good| good.iter().map(|(_, end, _)| *end).min());
            outages.push(asked..again.unwrap_or(ms(END).max(asked)));
        }
    }
    outages
}

/// One injection's account of a shape, beside what the observer saw of it.
struct Seen {
    name: String,
    truth: Vec<Range<Duration>>,
    measured: (Recovery, Outages),
}

impl Seen {
    fn of(shape: &Shape, began: u64, samples: &[Sample], truth: &[Range<Duration>]) -> Self {
        let failed = |sample: &Sample| !sample.outcome.is_served();
        let watch = Window::new(ms(began), ms(END));
        let over = ms(shape.over.max(began));
        let measured = recovery(samples, watch, over, failed, &SteadyStretch::default());
        let truth = truth.iter().filter(|outage| outage.end > ms(began)).cloned().collect();
        Self { name: format!("{} from {began}", shape.name), truth, measured }
    }

    /// Longest outage, total downtime, time to recover.
    fn true_times(&self) -> [Duration; 3] {
        let lengths = || self.truth.iter().map(|outage| outage.end - outage.start);
        let time = self.truth.last().map_or(Duration::ZERO, |last| last.end - self.truth[0].start);
        [lengths().max().unwrap_or_default(), lengths().sum(), time]
    }

    fn measured_times(&self) -> [Duration; 3] {
        let (recovery, outages) = &self.measured;
        [outages.longest, outages.total, recovery.time().unwrap_or_default()]
    }

    fn tell(&self) {
        let row = |times: [Duration; 3]| times.map(|time| format!("{:>5} ms", time.as_millis())).join(" ");
        let (truth, measured) = (row(self.true_times()), row(self.measured_times()));
        let (recovery, outages) = &self.measured;
        eprintln!("{:24} truth {truth}  measured {measured}  {} outages, {recovery:?}", self.name, outages.count);
    }

    fn check(&self) {
        let (truth, measured) = (self.true_times(), self.measured_times());
        let near = |truth: Duration, measured: Duration| truth.abs_diff(measured) <= ALLOWED + INTERVAL;
        let (recovery, outages) = &self.measured;
        match self.name.split(" from ").next().unwrap() {
            "before injection" => {
                let outage = outages.begun_before.expect("it is shown");
                assert_eq!((*recovery, outages.count), (Recovery::AlreadyDown { until: outage.to }, 0));
                assert!(near(truth[0], outage.to.unwrap() - outage.from), "{:?}", self.truth);
            }
            "never" => {
                assert!(matches!(recovery, Recovery::NotRecovered { .. }) && near(truth[0], outages.longest));
            }
            // Which requests fail is drawn for each client by itself; that a part failed is said.
            "partial" => {
                let share = outages.bad as f64 / outages.requests as f64;
                assert!(near(truth[2], measured[2]) && (0.15..0.45).contains(&share), "{share}");
            }
            _ => {
                assert_eq!(outages.count, self.truth.len() as u64, "{}: {:?}", self.name, self.truth);
                for (truth, measured) in truth.into_iter().zip(measured) {
                    assert!(near(truth, measured), "{}: {truth:?}, measured {measured:?}", self.name);
                }
            }
        }
    }
}

async fn measure(shapes: Vec<Shape>) -> Vec<Seen> {
    let clock = Clock::start();
    let mut under_way = Vec::new();
    for shape in shapes {
        let address = serve(clock, shape.script).await;
        let path = if shape.name == "one route" { "/b" } else { "/" };
        let observer = observe(clock, address, path, shape.load.deadline);
        let running = Generator::start(&shape.load, clock, 1, |_| Some(address)).unwrap();
        under_way.push((shape, observer, running));
    }
    tokio::time::sleep(ms(END).saturating_sub(clock.now())).await;
    let mut seen = Vec::new();
    for (shape, observer, running) in under_way {
        let report = running.stop().await;
        report.lag.kept_up().unwrap();
        let samples = report.samples;
        let truth = observer.join().unwrap();
        seen.push(Seen::of(&shape, BEGAN, &samples, &truth));
        if shape.name == "two injections" {
            seen.push(Seen::of(&shape, 2_400, &samples, &truth));
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_shape_of_outage_is_what_an_observer_saw() {
    let mut shapes = shapes();
    let mut seen = Vec::new();
    while !shapes.is_empty() {
        // All at once would keep two cores busy with the observers alone.
        let some = shapes.split_off(shapes.len().saturating_sub(AT_ONCE));
        seen.extend(measure(some).await);
    }
    seen.iter().for_each(Seen::tell);
    seen.iter().for_each(Seen::check);
}
