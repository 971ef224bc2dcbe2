//! What each action does to HTTP/1.1.

use std::time::Instant;

use super::h1::{Axum, url};
use super::*;

#[tokio::test]
async fn an_aborted_request_does_not_reach_the_callee_and_is_recorded() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    let client = reqwest::Client::new();
    assert_eq!(client.post(url(&link, "/reserve")).send().await.unwrap().status(), 200);
    let bytes_up = link.counters().bytes_up;
    link.toxics()
        .add("stop", http(RequestMatch { method: Some("POST".into()), ..on("/reserve") }, abort(503)))
        .unwrap();
    let request = client.post(url(&link, "/reserve?item=1")).header("traceparent", TRACE);
    let answer = request.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.content_length()), (503, Some(0)));
    assert_eq!(link.counters().bytes_up, bytes_up);
    assert_eq!(client.get(url(&link, "/stock/1")).send().await.unwrap().status(), 200);
    link.toxics().remove("stop").unwrap();
    assert_eq!(client.post(url(&link, "/reserve")).send().await.unwrap().status(), 200);
    assert_eq!((link.counters().accepted, link.counters().http_requests, link.counters().http_aborted), (1, 4, 1));
    let touched = link.touched();
    assert_eq!(touched.len(), 1);
    let it = &touched[0];
    assert_eq!((&*it.method, &*it.path, &*it.toxic, &*it.action), ("POST", "/reserve?item=1", "stop", "abort 503"));
    assert_eq!((it.trace.as_deref(), it.status), (Some(&TRACE[3..35]), Some(503)));
    let json = serde_json::to_value(it).unwrap();
    println!("{json}");
    assert_eq!(serde_json::from_value::<Touched>(json).unwrap().at, it.at);
}

#[tokio::test]
async fn a_response_is_delayed_before_its_headers_or_its_body() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    let client = reqwest::Client::new();
    for (before, headers) in [(Part::Headers, true), (Part::Body, false)] {
        link.toxics().add("slow", http(on("/large"), HttpAction::Delay { by: ms(300), before })).unwrap();
        let asked = Instant::now();
        let response = client.get(url(&link, "/large")).send().await.unwrap();
        let headers_after = asked.elapsed();
        let body = response.bytes().await.unwrap();
        println!("{before:?}: headers after {headers_after:?}, body after {:?}", asked.elapsed());
        assert!(body.len() == 300_000 && asked.elapsed() >= ms(300));
        assert_eq!(headers_after >= ms(300), headers);
        link.toxics().clear().unwrap();
    }
    assert_eq!(link.counters().http_delayed, 2);
}

#[tokio::test]
async fn a_change_of_a_delay_holds_for_what_waits() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    let hour = Duration::from_secs(3600);
    for release in [None, Some(http(RequestMatch::default(), delay(ms(1)))), Some(idle())] {
        link.toxics().add("slow", http(RequestMatch::default(), delay(hour))).unwrap();
        let delayed = link.counters().http_delayed;
        let asked = tokio::spawn(reqwest::get(url(&link, "/large")));
        until(|| link.counters().http_delayed > delayed).await;
        assert!(!asked.is_finished());
        if let Some(release) = release {
            link.toxics().update("slow", release).unwrap();
        } else {
            link.toxics().remove("slow").unwrap();
        }
        let body = soon(asked).await.unwrap().unwrap().bytes().await.unwrap();
        assert_eq!(body.len(), 300_000);
        link.toxics().clear().unwrap();
    }
}

#[tokio::test]
async fn delays_add_up_and_an_answer_waits_too() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    link.toxics().add("slow", http(RequestMatch::default(), delay(ms(100)))).unwrap();
    link.toxics().add("slower", http(RequestMatch::default(), delay(ms(150)))).unwrap();
    link.toxics().add("stop", http(on("/reserve"), abort(500))).unwrap();
    link.toxics().add("network", latency(ms(50)).direction(Direction::Down)).unwrap();
    for path in ["/large", "/reserve"] {
        let asked = Instant::now();
        reqwest::get(url(&link, path)).await.unwrap();
        assert!(asked.elapsed() >= ms(300), "{path} after {:?}", asked.elapsed());
    }
}

#[tokio::test]
async fn a_truncated_body_is_seen_as_broken_off() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    link.toxics().add("cut", http(on("/*"), HttpAction::Truncate { after: 1000 })).unwrap();
    let client = reqwest::Client::new();
    let mut response = client.get(url(&link, "/large")).send().await.unwrap();
    let mut body = Vec::new();
    let error = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => panic!("the body should not have ended in order"),
            Err(error) => break error,
        }
    };
    println!("{error:?}");
    assert_eq!(body.len(), 1000);
    let short = client.post(url(&link, "/reserve")).send().await.unwrap();
    assert_eq!(short.text().await.unwrap(), "reserved");
    assert_eq!(link.counters().http_truncated, 1);
    drop(client);
    until(|| link.counters().active == 0).await;
}

