//! What rules do to the requests of a service, on a clock that the test turns.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::convert::Infallible;
use std::time::Duration;

use chaos_layer::{Act, ChaosControl, ChaosLayer, Fault, HeaderMatch, Rule, When};
use http::{Request, Response, StatusCode};
use proptest::prelude::*;
use tokio::time::Instant;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn failing() -> Rule {
    Act::Error { status: 503, grpc: None }.into()
}

fn slow(by: Duration) -> Rule {
    Act::Delay { by, jitter: Duration::ZERO }.into()
}

fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

/// What the service behind a layer answers.
async fn ask(control: &ChaosControl, request: Request<()>) -> Response<()> {
    let service = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
    ServiceBuilder::new().layer(ChaosLayer::new(control.clone())).service(service).oneshot(request).await.unwrap()
}

async fn status(control: &ChaosControl, request: Request<()>) -> u16 {
    ask(control, request).await.status().as_u16()
}

/// Which of `count` requests fail.
async fn failed(rule: Rule, count: usize) -> Vec<bool> {
    let control = ChaosControl::new();
    control.put("r", rule, MINUTE).unwrap();
    let mut failed = Vec::with_capacity(count);
    for _ in 0..count {
        failed.push(ask(&control, get("/")).await.status() != StatusCode::OK);
    }
    let bitten = control.rule("r").unwrap();
    assert_eq!((bitten.matched, bitten.bitten), (count as u64, failed.iter().filter(|it| **it).count() as u64));
    failed
}

#[tokio::test]
async fn a_share_is_met_within_one_point_and_the_seed_decides_which() {
    for share in [0.0, 0.01, 0.1, 0.25, 0.5, 0.9, 1.0] {
        for seed in [0, 1, 42, u64::MAX] {
            let rule = || Rule { share, seed, ..failing() };
            let first = failed(rule(), 10_000).await;
            let measured = first.iter().filter(|it| **it).count() as f64 / 10_000.0;
            assert!((measured - share).abs() <= 0.01, "{measured} of {share} under seed {seed}");
            assert_eq!(first, failed(rule(), 10_000).await, "{share} under seed {seed}");
        }
    }
    let under = async |seed| failed(Rule { share: 0.5, seed, ..failing() }, 64).await;
    assert_ne!(under(1).await, under(2).await);
}

#[tokio::test(start_paused = true)]
async fn delays_add_up_and_end_with_their_rule() {
    let control = ChaosControl::new();
    control.put("a", slow(SECOND), MINUTE).unwrap();
    control.put("b", slow(2 * SECOND), MINUTE).unwrap();
    let asked = Instant::now();
    assert_eq!(status(&control, get("/")).await, 200);
    assert_eq!(asked.elapsed().as_secs(), 3);

    let waiting = tokio::spawn({
        let control = control.clone();
        async move { status(&control, get("/")).await }
    });
    let asked = Instant::now();
    tokio::time::sleep(SECOND / 2).await;
    assert!(control.remove("a") && !control.remove("a"));
    control.remove("b");
    assert_eq!(waiting.await.unwrap(), 200);
    assert_eq!(asked.elapsed(), SECOND / 2);
}

#[tokio::test(start_paused = true)]
async fn a_hang_lasts_until_its_bound_or_its_end() {
    let control = ChaosControl::new();
    let hang = Act::Hang { at_most: 5 * SECOND };
    control.put("h", hang.clone(), MINUTE).unwrap();
    let asked = Instant::now();
    assert_eq!(status(&control, get("/")).await, 504);
    assert_eq!(asked.elapsed().as_secs(), 5);

    let gives_up = tokio::time::timeout(SECOND, ask(&control, get("/"))).await;
    assert!(gives_up.is_err(), "nobody answers before the caller gives up");

    control.put("h", hang, 2 * SECOND).unwrap();
    let asked = Instant::now();
    assert_eq!(status(&control, get("/")).await, 504, "the lease ends before the bound");
    assert_eq!(asked.elapsed().as_secs(), 2);
    assert_eq!(status(&control, get("/")).await, 200);
    assert!(!control.is_on(), "the first request after the lease clears up");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_with_its_counts_and_ends_without() {
    let control = ChaosControl::new();
    control.put("f", failing(), 10 * SECOND).unwrap();
    for _ in 0..3 {
        tokio::time::sleep(8 * SECOND).await;
        assert_eq!(status(&control, get("/")).await, 503);
        control.put("f", failing(), 10 * SECOND).unwrap();
    }
    assert_eq!(control.rule("f").unwrap().bitten, 3);
    control.put("f", Rule { share: 0.5, ..failing() }, 10 * SECOND).unwrap();
    assert_eq!(control.rule("f").unwrap().bitten, 0, "another rule in its place counts anew");
    tokio::time::sleep(11 * SECOND).await;
    assert!(control.rule("f").is_none() && control.report().rules.is_empty() && !control.is_on());
}

#[tokio::test(start_paused = true)]
async fn what_is_beyond_the_limit_is_turned_away_until_the_next_window() {
    let control = ChaosControl::new();
    control.put("l", Act::RateLimit { requests: 2, per: 10 * SECOND }, MINUTE).unwrap();
    for _ in 0..3 {
        assert_eq!([status(&control, get("/")).await, status(&control, get("/")).await], [200, 200]);
        tokio::time::sleep(4 * SECOND).await;
        let refused = ask(&control, get("/")).await;
        assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "6"));
        tokio::time::sleep(6 * SECOND).await;
    }
    let counted = control.rule("l").unwrap();
    assert_eq!((counted.matched, counted.bitten), (9, 3));
}

