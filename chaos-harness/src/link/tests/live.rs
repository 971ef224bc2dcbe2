//! Changes while the link works: whole, fast, and without a lost byte.

use std::time::Instant;

use super::*;

/// What a change may cost, in time of the processor; the promise is for an optimised build.
const PROMISE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 50 } else { 10 });

/// What no change may take beyond that, on a machine that has nothing else to do: less than a peer that does not read
/// would cost.
const BOUND: Duration = Duration::from_secs(1);

/// How long changes took, what they cost the processor, and how long as much work took right after them. So the
/// other work on the machine is told from waiting.
#[derive(Debug, Default)]
struct Changes {
    took: Vec<Duration>,
    cost: Vec<Duration>,
    control: Vec<Duration>,
}

/// The time that the processor has spent on this thread.
fn spent() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs `change` and notes how long it took.
fn timed(changes: &mut Changes, change: impl FnOnce() -> Result<(), LinkError>) {
    let (start, before) = (Instant::now(), spent());
    change().unwrap();
    let cost = spent() - before;
    changes.took.push(start.elapsed());
    let (start, before) = (Instant::now(), spent());
    while spent() - before < cost {}
    changes.control.push(start.elapsed());
    changes.cost.push(cost);
}

fn report(what: &str, mut changes: Changes) {
    let Changes { took, cost, control } = &mut changes;
    [&mut *took, cost, control].into_iter().for_each(|times| times.sort());
    let (last, median) = (took.len() - 1, took.len() / 2);
    println!("{what}: {} changes, median {:?}, worst {:?}", took.len(), took[median], took[last]);
    println!("as much work: median {:?}, worst {:?}; cost: median {:?}", control[median], control[last], cost[median]);
    assert!(quartile(cost) < PROMISE, "{what}: {changes:?}");
    assert!(quartile(took) < PROMISE / 2 + quartile(control) * 2, "{what}: {changes:?}");
    assert!(took[last] < BOUND + control[last] * 10, "{what}: {changes:?}");
}

/// Echoes random bytes until told to stop, and checks every one.
async fn load(mut stream: TcpStream, seed: u64, mut stop: tokio::sync::watch::Receiver<bool>) -> usize {
    let data = random_bytes(seed, 1 << 20);
    let (mut read, mut write) = stream.split();
    let writer = async {
        let mut sent = 0;
        for chunk in data.chunks(1000 + seed as usize * 7).cycle() {
            if *stop.borrow_and_update() {
                break;
            }
            write.write_all(chunk).await.unwrap();
            sent += chunk.len();
        }
        write.shutdown().await.unwrap();
        sent
    };
    let reader = async {
        let mut received = 0;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let limit = buffer.len().min(data.len() - received % data.len());
            match read.read(&mut buffer[..limit]).await.unwrap() {
                0 => return received,
                n => {
                    assert!(buffer[..n] == data[received % data.len()..][..n], "byte {received} or one after it");
                    received += n;
                }
            }
        }
    };
    let (sent, received) = tokio::join!(writer, reader);
    assert_eq!(sent, received);
    received
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_under_load_lose_nothing() {
    let _quiet = QUIET.lock().await;
    let server = Server::echo().await;
    let link = link_to(&server);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut loads = Vec::new();
    for seed in 0..100 {
        loads.push(tokio::spawn(load(connect(&link).await, seed, stopped.clone())));
    }
    until(|| link.counters().bytes_down > 1 << 20).await;
    let mut times = Changes::default();
    for round in 0..25 {
        let toxics = link.toxics();
        timed(&mut times, || toxics.add("slow", latency(ms(5))));
        tokio::time::sleep(ms(4)).await;
        timed(&mut times, || toxics.update("slow", latency(ms(40))));
        timed(&mut times, || toxics.add("hole", black_hole().probability(0.5)));
        tokio::time::sleep(ms(4)).await;
        timed(&mut times, || toxics.remove("slow").map(drop));
        if round % 2 == 0 {
            timed(&mut times, || toxics.update("hole", latency(ms(1))));
        }
        timed(&mut times, || toxics.clear());
        let before = link.counters().bytes_down;
        until(|| link.counters().bytes_down > before).await;
    }
    stop.send(true).unwrap();
    let mut total = 0;
    for load in loads {
        total += soon(load).await.unwrap();
    }
    println!("{} MiB echoed", total >> 20);
    report("100 connections under load", times);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_do_not_read_delay_no_change() {
    let _quiet = QUIET.lock().await;
    let (kept, mut streams) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |stream| {
        let kept = kept.clone();
        async move { drop(kept.send(stream)) }
    })
    .await;
    let link = link_to(&server);
    let mut blocked = Vec::new();
    let chunk = random_bytes(5, 256 << 10);
    for _ in 0..20 {
        let mut client = connect(&link).await;
        let server_side = soon(streams.recv()).await.unwrap();
        let mut sent = 0;
        while let Ok(n) = tokio::time::timeout(ms(20), client.write(&chunk[sent % chunk.len()..])).await {
            sent += n.unwrap();
        }
        blocked.push((client, server_side, sent));
    }
    let mut times = Changes::default();
    let toxics = link.toxics();
    for _ in 0..10 {
        timed(&mut times, || toxics.add("slow", latency(ms(5))));
        timed(&mut times, || toxics.add("hole", black_hole()));
        timed(&mut times, || toxics.remove("slow").map(drop));
        timed(&mut times, || toxics.clear());
    }
    report("20 blocked connections", times);
    for (client, mut server_side, sent) in blocked {
        let mut client = client;
        client.shutdown().await.unwrap();
        let mut received = Vec::new();
        soon(server_side.read_to_end(&mut received)).await.unwrap();
        assert_eq!(received.len(), sent);
        assert!(received.chunks(chunk.len()).all(|part| part == &chunk[..part.len()]));
    }
}

