//! Much at once: bytes go past the harness, and come back into its hands when a toxic wants them.

use super::*;

const CHUNK: usize = 256 << 10;

/// Sends all of `data` on a connection of its own and ends; returns what came back from an echo.
async fn echoed(link: &LinkProxy, data: &[u8], meanwhile: impl Future<Output = ()>) -> Vec<u8> {
    let (mut read, mut write) = connect(link).await.into_split();
    let writer = async {
        for chunk in data.chunks(CHUNK) {
            write.write_all(chunk).await.unwrap();
        }
        write.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let (_, read, ()) = soon(async { tokio::join!(writer, read.read_to_end(&mut received), meanwhile) }).await;
    read.unwrap();
    received
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_stream_arrives_whole() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let data = random_bytes(1, 24 << 20);
    let received = echoed(&link, &data, async {}).await;
    assert!(received == data, "{} of {} bytes", received.len(), data.len());
    let counters = link.counters();
    assert_eq!((counters.bytes_up, counters.bytes_down), (data.len() as u64, data.len() as u64));
    #[cfg(target_os = "linux")]
    assert!(counters.bytes_spliced > data.len() as u64, "{} bytes were not copied", counters.bytes_spliced);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn toxics_come_and_go_in_a_large_stream() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let data = random_bytes(2, 48 << 20);
    let changes = async {
        for round in 1.. {
            let before = link.counters().bytes_up;
            if before == data.len() as u64 {
                break;
            }
            let direction = [Direction::Up, Direction::Down, Direction::Both][round % 3];
            link.toxics().add("slow", latency(Duration::from_micros(300)).direction(direction)).unwrap();
            until(|| link.counters().bytes_up > before || link.counters().active == 0).await;
            link.toxics().remove("slow").unwrap();
            tokio::time::sleep(ms(3)).await;
        }
    };
    let received = echoed(&link, &data, changes).await;
    assert!(received == data, "{} of {} bytes", received.len(), data.len());
    assert!(link.counters().delayed_bytes > 0);
}

#[tokio::test]
async fn a_toxic_gets_what_waits_for_a_slow_reader() {
    let (kept, mut streams) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |stream| {
        let kept = kept.clone();
        async move { drop(kept.send(stream)) }
    })
    .await;
    let link = link_to(&server);
    let mut client = connect(&link).await;
    let mut reader = soon(streams.recv()).await.unwrap();
    let data = random_bytes(3, CHUNK);
    let mut sent = 0;
    while let Ok(n) = tokio::time::timeout(ms(50), client.write(&data[sent % CHUNK..])).await {
        sent += n.unwrap();
    }
    link.toxics().add("slow", latency(ms(20)).direction(Direction::Up)).unwrap();
    let delayed = link.counters().delayed_bytes;
    link.toxics().remove("slow").unwrap();
    client.shutdown().await.unwrap();
    let mut received = Vec::new();
    soon(reader.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received.len(), sent);
    assert!(received.chunks(CHUNK).all(|chunk| chunk == &data[..chunk.len()]));
    assert!(delayed > 0, "what was under way went through the toxic");
}