#[tokio::test]
async fn only_what_fits_is_touched() {
    let header = |value: Option<&str>| HeaderMatch { name: "X-Tenant".to_owned(), value: value.map(str::to_owned) };
    let path = |path: &str| When { path: Some(path.to_owned()), ..When::default() };
    let a = || Request::post("/stock/tea?x=1").header("x-tenant", "b").header("x-tenant", "a").body(()).unwrap();
    for (when, fits) in [
        (When::default(), true),
        (path("/stock/tea"), true),
        (path("/stock"), false),
        (path("/stock*"), true),
        (path("/stock/coffee*"), false),
        (When { method: Some("POST".to_owned()), ..path("*") }, true),
        (When { method: Some("GET".to_owned()), ..When::default() }, false),
        (When { headers: vec![header(None)], ..When::default() }, true),
        (When { headers: vec![header(Some("a"))], ..path("/stock/*") }, true),
        (When { headers: vec![header(Some("c"))], ..When::default() }, false),
        (When { headers: vec![header(None)], ..path("/other") }, false),
    ] {
        let control = ChaosControl::new();
        control.put("r", Rule { when: when.clone(), ..failing() }, MINUTE).unwrap();
        assert_eq!(status(&control, a()).await == 503, fits, "{when}");
        assert_eq!(control.rule("r").unwrap().matched, u64::from(fits), "{when}");
    }
}

#[tokio::test]
async fn a_refused_request_reaches_neither_the_service_nor_a_later_rule() {
    let control = ChaosControl::new();
    control.put("a", failing(), MINUTE).unwrap();
    control.put("b", Act::Error { status: 500, grpc: None }, MINUTE).unwrap();
    let service = service_fn(async |_: Request<()>| -> Result<Response<()>, Infallible> { panic!("it got through") });
    let service = ServiceBuilder::new().layer(ChaosLayer::new(control.clone())).service(service);
    assert_eq!(service.oneshot(get("/")).await.unwrap().status().as_u16(), 503);
    assert_eq!(control.rule("b").unwrap().matched, 0);
}

#[tokio::test(start_paused = true)]
async fn a_plain_service_fails_with_a_typed_error() {
    let control = ChaosControl::new();
    let service = service_fn(async |pieces: u32| Ok::<_, BoxError>(pieces + 1));
    let service = ServiceBuilder::new().layer(ChaosLayer::plain(control.clone(), "stock-db")).service(service);
    let ask = async || service.clone().oneshot(1).await.map_err(|error| *error.downcast::<Fault>().unwrap());
    let name = || "stock-db".to_owned();
    assert_eq!(ask().await, Ok(2));
    for (act, expected) in [
        (Act::Error { status: 500, grpc: None }, Fault::Failed { name: name(), status: 500 }),
        (Act::Hang { at_most: SECOND }, Fault::TimedOut { name: name() }),
        (Act::RateLimit { requests: 0, per: SECOND }, Fault::TooMany { name: name(), retry_after: SECOND }),
    ] {
        let when = When { path: Some(name()), ..When::default() };
        control.put("r", Rule { when, ..act.into() }, MINUTE).unwrap();
        assert_eq!(ask().await, Err(expected));
    }
    let when = When { path: Some("other-db".to_owned()), ..When::default() };
    control.put("r", Rule { when, ..failing() }, MINUTE).unwrap();
    assert_eq!(ask().await, Ok(2));
}