#[tokio::test]
async fn nothing_passes_once_a_black_hole_is_added() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut stream = live(&link).await;
    // What is under way falls due, at once or later, and gets no further than the hole.
    for due in [ms(0), ms(30)] {
        let before = link.counters();
        link.toxics().add("slow", latency(toxic::LONGEST)).unwrap();
        stream.write_all(b"under way").await.unwrap();
        until(|| link.counters().since(&before).delayed_bytes == 9).await;
        link.toxics().add("hole", black_hole()).unwrap();
        link.toxics().update("slow", latency(due)).unwrap();
        until(|| link.counters().since(&before).stalled_bytes == 9).await;
        assert_silent(&mut stream, ms(50)).await;
        let passed = link.counters().since(&before);
        assert_eq!((passed.bytes_up, passed.bytes_down), (0, 0));
        link.toxics().clear().unwrap();
        let mut answer = [0; 9];
        soon(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"under way");
    }
}

#[tokio::test]
async fn removing_latency_lets_go_at_once() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut stream = live(&link).await;
    link.toxics().add("slow", latency(Duration::from_secs(3000))).unwrap();
    stream.write_all(b"hurry").await.unwrap();
    until(|| link.counters().delayed_bytes == 5).await;
    link.toxics().update("slow", latency(ms(1))).unwrap();
    let mut answer = [0; 5];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    link.toxics().update("slow", latency(Duration::from_secs(3000))).unwrap();
    stream.write_all(b"again").await.unwrap();
    until(|| link.counters().delayed_bytes == 15).await;
    link.toxics().remove("slow").unwrap();
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_connections_change_together() {
    let _quiet = QUIET.lock().await;
    const CONNECTIONS: usize = 4000;
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        streams.push(live(&link).await);
    }
    let toxics = link.toxics();
    let mut times = Changes::default();
    for _ in 0..5 {
        timed(&mut times, || toxics.add("slow", latency(ms(5))));
        timed(&mut times, || toxics.add("hole", black_hole()));
        timed(&mut times, || toxics.clear());
    }
    toxics.add("hole", black_hole()).unwrap();
    for stream in &mut streams {
        stream.write_all(b"x").await.unwrap();
    }
    until(|| link.counters().stalls == CONNECTIONS as u64).await;
    timed(&mut times, || toxics.clear());
    for stream in &mut streams {
        let mut answer = [0];
        soon(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"x");
    }
    report("4000 connections", times);
    let start = Instant::now();
    toxics.add("down", refuse()).unwrap();
    println!("4000 connections reset in {:?}", start.elapsed());
    for stream in &mut streams {
        assert_reset(stream).await;
    }
}