#[tokio::test]
async fn a_corrupted_body_keeps_its_length_and_depends_on_the_seed() {
    let server = Axum::start().await;
    let mut bodies = Vec::new();
    for seed in [7, 7, 8] {
        let link = LinkProxy::bind_http(LOCAL, seed).unwrap();
        link.set_upstream(Some(server.addr));
        link.toxics().add("break", http(RequestMatch::default(), HttpAction::Corrupt { every: 100 })).unwrap();
        let body = reqwest::get(url(&link, "/large")).await.unwrap().bytes().await.unwrap();
        assert_eq!((body.len(), link.counters().http_corrupted), (300_000, 1));
        bodies.push(body);
    }
    let flipped = bodies[0].iter().filter(|byte| **byte != b'x').count();
    assert!((2000..4000).contains(&flipped), "{flipped} of 300 000 bytes");
    assert_ne!(bodies[0][0], b'x');
    assert!(bodies[0].iter().all(|byte| (byte ^ b'x').count_ones() <= 1));
    assert!(bodies[0] == bodies[1] && bodies[0] != bodies[2]);
}

#[tokio::test]
async fn headers_are_set_and_dropped_both_ways() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    let set = |on, name: &str, value: &str| HttpAction::SetHeader { on, name: name.into(), value: value.into() };
    let drop = |on, name: &str| HttpAction::DropHeader { on, name: name.into() };
    for (name, act) in [
        ("a", set(Message::Request, "X-Tenant", "b")),
        ("b", drop(Message::Request, "X-Secret")),
        ("c", set(Message::Response, "X-Stock", "0")),
        ("d", drop(Message::Response, "x-source")),
    ] {
        link.toxics().add(name, http(RequestMatch::default(), act)).unwrap();
    }
    let client = reqwest::Client::new();
    let seen = client.get(url(&link, "/headers")).header("x-tenant", "a").header("x-secret", "s").header("x-kept", "k");
    let seen = seen.send().await.unwrap().text().await.unwrap();
    assert!(seen.contains(r#""x-tenant": "b""#) && seen.contains("x-kept") && !seen.contains("x-secret"), "{seen}");
    let stock = client.get(url(&link, "/stock/1")).send().await.unwrap();
    assert_eq!((&stock.headers()["x-stock"], stock.headers().get("x-source")), (&"0".parse().unwrap(), None));
    assert_eq!((link.counters().http_rewritten, link.counters().accepted, link.touched().len()), (4, 1, 8));
}

#[tokio::test]
async fn trace_context_passes_as_it_is() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    let set = HttpAction::SetHeader { on: Message::Request, name: "x".into(), value: "y".into() };
    link.toxics().add("a", http(RequestMatch::default(), set)).unwrap();
    let client = reqwest::Client::new();
    let with = client.get(url(&link, "/headers")).header("traceparent", TRACE).header("tracestate", "a=b,c=d");
    let with = with.send().await.unwrap().text().await.unwrap();
    assert!(with.contains(TRACE) && with.contains("a=b,c=d"), "{with}");
    let without = client.get(url(&link, "/headers")).send().await.unwrap().text().await.unwrap();
    assert!(!without.contains("trace"), "{without}");
}

#[tokio::test]
async fn beyond_the_limit_there_is_429_until_the_window_ends() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    let limit = |per| http(on("/reserve"), HttpAction::RateLimit { requests: 2, per });
    link.toxics().add("limit", limit(Duration::from_secs(60))).unwrap();
    let client = reqwest::Client::new();
    let ask = || async { client.post(url(&link, "/reserve")).send().await.unwrap() };
    assert_eq!((ask().await.status(), ask().await.status()), (200.try_into().unwrap(), 200.try_into().unwrap()));
    for _ in 0..2 {
        let turned_away = ask().await;
        let wait: u64 = turned_away.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(turned_away.status() == 429 && (1..=60).contains(&wait), "{wait}");
    }
    assert_eq!(client.get(url(&link, "/stock/1")).send().await.unwrap().status(), 200);
    assert_eq!((link.counters().http_rate_limited, link.touched().len()), (2, 2));
    link.toxics().update("limit", limit(ms(1))).unwrap();
    tokio::time::sleep(ms(2)).await;
    assert_eq!(ask().await.status(), 200);
}
