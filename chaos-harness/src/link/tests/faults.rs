//! Black hole, refuse, reset, and which connections they affect.

use std::io::ErrorKind;
use std::time::Instant;

use super::*;

async fn connect_error(link: &LinkProxy) -> ErrorKind {
    soon(TcpStream::connect(link.addr())).await.expect_err("the connection should have been refused").kind()
}

#[tokio::test]
async fn refusal_resets_the_live_and_refuses_the_new_on_the_same_port() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let addr = link.addr();
    for round in 1..=3 {
        let mut before = live(&link).await;
        link.toxics().add("down", refuse()).unwrap();
        assert_eq!(connect_error(&link).await, ErrorKind::ConnectionRefused);
        assert_reset(&mut before).await;
        assert!(std::net::TcpListener::bind(addr).is_err(), "the port stays reserved");
        link.toxics().remove("down").unwrap();
        assert_eq!(link.addr(), addr);
        drop(live(&link).await);
        assert_eq!(link.counters().refused, round);
    }
}

#[tokio::test]
async fn a_link_can_be_bound_beside_one_that_refuses() {
    let server = Server::echo().await;
    let link = link_to(&server);
    link.toxics().add("down", refuse()).unwrap();
    let others: Vec<_> = (0..200).map(|_| LinkProxy::bind(LOCAL, 7).unwrap()).collect();
    assert!(others.iter().all(|other| other.addr() != link.addr()));
    link.toxics().clear().unwrap();
    connect(&link).await;
}

#[tokio::test]
async fn reset_cuts_the_live_and_the_new() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut before = live(&link).await;
    link.toxics().add("rst", reset()).unwrap();
    assert_reset(&mut before).await;
    assert_reset(&mut connect(&link).await).await;
    assert_eq!(link.counters().reset, 2);
    link.toxics().remove("rst").unwrap();
    live(&link).await;
}

#[tokio::test]
async fn reset_waits_for_its_time() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut stream = live(&link).await;
    let added = Instant::now();
    link.toxics()
        .add("rst", Toxic::new(toxic::Reset { after: Some(ms(300)), after_bytes: None, on_data: false }))
        .unwrap();
    assert_eq!(ping(&mut stream, b"still there").await, b"still there");
    assert_reset(&mut stream).await;
    assert!(added.elapsed() >= ms(300));
}

#[tokio::test]
async fn reset_lets_its_bytes_pass_first() {
    let server = Server::named(&[b'x'; 5000]).await;
    let link = link_to(&server);
    let spec = toxic::Reset { after: None, after_bytes: Some(1234), on_data: false };
    link.toxics().add("rst", Toxic::new(spec).direction(Direction::Down)).unwrap();
    let mut received = Vec::new();
    let error = soon(connect(&link).await.read_to_end(&mut received)).await.unwrap_err();
    assert_eq!((error.kind(), received.len()), (ErrorKind::ConnectionReset, 1234));
    assert_eq!(link.counters().bytes_down, 1234);
}

#[tokio::test]
async fn a_black_hole_holds_and_loses_nothing() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut before = live(&link).await;
    link.toxics().add("hole", black_hole()).unwrap();
    let mut during = connect(&link).await;
    for stream in [&mut before, &mut during] {
        stream.write_all(b"one, ").await.unwrap();
        assert_silent(stream, ms(50)).await;
        stream.write_all(b"two").await.unwrap();
    }
    until(|| link.counters().stalled_bytes >= 16).await;
    assert_eq!(link.counters().bytes_up, 5, "only what was sent before has arrived");
    assert_eq!(link.counters().stalls, 2);
    link.toxics().remove("hole").unwrap();
    for stream in [&mut before, &mut during] {
        let mut answer = [0; 8];
        soon(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"one, two");
    }
}

#[tokio::test]
async fn a_black_hole_can_be_one_way_and_begin_later() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut stream = live(&link).await;
    let late = |after| {
        let hole = toxic::BlackHole { after: Some(after), ..Default::default() };
        Toxic::new(hole).direction(Direction::Down)
    };
    link.toxics().add("hole", late(toxic::LONGEST)).unwrap();
    assert_eq!(ping(&mut stream, b"early").await, b"early");
    let begins = Instant::now() + ms(300);
    link.toxics().update("hole", late(ms(300))).unwrap();
    loop {
        stream.write_all(b"x").await.unwrap();
        let mut answer = [0];
        tokio::select! {
            read = stream.read_exact(&mut answer) => assert_eq!(read.unwrap(), 1),
            () = until(|| link.counters().stalls > 0) => break,
        }
    }
    assert!(Instant::now() >= begins, "not before its time");
    assert_silent(&mut stream, ms(50)).await;
    let counters = link.counters();
    assert_eq!(counters.bytes_up, counters.bytes_down + 1, "the request arrived, the answer did not");
}

#[tokio::test]
async fn a_black_hole_hides_that_the_callee_is_down() {
    let link = LinkProxy::bind(LOCAL, 7).unwrap();
    link.toxics().add("hole", black_hole()).unwrap();
    let mut stream = connect(&link).await;
    assert_silent(&mut stream, ms(50)).await;
    link.toxics().clear().unwrap();
    assert_reset(&mut stream).await;
}

/// Which of the first `n` connections a reset hits.
async fn victims(seed: u64, probability: f64, n: usize) -> Vec<bool> {
    let server = Server::echo().await;
    let link = LinkProxy::bind(LOCAL, seed).unwrap();
    link.set_upstream(Some(server.addr));
    link.toxics().add("some", reset().probability(probability)).unwrap();
    let mut hit = Vec::new();
    for _ in 0..n {
        let mut stream = connect(&link).await;
        let sent = stream.write_all(b"x").await;
        hit.push(sent.is_err() || soon(stream.read_exact(&mut [0])).await.is_err());
    }
    assert_eq!(link.counters().reset, hit.iter().filter(|hit| **hit).count() as u64);
    hit
}

#[tokio::test]
async fn the_seed_decides_which_connections_are_hit() {
    let first = victims(1, 0.3, 300).await;
    assert_eq!(first, victims(1, 0.3, 300).await);
    assert_ne!(first, victims(2, 0.3, 300).await);
    let share = first.iter().filter(|hit| **hit).count();
    assert!((60..=120).contains(&share), "{share} of 300 at 30%");
    assert!(victims(1, 0.0, 20).await.iter().all(|hit| !hit));
}

#[tokio::test]
async fn a_partial_refusal_accepts_and_resets() {
    let server = Server::echo().await;
    let link = link_to(&server);
    link.toxics().add("some", refuse().probability(0.5)).unwrap();
    let mut refused = 0;
    for _ in 0..100 {
        let mut stream = connect(&link).await;
        let sent = stream.write_all(b"x").await;
        refused += u64::from(sent.is_err() || soon(stream.read_exact(&mut [0])).await.is_err());
    }
    assert_eq!(link.counters().refused, refused);
    assert!((30..=70).contains(&refused), "{refused} of 100 at 50%");
}
