//! HTTP/2 with a real client and server: what passes.

use ::bytes::Bytes;
use ::h2::client::SendRequest;
use ::h2::server::SendResponse;
use ::h2::{Reason, RecvStream};
use ::http::{HeaderMap, Request, Response};

use super::*;

/// What a caller got.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
    /// Why the body broke off.
    pub(super) broken: Option<Reason>,
}

/// A server that says on `/headers` what it got, and otherwise sends the body back with a trailer.
pub(super) async fn server() -> Server {
    Server::start(|stream| async move {
        let mut connection = ::h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, respond))) = connection.accept().await {
            tokio::spawn(serve(request, respond));
        }
    })
    .await
}

async fn serve(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let (head, mut body) = request.into_parts();
    let response = Response::builder().header("x-source", "callee").header("x-stock", "7").body(()).unwrap();
    if head.uri.path() == "/empty" {
        respond.send_response(response, true).unwrap();
        return;
    }
    let Ok(mut send) = respond.send_response(response, false) else { return };
    if head.uri.path() == "/headers" {
        send.send_data(format!("{:?}", head.headers).into(), false).unwrap();
    }
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        let mut data = data;
        while !data.is_empty() {
            send.reserve_capacity(data.len());
            let Some(Ok(room)) = std::future::poll_fn(|cx| send.poll_capacity(cx)).await else { return };
            if send.send_data(data.split_to(room.min(data.len())), false).is_err() {
                return;
            }
        }
    }
    let trailers = [("x-end".parse().unwrap(), "yes".parse().unwrap())];
    let _ = send.send_trailers(trailers.into_iter().collect());
}

pub(super) async fn client(link: &LinkProxy) -> SendRequest<Bytes> {
    let (client, connection) = soon(::h2::client::handshake(connect(link).await)).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(super) fn request(path: &str) -> Request<()> {
    Request::post(format!("http://shop{path}")).header("x-tenant", "a").body(()).unwrap()
}

/// Sends a request with a body, and reads what comes.
pub(super) async fn ask(client: &SendRequest<Bytes>, request: Request<()>, body: Vec<u8>) -> Answer {
    soon(async {
        let mut client = client.clone().ready().await.unwrap();
        let (response, mut send) = client.send_request(request, body.is_empty()).unwrap();
        let upload = async {
            let mut body = Bytes::from(body);
            while !body.is_empty() {
                send.reserve_capacity(body.len());
                let Some(Ok(room)) = std::future::poll_fn(|cx| send.poll_capacity(cx)).await else { return };
                let piece = body.split_to(room.min(body.len()));
                if send.send_data(piece, body.is_empty()).is_err() {
                    return;
                }
            }
        };
        tokio::join!(upload, read(response)).1
    })
    .await
}

async fn read(response: ::h2::client::ResponseFuture) -> Answer {
    let (head, mut stream) = response.await.unwrap().into_parts();
    let mut answer =
        Answer { status: head.status.as_u16(), headers: head.headers, body: vec![], trailers: None, broken: None };
    while let Some(data) = stream.data().await {
        match data {
            Ok(data) => {
                stream.flow_control().release_capacity(data.len()).unwrap();
                answer.body.extend_from_slice(&data);
            }
            Err(error) => {
                answer.broken = error.reason();
                return answer;
            }
        }
    }
    answer.trailers = stream.trailers().await.unwrap();
    answer
}

#[tokio::test]
async fn a_real_client_and_server_notice_nothing() {
    let server = server().await;
    let link = http_link_to(server.addr);
    let client = client(&link).await;
    for round in 0..2 {
        let body = random_bytes(round, 500_000);
        let answer = ask(&client, request("/echo"), body.clone()).await;
        assert!(answer.status == 200 && answer.body == body && answer.broken.is_none());
        assert_eq!(answer.trailers.unwrap()["x-end"], "yes");
        link.toxics().add("idle", idle()).unwrap();
        assert_eq!(ask(&client, request("/empty"), vec![]).await.headers["x-source"], "callee");
        link.toxics().clear().unwrap();
    }
    assert_eq!((link.counters().http_requests, link.counters().http_opaque, link.counters().accepted), (4, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_streams_side_by_side() {
    let server = server().await;
    let link = http_link_to(server.addr);
    let client = client(&link).await;
    ask(&client, request("/empty"), vec![]).await;
    link.toxics().add("stop", http(on("/stop"), abort(503))).unwrap();
    link.toxics().add("slow", http(on("/slow"), delay(Duration::from_secs(3600)))).unwrap();
    let spawn = |path: &'static str, n: u64| {
        let client = client.clone();
        tokio::spawn(async move {
            let body = random_bytes(n, 3000 * n as usize % 50_000);
            let answer = ask(&client, request(path), body.clone()).await;
            (answer.status, answer.body == body, answer.trailers.is_some())
        })
    };
    let slow = spawn("/slow", 1);
    until(|| link.counters().http_delayed == 1).await;
    let others: Vec<_> = (0..100).map(|n| (n, spawn(if n % 4 == 0 { "/stop" } else { "/echo" }, n))).collect();
    for (n, other) in others {
        let (status, whole, trailers) = other.await.unwrap();
        if n % 4 == 0 {
            assert_eq!((status, trailers), (503, false), "{n}");
        } else {
            assert_eq!((status, whole, trailers), (200, true, true), "{n}");
        }
    }
    assert!(!slow.is_finished());
    link.toxics().remove("slow").unwrap();
    assert_eq!(slow.await.unwrap(), (200, true, true));
    assert_eq!((link.counters().http_aborted, link.counters().http_opaque), (25, 0));
}

#[tokio::test]
async fn uploads_that_are_aborted_hold_nobody_up() {
    let server = server().await;
    let link = http_link_to(server.addr);
    let client = client(&link).await;
    link.toxics().add("stop", http(on("/stop"), abort(503))).unwrap();
    for round in 0..4 {
        // Many times what the windows of the connection let pass.
        assert_eq!(ask(&client, request("/stop"), vec![1; 3 << 20]).await.status, 503);
        let body = random_bytes(round, 300_000);
        assert!(ask(&client, request("/echo"), body.clone()).await.body == body);
    }
    let counters = link.counters();
    assert_eq!((counters.accepted, counters.http_aborted), (1, 4));
    assert!(counters.bytes_up < 2 << 20, "{counters:?}");
}

#[tokio::test]
async fn a_caller_that_gives_up_on_what_is_delayed_can_go_on() {
    let server = server().await;
    let link = http_link_to(server.addr);
    let client = client(&link).await;
    link.toxics().add("slow", http(on("/slow"), delay(Duration::from_secs(3600)))).unwrap();
    // Each leaves a good part of the connection's window with the link.
    for round in 1..=20 {
        let slow = tokio::spawn({
            let client = client.clone();
            async move { ask(&client, request("/slow"), vec![1; 30_000]).await }
        });
        until(|| link.counters().http_delayed == round).await;
        slow.abort();
        let _ = slow.await;
        let body = random_bytes(round, 100_000);
        assert!(ask(&client, request("/echo"), body.clone()).await.body == body, "{round}");
    }
    assert_eq!((link.counters().accepted, link.counters().http_opaque), (1, 0));
}
