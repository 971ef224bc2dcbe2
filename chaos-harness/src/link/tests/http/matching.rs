//! Which requests a toxic acts on.

use super::h1::{Axum, url};
use super::*;

/// Which of `count` requests to `/stock/1` are aborted.
async fn aborted(seed: u64, count: usize, when: RequestMatch) -> Vec<usize> {
    let server = Axum::start().await;
    let link = LinkProxy::bind_http(LOCAL, seed).unwrap();
    link.set_upstream(Some(server.addr));
    link.toxics().add("stop", http(when, abort(500))).unwrap();
    let client = reqwest::Client::new();
    let mut aborted = Vec::new();
    for n in 1..=count {
        if client.get(url(&link, "/stock/1")).send().await.unwrap().status() == 500 {
            aborted.push(n);
        }
    }
    aborted
}

#[tokio::test]
async fn every_nth_and_the_first_few() {
    let all = RequestMatch::default;
    assert_eq!(aborted(7, 7, RequestMatch { every: Some(3), ..all() }).await, [3, 6]);
    assert_eq!(aborted(7, 5, RequestMatch { first: Some(2), ..all() }).await, [1, 2]);
    assert_eq!(aborted(7, 9, RequestMatch { every: Some(2), first: Some(2), ..all() }).await, [2, 4]);
}

#[tokio::test]
async fn a_share_depends_on_the_seed_alone() {
    let share = |share| RequestMatch { share, ..RequestMatch::default() };
    let (one, again, other) =
        (aborted(7, 200, share(0.3)).await, aborted(7, 200, share(0.3)).await, aborted(8, 200, share(0.3)).await);
    assert!(one == again && one != other && (35..85).contains(&one.len()), "{one:?}");
    assert!(aborted(7, 5, share(0.0)).await.is_empty());
}

#[tokio::test]
async fn method_path_and_headers_must_all_fit() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    let header = |name: &str, value: Option<&str>| HeaderMatch { name: name.into(), value: value.map(Into::into) };
    let when = RequestMatch {
        method: Some("PUT".into()),
        headers: vec![header("X-Tenant", Some("a")), header("x-any", None)],
        ..on("/e*o")
    };
    link.toxics().add("stop", http(when, abort(418))).unwrap();
    let client = reqwest::Client::new();
    let all = || client.put(url(&link, "/echo?q")).header("x-tenant", "a").header("x-any", "thing");
    assert_eq!(all().send().await.unwrap().status(), 418);
    for other in [
        client.post(url(&link, "/echo")).header("x-tenant", "a").header("x-any", "thing"),
        client.put(url(&link, "/echoes")).header("x-tenant", "a").header("x-any", "thing"),
        client.put(url(&link, "/echo")).header("x-tenant", "b").header("x-any", "thing"),
        client.put(url(&link, "/echo")).header("x-tenant", "a"),
    ] {
        assert_ne!(other.send().await.unwrap().status(), 418);
    }
}

#[tokio::test]
async fn the_nth_call_of_a_trace_whatever_else_is_called() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    link.toxics().add("stop", http(RequestMatch { nth_of_trace: Some(2), ..on("/reserve") }, abort(503))).unwrap();
    let client = reqwest::Client::new();
    let ask = |path: &'static str, trace: Option<u32>| {
        let request = client.post(url(&link, path));
        let traced = |trace| format!("00-{trace:032x}-00f067aa0ba902b7-01");
        let request = trace.map_or(request.try_clone().unwrap(), |trace| request.header("traceparent", traced(trace)));
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(ask("/reserve", Some(1)).await, 200);
    assert_eq!(ask("/reserve", Some(2)).await, 200);
    assert_eq!(ask("/echo", Some(1)).await, 200);
    assert_eq!((ask("/reserve", None).await, ask("/reserve", None).await), (200, 200));
    assert_eq!(ask("/reserve", Some(1)).await, 503);
    assert_eq!(ask("/reserve", Some(1)).await, 200);
    assert_eq!(ask("/reserve", Some(2)).await, 503);
    let traces: Vec<_> = link.touched().into_iter().map(|touched| touched.trace.unwrap()).collect();
    assert_eq!(traces, [format!("{:032x}", 1), format!("{:032x}", 2)]);
}

#[tokio::test]
async fn a_request_that_is_answered_is_not_seen_by_later_toxics() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    link.toxics().add("stop", http(RequestMatch { first: Some(1), ..on("/reserve") }, abort(503))).unwrap();
    link.toxics().add("refuse", http(RequestMatch { first: Some(1), ..on("/reserve") }, abort(504))).unwrap();
    let client = reqwest::Client::new();
    for status in [503, 504, 200] {
        assert_eq!(client.post(url(&link, "/reserve")).send().await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn a_toxic_may_affect_a_share_of_the_connections() {
    let server = Axum::start().await;
    let link = http_link_to(server.addr);
    link.toxics().add("stop", http(RequestMatch::default(), abort(503)).probability(0.5)).unwrap();
    let mut statuses = Vec::new();
    for _ in 0..20 {
        let client = reqwest::Client::new();
        let (one, two) = (client.get(url(&link, "/stock/1")), client.get(url(&link, "/stock/1")));
        let (one, two) = (one.send().await.unwrap().status(), two.send().await.unwrap().status());
        assert_eq!(one, two);
        statuses.push(one);
    }
    let hit = statuses.iter().filter(|status| **status == 503).count();
    assert!((4..=16).contains(&hit), "{hit} of 20 connections");
}
