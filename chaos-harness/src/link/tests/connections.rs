//! Toxics on connections as a whole: half-open ones, and too many.

use std::io::ErrorKind;

use super::*;

fn half_open(direction: Direction) -> Toxic {
    Toxic::new(toxic::HalfOpen::default()).direction(direction)
}

fn limit(max: u32, then: toxic::Excess) -> Toxic {
    Toxic::new(toxic::ConnectionLimit { max, then })
}

/// A server that tells how each connection ended.
async fn witness() -> (Server, tokio::sync::mpsc::UnboundedReceiver<Result<usize, ErrorKind>>) {
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let tell = tell.clone();
        async move {
            let (mut buffer, mut total) = ([0; 64], 0);
            let end = loop {
                match stream.read(&mut buffer).await {
                    Ok(0) => break Ok(total),
                    Ok(n) => total += n,
                    Err(error) => break Err(error.kind()),
                }
                if stream.write_all(b"ok").await.is_err() {
                    break Err(ErrorKind::BrokenPipe);
                }
            };
            let _ = tell.send(end);
        }
    })
    .await;
    (server, told)
}

async fn greeted(link: &LinkProxy) -> TcpStream {
    let mut stream = connect(link).await;
    assert_eq!(ping(&mut stream, b"hi").await, b"ok");
    stream
}

#[tokio::test]
async fn the_callee_vanishes_and_the_caller_hears_nothing() {
    let (server, mut told) = witness().await;
    for direction in [Direction::Up, Direction::Both] {
        let link = link_to(&server);
        let mut before = greeted(&link).await;
        link.toxics().add("gone", half_open(direction)).unwrap();
        assert_eq!(soon(told.recv()).await.unwrap(), Err(ErrorKind::ConnectionReset));
        let mut during = connect(&link).await;
        for stream in [&mut before, &mut during] {
            stream.write_all(b"anyone?").await.unwrap();
            assert_silent(stream, ms(30)).await;
        }
        until(|| link.counters().dropped_bytes == 14).await;
        assert_eq!((link.counters().half_opened, link.counters().active), (2, 2));
        link.toxics().remove("gone").unwrap();
        assert_reset(&mut before).await;
        assert_reset(&mut during).await;
        drop(greeted(&link).await);
        assert_eq!(soon(told.recv()).await.unwrap(), Ok(2), "the one that hung has never reached the callee");
    }
}

#[tokio::test]
async fn the_caller_vanishes_and_the_callee_hears_nothing() {
    let (server, mut told) = witness().await;
    let link = link_to(&server);
    let mut before = greeted(&link).await;
    link.toxics().add("gone", half_open(Direction::Down)).unwrap();
    assert_reset(&mut before).await;
    assert!(tokio::time::timeout(ms(50), told.recv()).await.is_err());
    assert_eq!(link.counters().active, 1);
    link.toxics().remove("gone").unwrap();
    assert_eq!(soon(told.recv()).await.unwrap(), Err(ErrorKind::ConnectionReset));
    until(|| link.counters().active == 0).await;
}

#[tokio::test]
async fn a_half_open_connection_ends_when_the_other_end_gives_it_up() {
    let (server, _told) = witness().await;
    let link = link_to(&server);
    let stream = greeted(&link).await;
    link.toxics().add("gone", half_open(Direction::Up)).unwrap();
    stream.set_zero_linger().unwrap();
    drop(stream);
    until(|| link.counters().active == 0).await;
}

#[tokio::test]
async fn half_open_waits_for_its_time() {
    let (server, mut told) = witness().await;
    let link = link_to(&server);
    let late = toxic::HalfOpen { after: Some(ms(200)) };
    link.toxics().add("gone", Toxic::new(late)).unwrap();
    let mut stream = greeted(&link).await;
    assert_eq!(soon(told.recv()).await.unwrap(), Err(ErrorKind::ConnectionReset));
    assert_silent(&mut stream, ms(30)).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_reset() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let before = live(&link).await;
    link.toxics().add("limit", limit(2, toxic::Excess::Refuse)).unwrap();
    let second = live(&link).await;
    assert_reset(&mut connect(&link).await).await;
    drop(before);
    until(|| link.counters().active == 1).await;
    let _third = live(&link).await;
    assert_reset(&mut connect(&link).await).await;
    assert_eq!(link.counters().limited, 2);
    link.toxics().update("limit", limit(0, toxic::Excess::Refuse)).unwrap();
    assert_reset(&mut connect(&link).await).await;
    link.toxics().remove("limit").unwrap();
    live(&link).await;
    drop(second);
}

#[tokio::test]
async fn connections_beyond_the_limit_can_wait_their_turn() {
    let server = Server::echo().await;
    let link = link_to(&server);
    link.toxics().add("limit", limit(1, toxic::Excess::Wait)).unwrap();
    let first = live(&link).await;
    let (mut second, mut impatient, mut third) = (connect(&link).await, connect(&link).await, connect(&link).await);
    until(|| link.counters().limited == 3).await;
    for stream in [&mut second, &mut impatient, &mut third] {
        stream.write_all(b"my turn").await.unwrap();
        assert_silent(stream, ms(30)).await;
    }
    impatient.set_zero_linger().unwrap();
    drop(impatient);
    until(|| link.counters().active == 3).await;
    drop(first);
    let mut answer = [0; 7];
    soon(second.read_exact(&mut answer)).await.unwrap();
    assert_silent(&mut third, ms(30)).await;
    drop(second);
    soon(third.read_exact(&mut answer)).await.unwrap();
    let mut fourth = connect(&link).await;
    fourth.write_all(b"at once").await.unwrap();
    assert_silent(&mut fourth, ms(30)).await;
    link.toxics().remove("limit").unwrap();
    soon(fourth.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"at once");
}
