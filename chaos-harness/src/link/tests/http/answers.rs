//! The link's own answers over HTTP/1, and requests that reach the callee late.

use std::time::Instant;

use super::h1::{Axum, response, url};
use super::*;

fn refusal() -> Abort {
    Abort::new(503).header("x-why", "a test").body(r#"{"error": "overloaded"}"#, "application/json")
}

#[tokio::test]
async fn an_abort_may_have_headers_and_a_body() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    link.toxics().add("stop", http(on("/reserve"), HttpAction::Abort(refusal()))).unwrap();
    let client = reqwest::Client::new();
    for _ in 0..2 {
        let answer = client.post(url(&link, "/reserve")).body(vec![1; 100_000]).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((answer.status().as_u16(), header("x-why")), (503, "a test".to_owned()));
        assert_eq!((header("content-type"), header("content-length")), ("application/json".into(), "23".into()));
        assert_eq!(answer.text().await.unwrap(), r#"{"error": "overloaded"}"#);
    }
    let head = client.head(url(&link, "/reserve")).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "23");
    assert_eq!(head.text().await.unwrap(), "");
    assert_eq!(client.put(url(&link, "/echo")).body("x").send().await.unwrap().text().await.unwrap(), "x");
    assert_eq!(link.counters().accepted, 1, "one connection for all");
}

/// What `ab -k` says and waits for.
#[tokio::test]
async fn an_old_client_that_keeps_the_connection_is_told_so() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    link.toxics().add("stop", http(on("/reserve"), HttpAction::Abort(refusal()))).unwrap();
    let mut stream = connect(&link).await;
    for _ in 0..3 {
        stream.write_all(b"GET /reserve HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: a\r\n\r\n").await.unwrap();
        let answer = response(&mut stream).await;
        assert!(answer.contains("\r\nconnection: keep-alive\r\n\r\n{"), "{answer}");
    }
    stream.write_all(b"GET /reserve HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").await.unwrap();
    let mut last = String::new();
    soon(stream.read_to_string(&mut last)).await.unwrap();
    assert!(last.contains("\r\nconnection: close\r\n\r\n{"), "{last}");
}

/// The caller sees the answer, not a reset, however much it still sends.
#[tokio::test]
async fn an_answer_reaches_a_caller_that_still_sends() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    link.toxics().add("stop", http(on("/reserve"), HttpAction::Abort(refusal()))).unwrap();
    for lines in ["connection: close\r\ncontent-length: 8000000", "connection: close\r\ntransfer-encoding: chunked"] {
        let mut stream = connect(&link).await;
        let head = format!("POST /reserve HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let sent = tokio::spawn(async move {
            let chunk = [b"f4240\r\n", &vec![b'x'; 1_000_000][..], b"\r\n"].concat();
            for _ in 0..8 {
                write.write_all(&chunk).await?;
            }
            Ok::<_, std::io::Error>(write)
        });
        let mut answer = String::new();
        soon(read.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.ends_with(r#"{"error": "overloaded"}"#), "{answer}");
        soon(sent).await.unwrap().expect("what is sent after the answer is taken and thrown away");
    }
}

#[tokio::test]
async fn a_request_may_reach_the_callee_late() {
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let arrived = arrived.clone();
        async move {
            while soon(stream.read_u8()).await.is_ok() {
                arrived.send(Instant::now()).unwrap();
                response(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
        }
    })
    .await;
    let link = http_link_to(server.addr);
    let late = HttpAction::Delay { by: ms(200), before: Part::Request };
    link.toxics().add("late", http(on("/late"), late)).unwrap();
    let mut stream = connect(&link).await;
    for (path, delayed) in [("/late", true), ("/now", false)] {
        let asked = Instant::now();
        let request = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert!(response(&mut stream).await.starts_with("HTTP/1.1 200"));
        let after = soon(arrivals.recv()).await.unwrap() - asked;
        assert_eq!(after >= ms(200), delayed, "{path} after {after:?}");
    }
    assert_eq!((link.counters().http_delayed, link.counters().http_opaque), (1, 0));
    // An answer of the link takes as long.
    link.toxics().add("stop", http(on("/late"), abort(503))).unwrap();
    let asked = Instant::now();
    stream.write_all(b"GET /late HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(response(&mut stream).await.starts_with("HTTP/1.1 503") && asked.elapsed() >= ms(200));
    assert!(arrivals.try_recv().is_err());
}
