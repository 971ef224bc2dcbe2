//! Latency: exact, and no harm to throughput or order.

use std::time::Instant;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latency_is_exact() {
    let _quiet = QUIET.lock().await;
    let server = Server::echo().await;
    let (link, plain) = (link_to(&server), link_to(&server));
    let (mut delayed, mut direct) = (live(&link).await, live(&plain).await);
    let mut samples = 0;
    for (delay, n) in [(1, 100), (10, 40), (50, 10), (100, 6)] {
        link.toxics().add("slow", latency(ms(delay)).direction(Direction::Down)).unwrap();
        let (mut times, mut control) = (Vec::new(), Vec::new());
        for _ in 0..n {
            times.push(timed(ping(&mut delayed, b"x")).await);
            control.push(timed(rest_then_ping(&mut direct, ms(delay))).await);
        }
        link.toxics().remove("slow").unwrap();
        times.sort();
        control.sort();
        let error = |time: Duration| time.as_secs_f64() * 1e3 - delay as f64;
        let (median, p99) = (error(times[n / 2]), error(times[n * 99 / 100]));
        let asleep = error(control[n / 2]);
        println!("latency {delay} ms: error median {median:.3} ms, p99 {p99:.3} ms; a thread's sleep {asleep:.3} ms");
        assert!(times[0] >= ms(delay), "never early");
        // Both have a round trip in them, and wake on the same machine at the same time.
        let allowed = 3.0 + 2.0 * error(quartile(&control));
        assert!(error(quartile(&times)) < allowed, "{times:?}, and where a thread slept {control:?}");
        samples += n as u64;
    }
    assert!(link.counters().delayed_bytes >= samples && link.counters().delayed_chunks >= samples);
}

async fn timed<T>(future: impl Future<Output = T>) -> Duration {
    let start = Instant::now();
    future.await;
    start.elapsed()
}

/// As late as the machine is when a thread asks it for a delay.
async fn rest_then_ping(stream: &mut TcpStream, delay: Duration) {
    tokio::task::spawn_blocking(move || std::thread::sleep(delay)).await.unwrap();
    ping(stream, b"x").await;
}

#[tokio::test]
async fn chunks_are_delayed_side_by_side() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut stream = live(&link).await;
    link.toxics().add("slow", latency(ms(100)).direction(Direction::Up)).unwrap();
    let start = Instant::now();
    for n in 0..64 {
        stream.write_all(&[n; 16]).await.unwrap();
        until(|| link.counters().delayed_bytes >= u64::from(n + 1) * 16).await;
    }
    let mut answer = [0; 64 * 16];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert!(start.elapsed() >= ms(100));
    assert!(start.elapsed() < ms(3000), "{:?} for 64 chunks through 100 ms", start.elapsed());
    assert_eq!(link.counters().delayed_chunks, 64);
}

async fn throughput(link: &LinkProxy, bytes: usize) -> f64 {
    let mut stream = connect(link).await;
    let before = link.counters().bytes_up;
    let chunk = vec![7; 256 << 10];
    let start = Instant::now();
    for _ in 0..bytes / chunk.len() {
        soon(stream.write_all(&chunk)).await.unwrap();
    }
    until(|| link.counters().bytes_up - before == bytes as u64).await;
    bytes as f64 / start.elapsed().as_secs_f64() / f64::from(1 << 20)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throughput_is_unharmed() {
    let _quiet = QUIET.lock().await;
    let server = Server::sink().await;
    let link = link_to(&server);
    let plain = throughput(&link, 256 << 20).await;
    link.toxics().add("slow", latency(ms(50))).unwrap();
    let delayed = throughput(&link, 256 << 20).await;
    println!("256 MiB: {plain:.0} MiB/s plain, {delayed:.0} MiB/s through 50 ms ({:.2})", delayed / plain);
    assert!(delayed > plain * 0.25, "{delayed:.0} of {plain:.0} MiB/s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jitter_spreads_and_never_reorders() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut stream = live(&link).await;
    link.toxics().add("jitter", Toxic::new(toxic::Latency::new(ms(8)).jitter(ms(8)))).unwrap();
    let data = random_bytes(3, 100_000);
    let sent = data.clone();
    let (mut read, mut write) = stream.split();
    let writer = async {
        for chunk in sent.chunks(500) {
            write.write_all(chunk).await.unwrap();
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    };
    let mut received = vec![0; data.len()];
    let (_, read) = tokio::join!(writer, soon(read.read_exact(&mut received)));
    read.unwrap();
    assert!(received == data);

    let mut times = Vec::new();
    for _ in 0..30 {
        let start = Instant::now();
        ping(&mut stream, b"x").await;
        times.push(start.elapsed());
    }
    times.sort();
    assert!(times[0] < ms(13) && times[29] > ms(18), "16 ms +/- 16 ms went from {:?} to {:?}", times[0], times[29]);
}

#[tokio::test]
async fn latencies_add_up() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut stream = live(&link).await;
    link.toxics().add("one", latency(ms(20))).unwrap();
    link.toxics().add("two", latency(ms(10)).direction(Direction::Up)).unwrap();
    let start = Instant::now();
    ping(&mut stream, b"x").await;
    assert!(start.elapsed() >= ms(50), "{:?}", start.elapsed());
    assert!(start.elapsed() < ms(250), "{:?}", start.elapsed());
}
