//! Toxics that change how bytes come: bandwidth, slices, corruption.

use std::time::Instant;

use super::*;

fn bandwidth(rate: u64) -> Toxic {
    Toxic::new(toxic::Bandwidth::new(rate)).direction(Direction::Up)
}

/// Writes as fast as it may, until the link is gone.
async fn pour(mut stream: TcpStream) {
    let chunk = vec![7; 64 << 10];
    while stream.write_all(&chunk).await.is_ok() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_take_their_time() {
    let server = Server::sink().await;
    let link = link_to(&server);
    link.toxics().add("narrow", bandwidth(1_000_000)).unwrap();
    let mut stream = connect(&link).await;
    let start = Instant::now();
    soon(stream.write_all(&vec![7; 400_000])).await.unwrap();
    until(|| link.counters().bytes_up >= 400_000).await;
    assert!(start.elapsed() >= ms(398), "{:?}", start.elapsed());
    assert_eq!(link.counters().throttled_bytes, 400_000);
    // Silence saves nothing up.
    tokio::time::sleep(ms(300)).await;
    let start = Instant::now();
    soon(stream.write_all(&[7; 100_000])).await.unwrap();
    until(|| link.counters().bytes_up >= 500_000).await;
    assert!(start.elapsed() >= ms(98), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_holds_exactly() {
    let _quiet = QUIET.lock().await;
    let server = Server::sink().await;
    for (rate, senders, toxic) in [
        (50_000, 1, toxic::Bandwidth::new(50_000)),
        (5_000_000, 1, toxic::Bandwidth::new(5_000_000)),
        (1_000_000, 4, toxic::Bandwidth::new(1_000_000).shared()),
    ] {
        let link = link_to(&server);
        link.toxics().add("narrow", Toxic::new(toxic)).unwrap();
        for _ in 0..senders {
            tokio::spawn(pour(connect(&link).await));
        }
        let passed = || link.counters().bytes_up;
        until(|| passed() > 0).await;
        let (start, before) = (Instant::now(), passed());
        tokio::time::sleep(ms(1000)).await;
        let measured = (passed() - before) as f64 / start.elapsed().as_secs_f64();
        println!("{rate} B/s, {senders} sender(s): {measured:.0} B/s");
        assert!((0.7..1.1).contains(&(measured / f64::from(rate))), "{measured:.0} of {rate} B/s");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_rate_is_shared_fairly_as_connections_come_and_go() {
    const SENDERS: usize = 5;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let tell = tell.clone();
        async move {
            let mut total = 0;
            let mut buffer = vec![0; 64 << 10];
            while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                total += n;
            }
            tell.send(total).unwrap();
        }
    })
    .await;
    let link = link_to(&server);
    link.toxics().add("narrow", Toxic::new(toxic::Bandwidth::new(2_000_000).shared())).unwrap();
    let start = Instant::now();
    let mut senders = Vec::new();
    for _ in 0..SENDERS {
        senders.push(tokio::spawn(pour(connect(&link).await)));
    }
    for _ in 0..50 {
        // These take their turns, and leave in the middle of them.
        let mut passing = connect(&link).await;
        passing.write_all(&[1; 10_000]).await.unwrap();
        tokio::time::sleep(ms(10)).await;
        passing.set_zero_linger().unwrap();
    }
    until(|| link.counters().bytes_up > 1_000_000).await;
    let (passed, seconds) = (link.counters().bytes_up, start.elapsed().as_secs_f64());
    assert!(passed as f64 <= 2_000_000.0 * (seconds + 0.1), "{passed} bytes in {seconds} s");
    senders.iter().for_each(JoinHandle::abort);
    soon(link.shutdown()).await;
    let mut totals = Vec::new();
    for _ in 0..SENDERS + 50 {
        totals.push(soon(told.recv()).await.unwrap());
    }
    totals.sort_unstable();
    let long = &totals[50..];
    assert!(long[SENDERS - 1] < long[0] * 2, "{long:?}");
}

#[tokio::test]
async fn a_throttled_sender_waits_instead_of_filling_the_memory() {
    let server = Server::sink().await;
    let link = link_to(&server);
    link.toxics().add("narrow", bandwidth(1000)).unwrap();
    let mut stream = connect(&link).await;
    let chunk = vec![7; 256 << 10];
    while let Ok(sent) = tokio::time::timeout(ms(100), stream.write_all(&chunk)).await {
        sent.unwrap();
    }
    let read = link.counters().throttled_bytes;
    assert!(read <= 300 << 10, "the link holds {read} bytes");
    link.toxics().remove("narrow").unwrap();
    until(|| link.counters().bytes_up > 300 << 10).await;
}

#[tokio::test]
async fn slices_arrive_apart_and_whole() {
    let server = Server::sink().await;
    let data = random_bytes(2, 500);
    let sent = data.clone();
    let named = Server::named(sent.leak()).await;
    drop(server);
    let link = link_to(&named);
    let slicer = toxic::Slicer { size: 50, variation: 20, delay: ms(20) };
    link.toxics().add("slices", Toxic::new(slicer).direction(Direction::Down)).unwrap();
    let mut stream = connect(&link).await;
    let (mut received, mut sizes) = (Vec::new(), Vec::new());
    let mut buffer = [0; 1000];
    while let n @ 1.. = soon(stream.read(&mut buffer)).await.unwrap() {
        received.extend_from_slice(&buffer[..n]);
        sizes.push(n);
        if received.len() == data.len() {
            break;
        }
    }
    assert!(received == data);
    assert!(link.counters().slices >= 8, "{:?}", link.counters());
    assert!(sizes.len() >= 3, "{sizes:?}");
}

#[tokio::test]
async fn corruption_is_by_position_and_counted() {
    let data = random_bytes(8, 200_000);
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for chunk in [7777, 100_000, 1_000_000] {
        let server = Server::echo().await;
        let link = link_to(&server);
        let corrupt = toxic::Corrupt { bytes: toxic::Victims::Share(0.01), bit: None };
        link.toxics().add("noise", Toxic::new(corrupt).direction(Direction::Up)).unwrap();
        let (mut read, mut write) = connect(&link).await.into_split();
        let sent = data.clone();
        let writer = tokio::spawn(async move {
            for chunk in sent.chunks(chunk) {
                write.write_all(chunk).await.unwrap();
                tokio::task::yield_now().await;
            }
            write
        });
        let mut received = vec![0; data.len()];
        soon(read.read_exact(&mut received)).await.unwrap();
        drop(writer.await.unwrap());
        let flipped = received.iter().zip(&data).filter(|(a, b)| a != b).count() as u64;
        assert_eq!(link.counters().corrupted_bytes, flipped);
        assert!((1700..2300).contains(&flipped), "{flipped} of 200000 at 1%");
        assert!(received.iter().zip(&data).all(|(a, b)| (a ^ b).count_ones() <= 1));
        seen.push(received);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "the same seed, the same bytes");
}
