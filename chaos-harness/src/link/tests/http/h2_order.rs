//! HTTP/2: what comes first, which numbers streams have, and how much the ends let through.

use std::time::Instant;

use super::h2::{ask, client, request, server};
use super::*;
use crate::link::http::fuzzing::Machine;
use crate::link::toxic::Way;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A `GET` of `path`, complete.
fn get(stream: u32, path: &str) -> Vec<u8> {
    let block = [&[0x82, 0x86, 0x04, path.len() as u8], path.as_bytes()].concat();
    frame(1, 5, stream, &block)
}

/// Kind, stream and flags of each frame.
fn frames(mut data: &[u8]) -> Vec<(u8, u32, u8)> {
    let mut all = Vec::new();
    while let Some((head, rest)) = data.split_first_chunk::<9>() {
        let len = usize::from(head[1]) << 8 | usize::from(head[2]);
        all.push((head[3], u32::from_be_bytes(*head.last_chunk().unwrap()), head[4]));
        data = &rest[len..];
    }
    all
}

fn machine(act: HttpAction) -> Machine {
    let mut machine = Machine::new(false);
    machine.rule(1, on("/x"), act);
    machine.feed(Way::Up, &[PREFACE, &frame(4, 0, 0, &[])].concat());
    machine
}

#[test]
fn the_callees_settings_come_before_the_links_answer() {
    let mut machine = machine(abort(503));
    machine.feed(Way::Up, &get(1, "/x"));
    assert_eq!(frames(&machine.down), [], "nothing before the callee has spoken");
    machine.feed(Way::Down, &frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]));
    assert_eq!(frames(&machine.down), [(4, 0, 0), (1, 1, 5)]);
    machine.feed(Way::Up, &get(3, "/x"));
    assert_eq!(frames(&machine.down)[2..], [(1, 3, 5)]);
}

/// A callee that takes its time is what makes the order matter.
#[tokio::test]
async fn a_connection_outlives_an_abort_at_its_start() {
    let server = Server::start(|stream| async move {
        tokio::time::sleep(ms(100)).await;
        let mut connection = ::h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            respond.send_response(::http::Response::new(()), true).unwrap();
        }
    })
    .await;
    let link = http_link_to(server.addr);
    link.toxics().add("stop", http(on("/stop"), abort(503))).unwrap();
    let client = client(&link).await;
    let (stop, other) = tokio::join!(ask(&client, request("/stop"), vec![]), ask(&client, request("/a"), vec![]));
    assert_eq!((stop.status, other.status, link.counters().accepted), (503, 200, 1));
}

#[test]
fn a_caller_that_still_sends_is_told_that_it_need_not() {
    let mut machine = machine(abort(503));
    machine.feed(Way::Down, &frame(4, 0, 0, &[]));
    let mut open = get(1, "/x");
    open[4] = 4;
    machine.feed(Way::Up, &open);
    machine.feed(Way::Up, &frame(0, 0, 1, &[7; 100]));
    let expected = [(4, 0, 0), (1, 1, 5), (3, 1, 0), (8, 0, 0)];
    assert_eq!(frames(&machine.down), expected, "the answer, RST_STREAM(NO_ERROR), the connection's window");
    assert!(machine.up.ends_with(&frame(4, 0, 0, &[])), "the callee hears nothing of it");
}

#[tokio::test]
async fn an_answer_with_a_body_keeps_to_the_callers_windows() {
    let server = server().await;
    let link = http_link_to(server.addr);
    let body = "no ".repeat(5000);
    let refusal = Abort::new(503).header("x-why", "test").body(body.clone(), "text/plain");
    link.toxics().add("stop", http(on("/stop"), HttpAction::Abort(refusal))).unwrap();
    let (client, connection) =
        ::h2::client::Builder::new().initial_window_size(1000).handshake(connect(&link).await).await.unwrap();
    tokio::spawn(connection);
    // Together they are many times the window of the connection.
    for n in 0..30 {
        let answer = ask(&client, request("/stop"), vec![]).await;
        assert_eq!((answer.status, answer.broken), (503, None), "{n}");
        assert!(answer.body == body.as_bytes() && answer.headers["x-why"] == "test");
        let echoed = random_bytes(n, 30_000);
        assert!(ask(&client, request("/echo"), echoed.clone()).await.body == echoed);
    }
    assert_eq!((link.counters().accepted, link.counters().http_opaque), (1, 0));
}

