//! Toxics on the beginning and the end of connections: slow open, slow close, limits, black holes that close.

use std::io::ErrorKind;
use std::time::Instant;

use super::*;

fn limit(bytes: u64, then: toxic::Ending) -> Toxic {
    Toxic::new(toxic::LimitData { bytes, then }).direction(Direction::Down)
}

#[tokio::test]
async fn a_slow_open_makes_the_bytes_wait() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut before = live(&link).await;
    link.toxics().add("slow", Toxic::new(toxic::SlowOpen { delay: ms(100) }).direction(Direction::Down)).unwrap();
    let start = Instant::now();
    assert_eq!(ping(&mut before, b"live").await, b"live");
    let mut stream = connect(&link).await;
    assert_eq!(ping(&mut stream, b"new").await, b"new");
    assert!(start.elapsed() >= ms(100), "{:?}", start.elapsed());
    assert_eq!(link.counters().delayed_opens, 1);
    link.toxics().update("slow", Toxic::new(toxic::SlowOpen { delay: toxic::LONGEST })).unwrap();
    let mut stream = connect(&link).await;
    stream.write_all(b"wait").await.unwrap();
    assert_silent(&mut stream, ms(50)).await;
    link.toxics().remove("slow").unwrap();
    let mut answer = [0; 4];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"wait");
}

#[tokio::test]
async fn a_slow_close_delays_the_end_alone() {
    let server = Server::named(b"bye").await;
    let link = link_to(&server);
    link.toxics().add("slow", Toxic::new(toxic::SlowClose { delay: ms(100) }).direction(Direction::Up)).unwrap();
    let start = Instant::now();
    let mut stream = connect(&link).await;
    let mut answer = [0; 3];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(soon(stream.read(&mut answer)).await.unwrap(), 0);
    assert!(start.elapsed() >= ms(100), "{:?}", start.elapsed());
    assert_eq!(link.counters().delayed_closes, 1);
}

#[tokio::test]
async fn a_limit_lets_its_bytes_arrive_whole_and_ends_both_ways() {
    const BYTES: usize = 3_000_000;
    let data = random_bytes(4, BYTES + 1000);
    let sent = data.clone();
    let server = Server::named(sent.leak()).await;
    let link = link_to(&server);
    for then in [toxic::Ending::End, toxic::Ending::Reset] {
        link.toxics().add("limit", limit(BYTES as u64, then)).unwrap();
        let mut stream = connect(&link).await;
        let mut received = Vec::new();
        let read = soon(stream.read_to_end(&mut received)).await;
        assert!(received == data[..BYTES], "{then:?}: {} bytes", received.len());
        match then {
            toxic::Ending::End => drop(read.unwrap()),
            toxic::Ending::Reset => assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset),
        }
        drop(stream);
        until(|| link.counters().active == 0).await;
        link.toxics().remove("limit").unwrap();
    }
    assert_eq!((link.counters().limited, link.counters().reset), (2, 0));
}

/// A caller whose system takes little before the caller reads.
async fn slow_reader(link: &LinkProxy) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    soon(socket.connect(link.addr())).await.unwrap()
}

/// Few enough for the link to take in while nobody reads, and many more than the reader's system takes.
const UNREAD: usize = 900_000;

fn reset_after(after: Option<Duration>) -> Toxic {
    Toxic::new(toxic::Reset { after, after_bytes: Some(UNREAD as u64), on_data: false }).direction(Direction::Down)
}

