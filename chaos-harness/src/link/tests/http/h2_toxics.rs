//! What each action does to HTTP/2 and gRPC.

use std::time::Instant;

use ::http::Request;

use super::h2::{ask, client, request, server};
use super::*;

#[tokio::test]
async fn a_toxic_on_a_live_connection_knows_its_header_tables() {
    let server = server().await;
    let link = http_link_to(server.addr);
    let client = client(&link).await;
    let traced = || {
        let mut request = request("/stop");
        request.headers_mut().insert("traceparent", TRACE.parse().unwrap());
        request
    };
    assert_eq!(ask(&client, traced(), vec![]).await.status, 200);
    link.toxics().add("stop", http(RequestMatch { method: Some("POST".into()), ..on("/stop") }, abort(503))).unwrap();
    let answer = ask(&client, traced(), vec![]).await;
    assert_eq!((answer.status, answer.body.len()), (503, 0));
    for n in 0..5 {
        let mut request = request("/headers");
        request.headers_mut().insert("x-new", n.into());
        let seen = String::from_utf8(ask(&client, request, vec![]).await.body).unwrap();
        assert!(seen.contains(&format!(r#""x-new": "{n}""#)) && seen.contains(r#""x-tenant": "a""#), "{seen}");
    }
    link.toxics().clear().unwrap();
    assert_eq!(ask(&client, traced(), vec![]).await.status, 200);
    let touched = link.touched();
    assert_eq!((touched.len(), touched[0].trace.as_deref(), &*touched[0].path), (1, Some(&TRACE[3..35]), "/stop"));
}

#[tokio::test]
async fn a_grpc_call_is_aborted_with_trailers_alone() {
    let server = server().await;
    let link = http_link_to(server.addr);
    let client = client(&link).await;
    let act = HttpAction::GrpcAbort { code: GrpcCode::Unavailable, message: "out: 100% \u{e9}".into() };
    link.toxics().add("stop", http(on("/shop.Stock/*"), act)).unwrap();
    let call = || {
        Request::post("http://shop/shop.Stock/Get")
            .header("content-type", "application/grpc+proto")
            .header("te", "trailers")
    };
    let answer = ask(&client, call().body(()).unwrap(), b"\0\0\0\0\x02hi".to_vec()).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    let header = |name: &str| answer.headers[name].to_str().unwrap();
    assert_eq!(header("content-type"), "application/grpc+proto");
    assert_eq!((header("grpc-status"), header("grpc-message")), ("14", "out: 100%25 %C3%A9"));
    let plain = ask(&client, request("/shop.Stock/Get"), b"hi".to_vec()).await;
    assert_eq!((plain.status, &plain.body[..]), (200, &b"hi"[..]), "what is no gRPC call is left alone");
    assert_eq!((link.touched().len(), &*link.touched()[0].action), (1, "abort UNAVAILABLE"));
}

#[tokio::test]
async fn a_response_is_delayed_before_its_headers_or_its_body() {
    let server = server().await;
    let link = http_link_to(server.addr);
    let client = client(&link).await;
    for before in [Part::Headers, Part::Body] {
        link.toxics().add("slow", http(on("/slow"), HttpAction::Delay { by: ms(200), before })).unwrap();
        let asked = Instant::now();
        let answer = ask(&client, request("/slow"), b"body".to_vec()).await;
        println!("{before:?}: {:?}", asked.elapsed());
        assert!(asked.elapsed() >= ms(200) && answer.body == b"body" && answer.trailers.is_some());
        assert_eq!(ask(&client, request("/empty"), vec![]).await.headers["x-stock"], "7");
        link.toxics().clear().unwrap();
    }
    assert_eq!(link.counters().http_delayed, 2);
}

#[tokio::test]
async fn a_truncated_stream_is_reset_and_the_others_go_on() {
    let server = server().await;
    let link = http_link_to(server.addr);
    let client = client(&link).await;
    link.toxics().add("cut", http(on("/cut"), HttpAction::Truncate { after: 1000 })).unwrap();
    for round in 1..=10 {
        let cut = ask(&client, request("/cut"), vec![b'x'; 200_000]).await;
        assert_eq!((cut.status, cut.body.len(), cut.broken), (200, 1000, Some(::h2::Reason::INTERNAL_ERROR)));
        let body = random_bytes(round, 100_000);
        let whole = ask(&client, request("/echo"), body.clone()).await;
        assert!(whole.body == body && whole.trailers.is_some());
        assert_eq!(link.counters().http_truncated, round);
    }
    assert_eq!(ask(&client, request("/cut"), vec![b'x'; 1000]).await.broken, None);
    assert_eq!((link.counters().accepted, link.counters().http_opaque), (1, 0));
}

#[tokio::test]
async fn a_corrupted_body_keeps_its_length_and_the_framing_of_grpc() {
    let server = server().await;
    let link = http_link_to(server.addr);
    let client = client(&link).await;
    link.toxics().add("break", http(RequestMatch::default(), HttpAction::Corrupt { every: 1 })).unwrap();
    let plain = ask(&client, request("/echo"), vec![b'x'; 100_000]).await;
    assert!(plain.body.len() == 100_000 && plain.body.iter().all(|byte| *byte != b'x') && plain.trailers.is_some());
    let messages = b"\0\0\0\0\x03abc\0\0\0\0\0\0\0\0\0\x01d".repeat(50);
    let call = Request::post("http://shop/a.B/C").header("content-type", "application/grpc").body(()).unwrap();
    let body = ask(&client, call, messages.clone()).await.body;
    assert_eq!(body.len(), messages.len());
    for (broken, whole) in body.chunks(19).zip(messages.chunks(19)) {
        let framing = |message: &[u8]| [&message[..5], &message[8..18]].concat();
        assert_eq!(framing(broken), framing(whole));
        assert!(broken[5..8] != *b"abc" && broken[18] != b'd');
    }
    assert_eq!(link.counters().http_corrupted, 2);
}

#[tokio::test]
async fn headers_are_set_and_dropped_both_ways() {
    let server = server().await;
    let link = http_link_to(server.addr);
    let client = client(&link).await;
    ask(&client, request("/headers"), vec![]).await;
    let set = |on, name: &str, value: &str| HttpAction::SetHeader { on, name: name.into(), value: value.into() };
    link.toxics().add("a", http(on("/headers"), set(Message::Request, "X-Tenant", "b"))).unwrap();
    link.toxics().add("b", http(on("/headers"), set(Message::Response, "x-stock", "0"))).unwrap();
    let act = HttpAction::DropHeader { on: Message::Response, name: "x-source".into() };
    link.toxics().add("c", http(on("/headers"), act)).unwrap();
    for _ in 0..2 {
        let seen = ask(&client, request("/headers"), vec![]).await;
        assert!(String::from_utf8_lossy(&seen.body).contains(r#""x-tenant": "b""#), "{seen:?}");
        assert_eq!((&seen.headers["x-stock"], seen.headers.get("x-source")), (&"0".parse().unwrap(), None));
        let other = ask(&client, request("/empty"), vec![]).await;
        assert_eq!(
            (&other.headers["x-stock"], &other.headers["x-source"]),
            (&"7".parse().unwrap(), &"callee".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn beyond_the_limit_there_is_429() {
    let server = server().await;
    let link = http_link_to(server.addr);
    let limit = HttpAction::RateLimit { requests: 1, per: Duration::from_secs(60) };
    link.toxics().add("limit", http(RequestMatch::default(), limit)).unwrap();
    let (one, two) = (client(&link).await, client(&link).await);
    assert_eq!(ask(&one, request("/empty"), vec![]).await.status, 200);
    for client in [one, two] {
        let answer = ask(&client, request("/empty"), vec![]).await;
        assert!(answer.status == 429 && answer.headers.contains_key("retry-after"), "{answer:?}");
    }
}
