//! Probes against real servers.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use super::*;
use crate::measure::testing::ms;
use crate::measure::{Detection, Window, detection};

const METRICS: [&str; 2] = ["breaker{callee=\"inventory\"} 0\n", "breaker{callee=\"inventory\"} 2\n"];

/// Healthy with a closed breaker until `broken` is set.
async fn serve(broken: Arc<AtomicBool>) -> SocketAddr {
    let metrics = Arc::clone(&broken);
    let router = Router::new()
        .route("/metrics", get(|| async move { METRICS[usize::from(metrics.load(Ordering::SeqCst))] }))
        .route(
            "/ready",
            get(|| async move {
                if broken.load(Ordering::SeqCst) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
            }),
        )
        .route("/accepted", get(|| async { StatusCode::ACCEPTED }))
        .route("/moved", get(|| async { axum::response::Redirect::temporary("/ready") }))
        .route(
            "/open",
            get(|| async {
                let body = "breaker_total 2 1520879607.789 # {id=\"a\"} 1\n# EOF\n";
                ([("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")], body)
            }),
        )
        .route("/silent", get(std::future::pending::<()>));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn readings(probes: &RunningProbes, count: usize) {
    let enough = async {
        while probes.series().iter().any(|series| series.readings.len() < count) {
            tokio::time::sleep(ms(5)).await;
        }
    };
    tokio::time::timeout(ms(20_000), enough).await.expect("the readings come within 20 s");
}

fn last_failure(series: &Series) -> String {
    series.failures.last().expect("a reading failed").why.to_string()
}

#[tokio::test]
async fn metrics_and_health_detect_a_fault() {
    let broken = Arc::new(AtomicBool::new(false));
    let address = serve(Arc::clone(&broken)).await;
    let clock = Clock::start();
    let probes = [
        Probe::metric("breaker", "order", "/metrics", r#"breaker{callee="inventory"}"#).detects_at_least(2.0),
        Probe::health("ready", "order", "/ready").every(ms(20)).detects_below(1.0),
    ];
    let running = RunningProbes::start(&probes, clock, |_| Some(address)).unwrap();
    readings(&running, 3).await;
    let injected = clock.now();
    broken.store(true, Ordering::SeqCst);
    readings(&running, running.series().iter().map(|series| series.readings.len()).max().unwrap() + 3).await;
    let series = running.stop().await;
    let watch = Window::new(injected, clock.now());
    for (series, probe) in series.iter().zip(&probes) {
        let time = match detection(&series.readings, probe.detects.unwrap(), watch) {
            detected @ Detection::Detected { .. } => detected.time().unwrap(),
            other => panic!("{}: {other:?} in {series:?}", probe.name),
        };
        assert!(time < probe.every + ms(100), "{time:?}");
        assert!(series.readings.is_sorted_by_key(|reading| reading.at));
    }
    assert_eq!(last_failure(&series[1]), "status 503 Service Unavailable");
}

#[tokio::test]
async fn what_cannot_be_read_is_no_value_and_says_why() {
    let address = serve(Arc::default()).await;
    let probes = [
        Probe::metric("misspelt", "order", "/metrics", "braeker").every(ms(10)),
        Probe::metric("silent", "order", "/silent", "breaker").every(ms(10)).deadline(ms(50)),
        Probe::health("dead", "order", "/silent").every(ms(10)).deadline(ms(50)),
    ];
    let running = RunningProbes::start(&probes, Clock::start(), |_| Some(address)).unwrap();
    readings(&running, 5).await;
    let series = running.stop().await;
    let all = |series: &Series, value| series.readings.iter().all(|reading| reading.value == value);
    assert!(all(&series[0], None) && all(&series[1], None) && all(&series[2], Some(0.0)), "{series:?}");
    assert_eq!(last_failure(&series[0]), "no metric matches `braeker`; the page has `breaker`");
    assert_eq!(last_failure(&series[1]), "no answer within the deadline");
    // An open loop: readings are asked for while the ones before wait.
    assert!(series[1].readings.windows(2).all(|pair| pair[1].at - pair[0].at < ms(50)), "{series:?}");
}

/// One idea of healthy: every 2xx, and no redirect, as at a service's start.
#[tokio::test]
async fn healthy_is_what_it_is_at_the_start_of_a_service() {
    let address = serve(Arc::default()).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let probes = [
        Probe::health("accepted", "order", "/accepted").every(ms(20)),
        Probe::health("moved", "order", "/moved").every(ms(20)),
        Probe::metric("open", "order", "/open", "breaker_total").every(ms(20)),
        Probe::metric("missing", "order", "/nowhere", "breaker_total").every(ms(20)),
        Probe::health("closed", "closed", "/ready").every(ms(20)),
    ];
    let resolve = |service: &str| Some(if service == "closed" { closed } else { address });
    let running = RunningProbes::start(&probes, Clock::start(), resolve).unwrap();
    readings(&running, 2).await;
    let series = running.stop().await;
    let all = |series: &Series, value| series.readings.iter().all(|reading| reading.value == value);
    let expected = [Some(1.0), Some(0.0), Some(2.0), None, Some(0.0)];
    for (series, value) in series.iter().zip(expected) {
        assert!(all(series, value), "{series:?}");
    }
    assert_eq!(last_failure(&series[1]), "status 307 Temporary Redirect");
    assert_eq!(last_failure(&series[3]), "status 404 Not Found");
    assert_eq!(last_failure(&series[4]), "connection refused");
}

#[tokio::test]
async fn nonsense_is_refused_by_name() {
    #[track_caller]
    fn refused(probes: &[Probe], because: &str) {
        let address = "127.0.0.1:9".parse().ok();
        let resolve = |service: &str| if service == "order" { address } else { None };
        let error = RunningProbes::start(probes, Clock::start(), resolve).unwrap_err().to_string();
        assert!(error.contains(because), "{error}");
    }
    let probe = || Probe::health("ready", "order", "/ready");
    refused(&[Probe::health("ready", "oder", "/ready")], "service `oder`");
    refused(&[Probe::health("ready", "order", "ready")], "path `ready` of probe `ready`");
    refused(&[Probe::metric("m", "order", "/metrics", "m{")], "probe `m` cannot be read");
    refused(&[probe().every(Duration::ZERO)], "probe `ready` has an interval");
    refused(&[probe(), probe()], "two probes are called `ready`");
}
