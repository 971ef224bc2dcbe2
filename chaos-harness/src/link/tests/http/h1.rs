//! HTTP/1.1: what passes, and what the peers see.

use axum::Router;
use axum::routing::{any, get, post};

use super::*;

/// A real server; it ends when dropped.
pub(super) struct Axum {
    pub(super) addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Axum {
    pub(super) async fn start() -> Self {
        let echo = |body: axum::body::Bytes| async move { body };
        let router = Router::new()
            .route("/reserve", post(|| async { "reserved" }))
            .route("/stock/{item}", get(|| async { [("x-stock", "7"), ("x-source", "callee")] }))
            .route("/echo", any(echo))
            .route("/headers", get(|headers: axum::http::HeaderMap| async move { format!("{headers:?}") }))
            .route("/large", get(|| async { vec![b'x'; 300_000] }))
            .layer(axum::extract::DefaultBodyLimit::disable());
        let listener = TcpListener::bind((LOCAL, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { addr, task }
    }
}

impl Drop for Axum {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn url(link: &LinkProxy, path: &str) -> String {
    format!("http://{}{path}", link.addr())
}

/// Reads a response whose head says how long it is.
pub(super) async fn response(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    soon(async {
        while !text.ends_with(b"\r\n\r\n") {
            text.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8_lossy(&text).to_lowercase();
        let length =
            head.split("content-length: ").nth(1).map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        text.extend(body);
    })
    .await;
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_real_client_and_server_notice_nothing() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    let client = reqwest::Client::new();
    for round in 0..2 {
        let body = random_bytes(round, 700_000);
        let answer = client.post(url(&link, "/echo")).body(body.clone()).send().await.unwrap();
        assert!(answer.bytes().await.unwrap() == body);
        link.toxics().add("idle", idle()).unwrap();
        let stock = client.get(url(&link, "/stock/1")).send().await.unwrap();
        assert_eq!((stock.status().as_u16(), stock.headers()["x-stock"].to_str().unwrap()), (200, "7"));
        link.toxics().clear().unwrap();
    }
    let counters = link.counters();
    assert_eq!((counters.accepted, counters.http_requests, counters.http_opaque), (1, 4, 0));
    assert!(link.touched().is_empty());
}

#[tokio::test]
async fn streams_arrive_piece_by_piece() {
    let (go, wait) = tokio::sync::mpsc::unbounded_channel::<()>();
    let wait = std::sync::Arc::new(tokio::sync::Mutex::new(wait));
    let server = Server::start(move |mut stream| {
        let wait = std::sync::Arc::clone(&wait);
        async move {
            response(&mut stream).await;
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head).await.unwrap();
            for _ in 0..3 {
                wait.lock().await.recv().await.unwrap();
                stream.write_all(b"8\r\ndata: x\n\r\n").await.unwrap();
            }
            stream.write_all(b"0\r\n\r\n").await.unwrap();
            let _ = stream.read(&mut [0]).await;
        }
    })
    .await;
    let link = http_link_to(server.addr);
    link.toxics().add("idle", idle()).unwrap();
    let mut stream = connect(&link).await;
    stream.write_all(b"GET /events HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    response(&mut stream).await;
    for _ in 0..3 {
        go.send(()).unwrap();
        let mut event = [0; 13];
        soon(stream.read_exact(&mut event)).await.unwrap();
        assert_eq!(&event, b"8\r\ndata: x\n\r\n");
    }
}

#[tokio::test]
async fn what_is_upgraded_passes_without_a_look() {
    let server = Server::start(|mut stream| async move {
        response(&mut stream).await;
        let head = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
        stream.write_all(&[&head[..], b"early"].concat()).await.unwrap();
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await;
    let link = http_link_to(server.addr);
    link.toxics().add("break", http(RequestMatch::default(), HttpAction::Corrupt { every: 1 })).unwrap();
    link.toxics().add("stop", http(on("/x"), abort(500))).unwrap();
    let mut stream = connect(&link).await;
    stream
        .write_all(b"GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        .await
        .unwrap();
    assert!(response(&mut stream).await.starts_with("HTTP/1.1 101 "));
    let mut early = [0; 5];
    soon(stream.read_exact(&mut early)).await.unwrap();
    assert_eq!(&early, b"early");
    let frame = b"GET /x HTTP/1.1\r\nis: a message\r\n\r\n\x81\x05hello\0\xff";
    assert_eq!(ping(&mut stream, frame).await, frame);
    assert_eq!((link.counters().http_requests, link.counters().http_opaque), (1, 1));
}

#[tokio::test]
async fn what_is_not_http_passes() {
    let server = Server::echo().await;
    let link = http_link_to(server.addr);
    link.toxics().add("stop", http(RequestMatch::default(), abort(500))).unwrap();
    for hello in
        [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"hello", b"EHLO\nx", b"P", b"PRI * HTTP/2", b"GET / HTTP/1.1\nx", b"\n"]
    {
        let mut stream = connect(&link).await;
        stream.write_all(hello).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        soon(stream.read_to_end(&mut answer)).await.unwrap();
        assert_eq!(answer, hello);
    }
    let talker = Server::named(b"220 hello\r\n").await;
    link.set_upstream(Some(talker.addr));
    let mut stream = connect(&link).await;
    let mut greeting = [0; 11];
    soon(stream.read_exact(&mut greeting)).await.unwrap();
    assert_eq!(&greeting, b"220 hello\r\n");
    assert_eq!(link.counters().http_aborted, 0);
}

#[tokio::test]
async fn answers_keep_the_order_of_pipelined_requests() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    link.toxics().add("stop", http(on("/reserve"), abort(503))).unwrap();
    let mut stream = connect(&link).await;
    let reserve = "POST /reserve HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
    let chunked =
        "POST /reserve HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n";
    let head = "HEAD /stock/1 HTTP/1.1\r\nhost: a\r\n\r\n";
    let echo = |n: u8| format!("PUT /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n{n}");
    let all = [&echo(1), reserve, &echo(2), chunked, reserve, head, &echo(3)].concat();
    stream.write_all(all.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..7 {
        let text = response(&mut stream).await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        seen.push((head[9..12].to_owned(), body.to_owned()));
    }
    let expected = [("200", "1"), ("503", ""), ("200", "2"), ("503", ""), ("503", ""), ("200", ""), ("200", "3")];
    assert_eq!(seen, expected.map(|(status, body)| (status.to_owned(), body.to_owned())));
    assert_eq!((link.counters().http_aborted, link.counters().http_opaque), (3, 0));
}

#[tokio::test]
async fn a_large_upload_that_is_aborted_leaves_the_connection_in_use() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    link.toxics().add("stop", http(on("/reserve"), abort(503))).unwrap();
    let client = reqwest::Client::new();
    for _ in 0..3 {
        let upload = client.post(url(&link, "/reserve")).body(vec![1; 5 << 20]).send().await.unwrap();
        assert_eq!(upload.status(), 503);
        assert_eq!(client.put(url(&link, "/echo")).body("x").send().await.unwrap().text().await.unwrap(), "x");
    }
    assert!(link.counters().bytes_up < 10_000, "{:?}", link.counters());
}

#[tokio::test]
async fn an_answer_ends_the_connection_where_the_next_request_could_not_be_told() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    link.toxics().add("stop", http(on("/reserve"), abort(503))).unwrap();
    for request in [
        "POST /reserve HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n",
        "POST /reserve HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "POST /reserve HTTP/1.0\r\n\r\n",
    ] {
        let mut stream = connect(&link).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\ndate: "), "{answer}");
        assert!(answer.ends_with(" GMT\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"), "{answer}");
        drop(stream);
        until(|| link.counters().active == 0).await;
    }
}
