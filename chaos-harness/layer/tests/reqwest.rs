//! A reqwest client under a layer: the fault is on the caller's side, and no request leaves it.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use chaos_layer::{Act, ChaosControl, ChaosLayer, HeaderMatch, Rule, When};
use reqwest::{Client, Method, Request};
use tower::{Service, ServiceBuilder, ServiceExt};

const MINUTE: Duration = Duration::from_secs(60);
const SLOW: Duration = Duration::from_millis(200);

#[tokio::test]
async fn requests_are_chosen_delayed_and_refused() {
    let reached = Arc::new(AtomicU32::new(0));
    let count = reached.clone();
    let app = Router::new().route("/stock", get(async move || count.fetch_add(1, Relaxed).to_string()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/stock?x=1", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());

    let control = ChaosControl::new();
    let client = Client::builder().no_proxy().build().unwrap();
    let mut client = ServiceBuilder::new().layer(ChaosLayer::new(control.clone())).service(client);
    let mut ask = async |tenant: &'static str| {
        let mut request = Request::new(Method::GET, url.parse().unwrap());
        request.headers_mut().insert("x-tenant", tenant.parse().unwrap());
        client.ready().await.unwrap().call(request).await.unwrap()
    };
    assert_eq!(ask("a").await.text().await.unwrap(), "0");

    let headers = vec![HeaderMatch { name: "x-tenant".to_owned(), value: Some("a".to_owned()) }];
    let when = When { path: Some("/stock".to_owned()), headers, ..When::default() };
    control.put("f", Rule { when, ..Act::Error { status: 503, grpc: None }.into() }, MINUTE).unwrap();
    let refused = ask("a").await;
    assert_eq!((refused.status().as_u16(), refused.text().await.unwrap()), (503, String::new()));
    assert_eq!(ask("b").await.text().await.unwrap(), "1", "another tenant is served");
    control.remove("f");

    control.put("d", Act::Delay { by: SLOW, jitter: Duration::ZERO }, MINUTE).unwrap();
    let asked = Instant::now();
    assert_eq!(ask("a").await.text().await.unwrap(), "2");
    assert!(asked.elapsed() >= SLOW);
    assert_eq!(reached.load(Relaxed), 3, "what was refused never reached the service");
}
