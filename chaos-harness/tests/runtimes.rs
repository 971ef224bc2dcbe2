//! One conformance suite for every runtime.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::time::Duration;

use chaos_harness::environment::{Environment, EnvironmentError};
use chaos_harness::runtime::{RuntimeError, RuntimeKind, State};
use chaos_harness::topology::{InstanceId, Service, Topology, USERS};
use common::{eventually, on, open, pair, product, refused, resources_of, start};

const GRACE: Duration = Duration::from_secs(2);

/// Each case on each runtime, as tests of their own.
macro_rules! conformance {
    ($($case:ident,)+) => {
        mod docker { $(#[test] fn $case() { super::on(super::RuntimeKind::Docker, super::$case); })+ }
        mod process { $(#[test] fn $case() { super::on(super::RuntimeKind::Process, super::$case); })+ }
    };
}

conformance! {
    an_instance_runs_answers_and_logs,
    a_long_line_is_cut,
    a_stopped_instance_stays_down_until_it_is_started_again,
    a_killed_instance_is_gone_and_stays_down,
    a_killed_instance_with_a_policy_comes_back,
    a_paused_instance_stands_still,
    an_unknown_instance_is_named,
    changes_are_told,
    environments_share_nothing,
    every_instance_has_its_own_address,
    what_cannot_start_says_why,
    what_is_destroyed_leaves_nothing,
    a_cancelled_start_leaves_nothing,
}

fn first() -> InstanceId {
    InstanceId::new("product", 1)
}

fn alone(service: Service) -> Topology {
    Topology::new("alone").service(service)
}

/// Whether the service answers at the address at which users find it.
async fn answers(environment: &Environment) -> bool {
    let address = environment.address("product").unwrap();
    let client = reqwest::Client::builder().timeout(Duration::from_millis(300)).build().unwrap();
    let answer = client.get(format!("http://{address}/products")).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// Whoever calls an instance that is down is refused, as by a system on which nobody listens, once the link has heard.
async fn refuses_every_caller(environment: &Environment) {
    let address = environment.address("product").unwrap();
    let refused = async || {
        let connected = tokio::net::TcpStream::connect(address).await;
        connected.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    eventually("callers are refused", &refused).await;
    for caller in 0..50 {
        assert!(refused().await, "caller {caller} of 50");
    }
}

async fn state(environment: &Environment) -> State {
    environment.runtime().status(&first()).await.unwrap().state
}

/// It ends at once and says why, with its argument twice.
async fn a_long_line_is_cut(kind: RuntimeKind) {
    let service = Service::new("product").cargo("shop", "shop").args(["x".repeat(60_000) + "\n::error::y"]);
    let EnvironmentError::Ended { log, .. } = refused(kind, alone(service)).await else { panic!("it started") };
    let [long, .., last] = log.as_slice() else { panic!("{log:?}") };
    assert!(long.len() < 4_200 && long.contains("xxx… (") && long.ends_with(" bytes more)"), "{long}");
    assert!(last.contains("::error::y"), "{last}");
}

async fn an_instance_runs_answers_and_logs(kind: RuntimeKind) {
    let environment = start(kind, pair()).await;
    assert_eq!(state(&environment).await, State::Running);
    assert!(answers(&environment).await);
    let log = environment.runtime().logs(&first(), 10).await.unwrap();
    assert!(log.iter().any(|line| line.contains("listening on")), "{log:?}");
    assert_eq!(environment.runtime().logs(&first(), 0).await.unwrap(), [""; 0]);
    environment.destroy().await.unwrap();
}

async fn a_stopped_instance_stays_down_until_it_is_started_again(kind: RuntimeKind) {
    let environment = start(kind, alone(product().restarts())).await;
    let runtime = environment.runtime();
    runtime.stop(&first(), GRACE).await.unwrap();
    runtime.stop(&first(), GRACE).await.unwrap();
    assert!(matches!(state(&environment).await, State::Exited { code: 0, oom: false }), "its policy must not apply");
    assert!(!answers(&environment).await);
    refuses_every_caller(&environment).await;
    let not_running = runtime.kill(&first()).await.unwrap_err();
    assert!(matches!(not_running, RuntimeError::NotRunning { .. }), "{not_running}");
    runtime.start_again(&first()).await.unwrap();
    runtime.start_again(&first()).await.unwrap();
    eventually("it answers again", || answers(&environment)).await;
    environment.destroy().await.unwrap();
}

async fn a_killed_instance_is_gone_and_stays_down(kind: RuntimeKind) {
    let environment = start(kind, alone(product())).await;
    let pid = environment.runtime().status(&first()).await.unwrap().pid;
    environment.runtime().kill(&first()).await.unwrap();
    assert!(matches!(state(&environment).await, State::Exited { code: 137, .. }));
    assert!(!std::path::Path::new(&format!("/proc/{}", pid.unwrap())).exists());
    assert!(!answers(&environment).await);
    refuses_every_caller(&environment).await;
    environment.destroy().await.unwrap();
}

async fn a_killed_instance_with_a_policy_comes_back(kind: RuntimeKind) {
    let environment = start(kind, alone(product().restarts())).await;
    let before = environment.runtime().status(&first()).await.unwrap();
    environment.runtime().kill(&first()).await.unwrap();
    eventually("it answers again", || answers(&environment)).await;
    let after = environment.runtime().status(&first()).await.unwrap();
    assert_ne!(after.pid, before.pid);
    assert_eq!(after.restarts, 1);
    environment.destroy().await.unwrap();
}

async fn a_paused_instance_stands_still(kind: RuntimeKind) {
    let environment = start(kind, alone(product())).await;
    let runtime = environment.runtime();
    runtime.resume(&first()).await.unwrap();
    runtime.pause(&first()).await.unwrap();
    assert_eq!(state(&environment).await, State::Paused);
    assert!(!answers(&environment).await);
    runtime.resume(&first()).await.unwrap();
    assert_eq!(state(&environment).await, State::Running);
    assert!(answers(&environment).await);
    runtime.pause(&first()).await.unwrap();
    environment.destroy().await.unwrap();
}

async fn an_unknown_instance_is_named(kind: RuntimeKind) {
    let environment = start(kind, alone(product())).await;
    let (runtime, nobody) = (environment.runtime(), InstanceId::new("product", 7));
    let errors = [
        runtime.status(&nobody).await.unwrap_err(),
        runtime.kill(&nobody).await.unwrap_err(),
        runtime.stop(&nobody, GRACE).await.unwrap_err(),
        runtime.pause(&nobody).await.unwrap_err(),
        runtime.resume(&nobody).await.unwrap_err(),
        runtime.start_again(&nobody).await.unwrap_err(),
        runtime.logs(&nobody, 1).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.to_string(), "there is no product-7 in this environment");
    }
    environment.destroy().await.unwrap();
}

async fn changes_are_told(kind: RuntimeKind) {
    let environment = start(kind, alone(product().restarts())).await;
    let mut changes = environment.runtime().changes();
    environment.runtime().kill(&first()).await.unwrap();
    let mut seen = Vec::new();
    // A change from before the kill may still be on its way; what counts is an end, and a start after it.
    let ended = |seen: &[State]| seen.iter().any(|state| matches!(state, State::Exited { .. }));
    while !ended(&seen) || seen.last() != Some(&State::Running) {
        let change = tokio::time::timeout(common::SOON, changes.recv()).await.unwrap().unwrap();
        assert_eq!(change.id, first());
        seen.push(change.status.state);
    }
    environment.destroy().await.unwrap();
}

async fn environments_share_nothing(kind: RuntimeKind) {
    let (one, other) = tokio::join!(start(kind, pair()), start(kind, pair()));
    assert_ne!(one.address("product"), other.address("product"));
    one.runtime().kill(&first()).await.unwrap();
    assert!(!answers(&one).await && answers(&other).await);
    one.destroy().await.unwrap();
    assert!(answers(&other).await);
    other.destroy().await.unwrap();
}

async fn every_instance_has_its_own_address(kind: RuntimeKind) {
    let environment = start(kind, alone(product().instances(3))).await;
    let links = environment.links(USERS, "product");
    let mut upstreams = Vec::new();
    for ordinal in 1..=3 {
        let status = environment.runtime().status(&InstanceId::new("product", ordinal)).await.unwrap();
        upstreams.push(status.address.unwrap());
    }
    upstreams.dedup();
    assert_eq!((links.len(), upstreams.len()), (3, 3));
    for link in links {
        let answer = reqwest::get(format!("http://{}/products", link.addr())).await.unwrap();
        assert!(answer.status().is_success());
        assert!(!link.addr().ip().is_unspecified());
    }
    environment.destroy().await.unwrap();
}

async fn what_cannot_start_says_why(kind: RuntimeKind) {
    let other = match kind {
        RuntimeKind::Docker => Service::new("bare").program("/bin/true"),
        RuntimeKind::Process => Service::new("bare").image("postgres:16"),
    };
    let message = refused(kind, alone(other)).await.to_string();
    assert!(message.starts_with(&format!("service `bare` has nothing to run on the {kind} runtime")), "{message}");

    let lonely = Service::new("lonely").cargo("shop", "shop").args(["gateway"]);
    let ended = refused(kind, alone(lonely)).await;
    let EnvironmentError::Ended { code: 2, log, .. } = &ended else { panic!("{ended}") };
    assert!(log.iter().any(|line| line.contains("_URL")), "{log:?}");

    let wrong = product().http("/no/such/path").within(Duration::from_millis(400));
    let message = refused(kind, alone(wrong)).await.to_string();
    assert!(message.starts_with("product-1 was not healthy within 400ms (/no/such/path answered 404"), "{message}");
    assert!(message.contains("no such route") && message.contains("listening on"), "its answer and its log: {message}");

    let missing = match kind {
        RuntimeKind::Docker => Service::new("missing").image("chaos-harness/there-is-no-such-image:0"),
        RuntimeKind::Process => Service::new("missing").program("/no/such/program"),
    };
    let message = refused(kind, alone(missing)).await.to_string();
    assert!(message.contains("no-such-image:0`") || message.contains("`/no/such/program` of missing-1"), "{message}");
}

async fn what_is_destroyed_leaves_nothing(kind: RuntimeKind) {
    let (id, runtime) = open(kind).await;
    let environment = Environment::start(&pair(), runtime.clone(), 1).await.unwrap();
    let pid = runtime.status(&first()).await.unwrap().pid.unwrap();
    assert_eq!(resources_of(&id).is_empty(), kind == RuntimeKind::Process);
    environment.destroy().await.unwrap();
    runtime.destroy().await.unwrap();
    assert_eq!(resources_of(&id), "");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

async fn a_cancelled_start_leaves_nothing(kind: RuntimeKind) {
    for millis in [0, 5, 40, 120, 250, 400] {
        let (id, runtime) = open(kind).await;
        let topology = pair();
        let start = Environment::start(&topology, runtime.clone(), 1);
        let outcome = tokio::time::timeout(Duration::from_millis(millis), start).await;
        drop(outcome);
        runtime.destroy().await.unwrap();
        eventually("everything is gone", || async { resources_of(&id).is_empty() }).await;
    }
}