#[tokio::test]
async fn the_bytes_before_a_cut_wait_for_a_slow_reader() {
    let data = random_bytes(6, UNREAD + 100_000);
    let server = Server::named(data.clone().leak()).await;
    let link = link_to(&server);
    let hurry = ms(1500);
    for (toxic, counted) in [
        (limit(UNREAD as u64, toxic::Ending::Reset), (1, 0)),
        (reset_after(None), (1, 1)),
        (reset_after(Some(hurry)), (1, 2)),
    ] {
        let before = (link.counters().limited, link.counters().reset);
        let read = link.received().down;
        link.toxics().add("cut", toxic.clone()).unwrap();
        let opened = Instant::now();
        let mut stream = slow_reader(&link).await;
        until(|| link.received().down - read > UNREAD as u64).await;
        // Its time comes too late now.
        if toxic == reset_after(Some(hurry)) {
            until(|| opened.elapsed() > hurry + ms(50)).await;
        }
        assert_eq!((link.counters().limited, link.counters().reset), before, "{toxic}: cut before it was read");
        let mut received = Vec::new();
        let error = soon(stream.read_to_end(&mut received)).await.unwrap_err();
        assert_eq!((error.kind(), received.len()), (ErrorKind::ConnectionReset, UNREAD), "{toxic}");
        assert!(received == data[..UNREAD], "{toxic}");
        assert_eq!((link.counters().limited, link.counters().reset), counted, "{toxic}");
        let own = link.toxics().remove("cut").unwrap().counters;
        assert_eq!(own.limited + own.reset, 1, "{toxic}: {own:?}");
    }
}

#[tokio::test]
async fn a_limit_ends_the_callee_too() {
    let (said, heard) = tokio::sync::oneshot::channel();
    let said = parking_lot::Mutex::new(Some(said));
    let server = Server::start(move |mut stream| {
        let said = said.lock().take().unwrap();
        async move {
            stream.write_all(b"0123456789").await.unwrap();
            let mut rest = Vec::new();
            drop(said.send(stream.read_to_end(&mut rest).await.map(|_| rest).map_err(|error| error.kind())));
        }
    })
    .await;
    let link = link_to(&server);
    link.toxics().add("limit", limit(4, toxic::Ending::End)).unwrap();
    let mut stream = connect(&link).await;
    let mut received = Vec::new();
    soon(stream.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, b"0123");
    assert_eq!(soon(heard).await.unwrap().unwrap(), b"");
    assert_eq!(link.counters().dropped_bytes, 6);
    // The caller has not closed: the link does it.
    until(|| link.counters().active == 0).await;
}

#[tokio::test]
async fn a_black_hole_begins_at_its_byte() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let hole = toxic::BlackHole { after_bytes: Some(10), ..Default::default() };
    link.toxics().add("hole", Toxic::new(hole).direction(Direction::Down)).unwrap();
    let mut stream = connect(&link).await;
    stream.write_all(b"0123456789abcdef").await.unwrap();
    let mut first = [0; 10];
    soon(stream.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"0123456789");
    assert_silent(&mut stream, ms(50)).await;
    link.toxics().remove("hole").unwrap();
    let mut rest = [0; 6];
    soon(stream.read_exact(&mut rest)).await.unwrap();
    assert_eq!(&rest, b"abcdef");
}

#[tokio::test]
async fn a_black_hole_can_lose_what_it_swallows() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut stream = live(&link).await;
    let hole = toxic::BlackHole { discard: true, ..Default::default() };
    link.toxics().add("hole", Toxic::new(hole)).unwrap();
    stream.write_all(b"lost").await.unwrap();
    until(|| link.counters().dropped_bytes == 4).await;
    link.toxics().remove("hole").unwrap();
    assert_eq!(ping(&mut stream, b"later").await, b"later");
}

#[tokio::test]
async fn a_black_hole_can_close_after_a_while() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut before = live(&link).await;
    for discard in [false, true] {
        let start = Instant::now();
        let hole = toxic::BlackHole { discard, close_after: Some(ms(100)), ..Default::default() };
        link.toxics().add("timeout", Toxic::new(hole)).unwrap();
        let mut during = connect(&link).await;
        during.write_all(b"lost").await.unwrap();
        assert_eq!(soon(during.read(&mut [0; 8])).await.unwrap(), 0);
        assert!(start.elapsed() >= ms(100), "{:?}", start.elapsed());
        assert_eq!(soon(before.read(&mut [0; 8])).await.unwrap(), 0);
        link.toxics().remove("timeout").unwrap();
        before = live(&link).await;
    }
    assert_eq!((link.counters().closed, link.counters().stalls), (4, 1));
}