#[test]
fn what_makes_no_sense_is_named() {
    let control = ChaosControl::new();
    let when = |when: When| Rule { when, ..failing() };
    let method = when(When { method: Some("G E T".to_owned()), ..When::default() });
    let path = |path: &str| when(When { path: Some(path.to_owned()), ..When::default() });
    let header = HeaderMatch { name: "no good".to_owned(), value: None };
    let header = when(When { headers: vec![header], ..When::default() });
    let jitter: Rule = Act::Delay { by: SECOND, jitter: MINUTE }.into();
    let error = |status, grpc| Rule::from(Act::Error { status, grpc });
    for (rule, field) in [
        (Rule { share: 1.1, ..failing() }, "share"),
        (Rule { share: f64::NAN, ..failing() }, "share"),
        (method, "method"),
        (path(""), "path"),
        (path("/a*b"), "path"),
        (header, "name"),
        (slow(Duration::ZERO), "by"),
        (jitter, "jitter"),
        (error(200, None), "status"),
        (error(503, Some(17)), "grpc"),
        (Act::Hang { at_most: 61 * MINUTE }.into(), "at_most"),
        (Act::RateLimit { requests: 1, per: Duration::ZERO }.into(), "per"),
    ] {
        assert_eq!(control.put("r", rule, MINUTE).unwrap_err().field, field);
    }
    for name in ["", "..", "a/b", "ä", &"x".repeat(101)] {
        assert_eq!(control.put(name, failing(), MINUTE).unwrap_err().field, "name");
    }
    assert_eq!(control.put("r", failing(), Duration::ZERO).unwrap_err().field, "ttl");
    assert!(!control.is_on());
    (0..100).for_each(|n| control.put(&format!("r{n}"), failing(), MINUTE).unwrap());
    assert_eq!(control.put("one-more", failing(), MINUTE).unwrap_err().field, "name");
}

/// Any rule that makes sense.
fn any_rule() -> impl Strategy<Value = Rule> {
    let time = || (1..3_600_000_u64).prop_map(Duration::from_millis);
    let act = prop_oneof![
        (time(), 0.0..=1.0).prop_map(|(by, part)| Act::Delay { by, jitter: by.mul_f64(part).min(by) }),
        (400..=599_u16, proptest::option::of(1..=16_u8)).prop_map(|(status, grpc)| Act::Error { status, grpc }),
        time().prop_map(|at_most| Act::Hang { at_most }),
        (any::<u64>(), time()).prop_map(|(requests, per)| Act::RateLimit { requests, per }),
    ];
    let header = ("[a-z-]{1,9}", proptest::option::of("[a-z ]{0,9}"));
    let headers = proptest::collection::vec(header.prop_map(|(name, value)| HeaderMatch { name, value }), 0..3);
    let when = (proptest::option::of("[A-Z]{1,7}"), proptest::option::of("/[a-z/]{0,9}[*]?"), headers);
    let when = when.prop_map(|(method, path, headers)| When { method, path, headers });
    // What people write: serde_json may round the seventeenth digit.
    let share = (0..=10_000_u32).prop_map(|share| f64::from(share) / 10_000.0);
    (when, share, any::<u64>(), act).prop_map(|(when, share, seed, act)| Rule { when, share, seed, act })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rule_survives_being_data(rule in any_rule()) {
        rule.validate().unwrap();
        let data = serde_json::to_string(&rule).unwrap();
        prop_assert_eq!(serde_json::from_str::<Rule>(&data).unwrap(), rule, "{}", data);
    }

    /// A request that a share strikes is struck under any greater share of the same seed.
    #[test]
    fn shares_are_nested(seed: u64, less in 0.0..=1.0, more in 0.0..=1.0) {
        let (less, more) = if less <= more { (less, more) } else { (more, less) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let of = |share| runtime.block_on(failed(Rule { share, seed, ..failing() }, 50));
        prop_assert!(of(less).into_iter().zip(of(more)).all(|(less, more)| more || !less));
    }

    /// A delay lies within its jitter, and the seed decides it.
    #[test]
    fn jitter_is_within_bounds(seed: u64, by in 1..5000_u64, part in 0.0..=1.0) {
        let by = Duration::from_millis(by);
        let jitter = by.mul_f64(part).min(by);
        let builder = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let took = || builder().block_on(async {
            let control = ChaosControl::new();
            control.put("d", Rule { seed, ..Act::Delay { by, jitter }.into() }, MINUTE).unwrap();
            let asked = Instant::now();
            ask(&control, get("/")).await;
            asked.elapsed()
        });
        let first = took();
        let rounding = Duration::from_millis(1);
        prop_assert!(first >= by - jitter && first <= by + jitter + rounding, "{first:?}");
        prop_assert_eq!(first, took());
    }
}
