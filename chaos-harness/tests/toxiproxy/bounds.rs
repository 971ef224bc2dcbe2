//! What a client may take of the control API, and who may be one.

use std::time::Instant;

use super::*;

/// What the server answers to `bytes`, after which nothing more is sent, and how long it took to close.
async fn raw(server: &Server, bytes: &[u8]) -> (String, Duration) {
    let addr = server.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let since = Instant::now();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // One that is reset has told what it had to tell.
    let _ = soon(stream.read_to_end(&mut answer)).await;
    (String::from_utf8_lossy(&answer).into_owned(), since.elapsed())
}

#[tokio::test]
async fn a_request_that_never_ends_is_ended() {
    let server = Server::start().await;
    let body = b"POST /proxies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{";
    let ((nothing, silent), (head, slow), (answer, body)) =
        tokio::join!(raw(&server, b""), raw(&server, b"GET /version HTTP/1.1\r\nHost: local"), raw(&server, body),);
    assert!(nothing.is_empty() && !head.contains("200 OK"), "{nothing} {head}");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    for took in [silent, slow, body] {
        assert!((Duration::from_secs(14)..Duration::from_secs(19)).contains(&took), "{took:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = Server::start().await;
    let head = format!("GET /version HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(200_000));
    let (answer, took) = raw(&server, head.as_bytes()).await;
    assert!(!answer.contains("200 OK") && took < Duration::from_secs(5), "{took:?} {answer}");
    server.ok("GET", "/version", Value::Null).await;
    server.stop().await;
}

#[tokio::test]
async fn a_web_page_can_neither_ask_nor_read() {
    let server = Server::start().await;
    for (headers, status) in [
        ("Host: localhost", 200),
        ("Host: toxiproxy:8474", 200),
        ("Host: attacker.example", 403),
        ("Host: localhost\r\nOrigin: http://attacker.example", 403),
        ("Host: localhost\r\nOrigin: null", 403),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site", 403),
        ("Host: localhost\r\nUser-Agent: Mozilla/5.0", 403),
        ("X: y", 400),
    ] {
        for method in ["GET /version", "OPTIONS /proxies", "POST /reset"] {
            let request = format!("{method} HTTP/1.1\r\n{headers}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            let (answer, _) = raw(&server, request.as_bytes()).await;
            let is_refused = answer.starts_with(&format!("HTTP/1.1 {status}"));
            assert!(status == 200 && !answer.starts_with("HTTP/1.1 403") || is_refused, "{method} {headers}: {answer}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_name_may_be_allowed() {
    let server = Server::with(Settings { hosts: vec!["proxy.example".to_owned()], ..Settings::default() }).await;
    let (answer, _) = raw(&server, b"GET /version HTTP/1.1\r\nHost: proxy.example\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.stop().await;
}
