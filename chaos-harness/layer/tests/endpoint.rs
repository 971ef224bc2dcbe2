//! The control endpoint, over a socket of its own and mounted in a service.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use chaos_layer::{ChaosControl, ChaosLayer, ControlEndpoint, Refused, Report};
use reqwest::{Client, Method, StatusCode};

const FAILING: &str = r#"{"ttl":"1m","fault":{"when":{"path":"/stock"},"act":{"error":{"status":500}}}}"#;

struct Rig {
    client: Client,
    service: String,
    control: String,
}

/// A service that is layered, its control endpoint beside it.
async fn rig() -> Rig {
    let control = ChaosControl::new();
    let beside = control.listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    let app = Router::new()
        .route("/stock", get(async || "7"))
        .layer(ChaosLayer::new(control.clone()))
        .nest_service("/chaos", ControlEndpoint::new(control));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
    Rig { client, service, control: format!("http://{beside}") }
}

impl Rig {
    async fn send(&self, method: Method, path: &str, body: &str) -> reqwest::Response {
        let request = self.client.request(method, format!("{}{path}", self.control)).body(body.to_owned());
        request.send().await.unwrap()
    }

    async fn put(&self, path: &str, body: &str) -> StatusCode {
        self.send(Method::PUT, path, body).await.status()
    }

    async fn report(&self) -> Report {
        self.send(Method::GET, "/", "").await.json().await.unwrap()
    }

    async fn stock(&self) -> u16 {
        self.client.get(format!("{}/stock", self.service)).send().await.unwrap().status().as_u16()
    }
}

#[tokio::test]
async fn a_rule_is_put_counted_and_taken_away() {
    let rig = rig().await;
    assert_eq!(rig.stock().await, 200);
    assert_eq!(rig.report().await, Report::default());
    assert_eq!(rig.put("/rules/f", FAILING).await, 204);
    assert_eq!([rig.stock().await, rig.stock().await], [500, 500]);
    assert_eq!(rig.put("/rules/f", FAILING).await, 204);
    let report = rig.report().await;
    let rule = &report.rules["f"];
    assert_eq!((rule.matched, rule.bitten), (2, 2), "putting it again renews the lease and keeps the counts");
    assert!(rule.ends_in > Duration::from_secs(50) && rule.ends_in <= Duration::from_secs(60));
    for _ in 0..2 {
        assert_eq!(rig.send(Method::DELETE, "/rules/f", "").await.status(), 204);
        assert_eq!(rig.stock().await, 200);
    }
    rig.put("/rules/f", FAILING).await;
    assert_eq!(rig.send(Method::DELETE, "/", "").await.status(), 204);
    assert_eq!((rig.stock().await, rig.report().await), (200, Report::default()));
}

#[tokio::test]
async fn a_lease_ends_without_a_hand() {
    let rig = rig().await;
    let put = Instant::now();
    assert_eq!(rig.put("/rules/f", &FAILING.replace("1m", "300ms")).await, 204);
    assert_eq!(rig.stock().await, 500);
    while rig.stock().await != 200 {
        assert!(put.elapsed() < Duration::from_secs(10), "the lease does not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(put.elapsed() >= Duration::from_millis(300));
    assert_eq!(rig.report().await, Report::default());
}

#[tokio::test]
async fn it_may_be_mounted_in_the_service() {
    let rig = rig().await;
    let mounted = format!("{}/chaos/rules/f", rig.service);
    assert_eq!(rig.client.put(&mounted).body(FAILING).send().await.unwrap().status(), 204);
    assert_eq!(rig.stock().await, 500);
    let root = format!("{}/chaos", rig.service);
    let report: Report = rig.client.get(&root).send().await.unwrap().json().await.unwrap();
    assert_eq!(report.rules["f"].bitten, 1);
}

#[tokio::test]
async fn what_is_malformed_is_named() {
    let rig = rig().await;
    let rule = |rule: &str| format!(r#"{{"ttl":"1s","fault":{rule}}}"#);
    let big = " ".repeat(70_000);
    for (path, body, status, name) in [
        ("/rules/f", "", 400, "body"),
        ("/rules/f", "nonsense", 400, "body"),
        ("/rules/f", &big, 400, "body"),
        ("/rules/f", r#"{"fault":{"act":{"error":{}}}}"#, 400, "body"),
        ("/rules/f", &(FAILING.to_owned() + "x"), 400, "body"),
        ("/rules/f", &FAILING.replace("1m", "soon"), 400, "ttl"),
        ("/rules/f", &FAILING.replace("1m", "2h"), 422, "ttl"),
        ("/rules/f", &rule(r#"{"act":{"delay":{"by":5}}}"#), 400, "fault.act.delay.by"),
        ("/rules/f", &rule(r#"{"act":{"explode":{}}}"#), 400, "fault.act"),
        ("/rules/f", &rule(r#"{"act":{"error":{}},"shar":1}"#), 400, "fault.shar"),
        ("/rules/f", &rule(r#"{"act":{"error":{}},"share":2}"#), 422, "share"),
        ("/rules/f", &rule(r#"{"act":{"error":{"status":200}}}"#), 422, "status"),
        ("/rules/f", &rule(r#"{"act":{"error":{}},"when":{"path":"/a*b"}}"#), 422, "path"),
        ("/rules/.f", FAILING, 422, "name"),
        ("/rules", FAILING, 404, "path"),
        ("/rules/a/b", FAILING, 404, "path"),
        ("/nothing", FAILING, 404, "path"),
        ("/", FAILING, 405, "method"),
        ("/points/p", r#"{"ttl":"1s","fault":{"act":{"return":{"value":"a->b"}}}}"#, 422, "value"),
        ("/points/p", r#"{"ttl":"1s","fault":{"act":{"sleep":{"time":"0s"}}}}"#, 422, "time"),
    ] {
        let answer = rig.send(Method::PUT, path, body).await;
        assert_eq!(answer.status(), status, "{path} {body:.100}");
        let refused: Refused = answer.json().await.unwrap();
        assert_eq!(refused.name, name, "{path} {body:.100} {}", refused.problem);
    }
    let wrong = rig.send(Method::POST, "/rules/f", FAILING).await;
    assert_eq!((wrong.status().as_u16(), wrong.headers()["allow"].to_str().unwrap()), (405, "PUT, DELETE"));
    assert_eq!(rig.report().await, Report::default(), "nothing of it is in force");
    assert_eq!(rig.stock().await, 200);
}
