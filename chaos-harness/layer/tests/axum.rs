//! An axum service under load, over real sockets.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use chaos_layer::{Act, ChaosControl, ChaosLayer, Rule, When};
use reqwest::Client;

const MINUTE: Duration = Duration::from_secs(60);
const SLOW: Duration = Duration::from_millis(200);

async fn service() -> (ChaosControl, String) {
    let control = ChaosControl::new();
    let app = Router::new()
        .route("/stock/{sku}", get(async || "7"))
        .route("/health", get(async || "well"))
        .layer(ChaosLayer::new(control.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());
    (control, url)
}

fn on_stock(act: Act) -> Rule {
    Rule { when: When { path: Some("/stock/*".to_owned()), ..When::default() }, ..act.into() }
}

#[tokio::test]
async fn every_fault_is_seen_by_users_and_ends() {
    let (control, url) = service().await;
    let client = Client::builder().no_proxy().build().unwrap();
    let ask = async |path: &str, patience: Duration| {
        let asked = Instant::now();
        let answer = client.get(format!("{url}{path}")).timeout(patience).send().await;
        (answer.map(|answer| answer.status().as_u16()).map_err(|error| error.is_timeout()), asked.elapsed())
    };
    let patience = Duration::from_secs(10);
    for (act, expected) in [
        (Act::Delay { by: SLOW, jitter: SLOW / 4 }, Ok(200)),
        (Act::Error { status: 502, grpc: None }, Ok(502)),
        (Act::Hang { at_most: SLOW }, Ok(504)),
        (Act::RateLimit { requests: 0, per: MINUTE }, Ok(429)),
    ] {
        control.put("r", on_stock(act.clone()), MINUTE).unwrap();
        let (answer, took) = ask("/stock/tea", patience).await;
        assert_eq!(answer, expected, "{act}");
        let waits = matches!(act, Act::Delay { .. } | Act::Hang { .. });
        assert!(!waits || took >= SLOW * 3 / 4, "{act}: {took:?}");
        assert_eq!(ask("/health", patience).await.0, Ok(200), "{act} is of another path");
        assert_eq!(control.rule("r").unwrap().bitten, 1);
        control.remove("r");
        assert_eq!(ask("/stock/tea", patience).await.0, Ok(200));
    }
    control.put("h", on_stock(Act::Hang { at_most: MINUTE }), MINUTE).unwrap();
    assert_eq!(ask("/stock/tea", SLOW).await.0, Err(true), "the caller gives up first");
}

#[tokio::test]
async fn a_share_of_concurrent_requests_fails() {
    let (control, url) = service().await;
    let failing = Rule { share: 0.3, seed: 7, ..on_stock(Act::Error { status: 503, grpc: None }) };
    control.put("f", failing, MINUTE).unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    let users = (0..10).map(|_| {
        let (client, url) = (client.clone(), format!("{url}/stock/tea"));
        tokio::spawn(async move {
            let mut failed = 0;
            for _ in 0..1000 {
                failed += u32::from(client.get(&url).send().await.unwrap().status() == 503);
            }
            failed
        })
    });
    let mut failed = 0;
    for user in users.collect::<Vec<_>>() {
        failed += user.await.unwrap();
    }
    assert!((2900..=3100).contains(&failed), "{failed} of 10000 failed");
    let counted = control.rule("f").unwrap();
    assert_eq!((counted.matched, counted.bitten), (10_000, u64::from(failed)));
}
