//! Memory that is used up: what counts as a bite, and what becomes of a target that dies of it.

use chaos_harness::fault::target;
use chaos_harness::runtime::{RuntimeKind, State};

use crate::common::{eventually, on, start};
use crate::{ask, first, inject, stressed};

const LIMIT: u64 = 64 << 20;

/// More than the share is in use before, so nothing is left to use up, and nothing was felt.
#[test]
fn what_is_in_use_already_is_no_bite() {
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, stressed(|product| product)).await;
        let mut limit = inject(&environment, target("product").memory_limit(LIMIT)).await;
        ask(&environment, "/stress/keep?amount=40").await.unwrap();
        let mut stress = inject(&environment, target("product").memory_stress(0.3)).await;
        let bite = stress.attest(&environment).await;
        assert!(!bite.shown, "{}", bite.looked_at);
        stress.roll_back(&environment).await.unwrap();
        assert!(stress.attest_gone(&environment).await.shown);
        limit.roll_back(&environment).await.unwrap();
        environment.destroy().await.unwrap();
    });
}

/// The kernel kills the service, which has the most, before the program that presses is ready.
#[test]
fn a_target_that_dies_at_once_has_felt_it() {
    on(RuntimeKind::Docker, async |kind| {
        futures::join!(dies_at_once(kind, false), dies_at_once(kind, true));
    });
}

async fn dies_at_once(kind: RuntimeKind, restarts: bool) {
    let topology = stressed(|product| if restarts { product.restarts() } else { product });
    let environment = start(kind, topology).await;
    let mut limit = inject(&environment, target("product").memory_limit(LIMIT)).await;
    ask(&environment, "/stress/keep?amount=40").await.unwrap();
    let before = environment.runtime().status(&first()).await.unwrap().pid;
    let mut stress = inject(&environment, target("product").memory_stress_by(60 << 20)).await;
    let bite = stress.attest(&environment).await;
    eprintln!("restarts: {restarts}; {}", bite.looked_at);
    assert!(bite.shown, "{}", bite.looked_at);
    assert!(
        bite.looked_at.contains("product-1 died of it: killed by the kernel for want of memory"),
        "{}",
        bite.looked_at
    );
    stress.roll_back(&environment).await.unwrap();
    limit.roll_back(&environment).await.unwrap();
    let gone = [stress.attest_gone(&environment).await, limit.attest_gone(&environment).await];
    assert!(gone.iter().all(|gone| gone.shown), "{gone:?}");
    // By its restart policy, or else by the rollback.
    eventually("it answers again", || async { ask(&environment, "/products").await.is_ok() }).await;
    let after = environment.runtime().status(&first()).await.unwrap();
    assert!(after.state == State::Running && after.pid != before, "{after:?}, {before:?} before");
    environment.destroy().await.unwrap();
}