#[test]
fn what_the_link_used_of_the_callers_window_is_kept_from_the_callee() {
    let mut machine = machine(HttpAction::Abort(Abort::new(503).body("x".repeat(100), "text/plain")));
    machine.feed(Way::Down, &frame(4, 0, 0, &[]));
    machine.feed(Way::Up, &get(1, "/x"));
    machine.up.clear();
    machine.feed(Way::Up, &frame(8, 0, 0, &150_u32.to_be_bytes()));
    assert_eq!(machine.up, frame(8, 0, 0, &50_u32.to_be_bytes()));
}

#[test]
fn a_delayed_request_gets_its_number_when_it_goes() {
    let mut machine = machine(HttpAction::Delay { by: ms(100), before: Part::Request });
    machine.feed(Way::Down, &frame(4, 0, 0, &[]));
    let start = machine.up.len();
    for (stream, path) in [(1, "/a"), (3, "/x"), (5, "/b"), (7, "/x")] {
        machine.feed(Way::Up, &get(stream, path));
    }
    machine.feed(Way::Up, &frame(3, 0, 7, &8_u32.to_be_bytes()));
    machine.pass_time(ms(200));
    assert_eq!(
        frames(&machine.up[start..]),
        [(1, 1, 5), (1, 3, 5), (1, 5, 5)],
        "/a, /b, and /x at last; 7 was given up"
    );
    // The callee answers 3 and 5, and is about to go after 3.
    machine.down.clear();
    let answers =
        [frame(1, 5, 5, &[0x88]), frame(7, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 0]), frame(1, 5, 3, &[0x88])].concat();
    machine.feed(Way::Down, &answers);
    assert_eq!(frames(&machine.down), [(1, 3, 5), (7, 0, 0), (1, 5, 5)]);
    assert_eq!(machine.down[10 + 9..][..4], 5_u32.to_be_bytes(), "its last stream is what the caller calls 5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_streams_do_not_wait_for_a_delayed_request() {
    let server = server().await;
    let link = http_link_to(server.addr);
    let client = client(&link).await;
    ask(&client, request("/empty"), vec![]).await;
    let late = |by| http(on("/late"), HttpAction::Delay { by, before: Part::Request });
    link.toxics().add("late", late(Duration::from_secs(3600))).unwrap();
    let spawn = |path: &'static str, n: u64| {
        let client = client.clone();
        tokio::spawn(async move {
            let body = random_bytes(n, 10_000);
            let answer = ask(&client, request(path), body.clone()).await;
            (answer.status, answer.body == body, answer.trailers.is_some())
        })
    };
    let waiting: Vec<_> = (0..3).map(|n| spawn("/late", n)).collect();
    until(|| link.counters().http_delayed == 3).await;
    let up = link.counters().bytes_up;
    for n in 0..20 {
        assert_eq!(spawn("/echo", n).await.unwrap(), (200, true, true), "{n}");
    }
    assert!(link.counters().bytes_up - up < 20 * 11_000, "the others alone have passed");
    // One that is given up does not reach the callee, and takes nothing of the connection with it.
    for n in 3..12 {
        let given_up = spawn("/late", n);
        until(|| link.counters().http_delayed == n + 1).await;
        given_up.abort();
        let _ = given_up.await;
        assert_eq!(spawn("/echo", n).await.unwrap(), (200, true, true), "{n}");
    }
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    let released = Instant::now();
    link.toxics().update("late", late(ms(1))).unwrap();
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), (200, true, true));
    }
    assert!(released.elapsed() < Duration::from_secs(5));
    assert_eq!(spawn("/echo", 99).await.unwrap(), (200, true, true));
    assert_eq!((link.counters().accepted, link.counters().http_opaque), (1, 0));
}
