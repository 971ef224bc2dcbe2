//! Faults inside services, beyond what every fault conforms to: leases, restarts, instances, endpoints that are not there.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::time::{Duration, Instant};

use chaos_harness::environment::Environment;
use chaos_harness::fault::{FaultKind, Injection, target};
use chaos_harness::prelude::*;
use chaos_harness::runtime::RuntimeKind;
use chaos_harness::topology::USERS;
use common::{eventually, on, product, start};

/// Each case on each runtime, as tests of their own.
macro_rules! cases {
    ($($case:ident,)+) => {
        mod docker { $(#[test] fn $case() { super::on(super::RuntimeKind::Docker, super::$case); })+ }
        mod process { $(#[test] fn $case() { super::on(super::RuntimeKind::Process, super::$case); })+ }
    };
}

cases! {
    a_dead_test_leaves_nothing_on,
    an_instance_that_comes_back_is_hit_again,
    every_instance_is_hit_and_has_its_own_share,
    a_service_that_does_not_listen_is_named,
    a_point_has_one_fault_at_a_time,
}

fn alone(service: Service) -> Topology {
    Topology::new("alone").service(service)
}

fn failing() -> Injection {
    target("product").in_process().path("/products").error(503)
}

/// The status that instance `ordinal` answers with; `None` for no answer.
async fn ask(environment: &Environment, ordinal: usize) -> Option<u16> {
    let address = environment.links(USERS, "product")[ordinal - 1].addr();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().unwrap();
    let answer = client.get(format!("http://{address}/products")).send().await.ok()?;
    Some(answer.status().as_u16())
}

async fn a_dead_test_leaves_nothing_on(kind: RuntimeKind) {
    let environment = start(kind, alone(product())).await;
    let injected = failing().fault.inject(&environment).await.unwrap();
    assert_eq!(ask(&environment, 1).await, Some(503));
    // As far as the service can tell, the test process is gone: nobody renews the lease.
    drop(injected);
    let died = Instant::now();
    eventually("the end of the lease", || async { ask(&environment, 1).await == Some(200) }).await;
    assert!(died.elapsed() < Duration::from_secs(10), "{:?}", died.elapsed());
    environment.destroy().await.unwrap();
}

async fn an_instance_that_comes_back_is_hit_again(kind: RuntimeKind) {
    let environment = start(kind, alone(product().restarts())).await;
    let mut injected = failing().fault.inject(&environment).await.unwrap();
    let mut killed = target("product").kill().fault.inject(&environment).await.unwrap();
    killed.roll_back(&environment).await.unwrap();
    eventually("the fault after a restart", || async { ask(&environment, 1).await == Some(503) }).await;
    assert!(injected.attest(&environment).await.shown);
    injected.roll_back(&environment).await.unwrap();
    assert_eq!(ask(&environment, 1).await, Some(200));
    let gone = injected.attest_gone(&environment).await;
    assert!(gone.shown, "{}", gone.looked_at);
    environment.destroy().await.unwrap();
}

async fn every_instance_is_hit_and_has_its_own_share(kind: RuntimeKind) {
    let environment = start(kind, alone(product().instances(2))).await;
    let mut second = target("product").instance(2).in_process().error(503).fault.inject(&environment).await.unwrap();
    assert_eq!((ask(&environment, 1).await, ask(&environment, 2).await), (Some(200), Some(503)));
    second.roll_back(&environment).await.unwrap();

    let half = target("product").in_process().path("/products").share(0.5).error(503).fault;
    let outcomes = async || {
        let mut injected = half.inject(&environment).await.unwrap();
        let mut failed = [Vec::new(), Vec::new()];
        for _ in 0..128 {
            failed[0].push(ask(&environment, 1).await == Some(503));
            failed[1].push(ask(&environment, 2).await == Some(503));
        }
        let bite = injected.attest(&environment).await;
        assert_eq!(bite.looked_at, "128 of 256 requests bitten, in force in 2 of 2 instances");
        injected.roll_back(&environment).await.unwrap();
        failed
    };
    let failed = outcomes().await;
    assert!(failed.iter().all(|one| one.iter().filter(|failed| **failed).count() == 64));
    assert_ne!(failed[0], failed[1], "each instance decides by itself");
    assert_eq!(failed, outcomes().await, "one seed, the same decisions");
    environment.destroy().await.unwrap();
}

async fn a_service_that_does_not_listen_is_named(kind: RuntimeKind) {
    let deaf = product().env("CHAOS_CONTROL_LISTEN", "");
    let environment = start(kind, alone(deaf)).await;
    let error = failing().fault.inject(&environment).await.err().unwrap().to_string();
    let expected = "product-1: the chaos control endpoint did not put a fault in force: nobody listens;";
    assert!(error.starts_with(expected), "{error}");
    environment.destroy().await.unwrap();
}

async fn a_point_has_one_fault_at_a_time(kind: RuntimeKind) {
    let environment = start(kind, alone(product())).await;
    let returns = |value: &str| target("product").fail_point("product::list").returns(value).fault;
    let mut first = returns("a").inject(&environment).await.unwrap();
    let error = returns("b").inject(&environment).await.err().unwrap().to_string();
    assert!(error.contains("`product::list` has a fault already"), "{error}");
    assert_eq!(ask(&environment, 1).await, Some(500));
    first.roll_back(&environment).await.unwrap();
    returns("b").inject(&environment).await.unwrap().roll_back(&environment).await.unwrap();
    assert_eq!(ask(&environment, 1).await, Some(200));
    environment.destroy().await.unwrap();
}

/// The verdict on users who meet `injection` for two seconds.
async fn judge(lab: Lab, injection: Injection) -> chaos_harness::Result<Verdict> {
    let lab = lab.with_journals_in(chaos_harness::folders::chaos_dir().join("journals-of-tests"));
    lab.experiment(alone(product()))
        .load(Load::get("product", "/products").rate(200).deadline(1.secs()))
        .abort_below_availability(None)
        .inject(injection.hold(2.secs()))
        .hypothesis(hypothesis!(availability > 70%))
        .hypothesis(hypothesis!(availability < 80%))
        .run()
        .await
}

/// The fault bites a share of the users and is attested; otherwise the verdict would be inconclusive.
#[chaos_test]
async fn an_experiment_upholds_what_a_rule_leaves(lab: Lab) -> chaos_harness::Result<()> {
    let verdict = judge(lab, target("product").in_process().path("/products").share(0.25).error(503)).await?;
    assert!(verdict.is_upheld(), "{verdict}");
    Ok(())
}

#[chaos_test]
async fn an_experiment_upholds_what_a_fail_point_leaves(lab: Lab) -> chaos_harness::Result<()> {
    let verdict = judge(lab, target("product").fail_point("product::list").share(0.25).returns("no tea")).await?;
    assert!(verdict.is_upheld(), "{verdict}");
    Ok(())
}

#[chaos_test]
async fn an_experiment_refutes_what_is_not_so(lab: Lab) -> chaos_harness::Result<()> {
    let verdict = judge(lab, target("product").in_process().path("/products").share(0.5).error(503)).await?;
    assert!(verdict.to_string().starts_with("refuted"), "{verdict}");
    Ok(())
}

/// A rule that no request fits has not bitten, so nothing can be said.
#[chaos_test]
async fn an_experiment_without_a_bite_says_nothing(lab: Lab) -> chaos_harness::Result<()> {
    let verdict = judge(lab, target("product").in_process().path("/elsewhere").error(503)).await?;
    assert!(verdict.to_string().starts_with("inconclusive"), "{verdict}");
    Ok(())
}
