//! Every example of every registered fault, while users ask: it bites, it ends, it is undone twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chaos_harness::environment::Environment;
use chaos_harness::fault::catalogue::Entry;
use chaos_harness::fault::{Fault, FaultKind, Injected};
use chaos_harness::runtime::RuntimeKind;
use futures::future::join_all;

use crate::common::asking::{Seen, ask, calibrate, is_asked_from_inside, keep_asking, stressed, why_not};
use crate::common::{eventually, not_run, start};

/// Every example of the catalogue does.
pub(crate) const BITES_WITHIN: Duration = Duration::from_secs(10);

/// In so many environments at a time: most of it is waiting.
const LANES: usize = 3;

/// Calls `test` with every example that can be shown to bite here; says of the others why they are not run.
pub(crate) async fn each_example(kind: RuntimeKind, test: impl AsyncFn(&Environment, &Fault)) {
    let mut possible = Vec::new();
    let examples = |entry: Entry| entry.examples.into_iter().map(move |fault| (fault, entry.shown_by));
    for (fault, shown_by) in Fault::catalogue().into_iter().flat_map(examples) {
        let elsewhere = shown_by.filter(|_| !is_asked_from_inside(&fault)).map(str::to_owned);
        match why_not(&fault, kind).or(elsewhere) {
            Some(reason) => not_run(&format!("{fault} on {kind}: {reason}")),
            None => possible.push(fault),
        }
    }
    let lanes = (0..LANES).map(|lane| each_of(kind, possible.iter().skip(lane).step_by(LANES), &test));
    join_all(lanes).await;
}

/// Calls `test` with each of `faults`, in an environment whose users ask all the time.
async fn each_of(kind: RuntimeKind, faults: impl Iterator<Item = &Fault>, test: &impl AsyncFn(&Environment, &Fault)) {
    let environment = Arc::new(start(kind, stressed(kind)).await);
    calibrate(&environment).await;
    let users = tokio::spawn(keep_asking(environment.clone()));
    for fault in faults {
        eventually("a healthy start", || async { ask(&environment, fault).await == Seen::Answer }).await;
        fault.validate(environment.topology()).unwrap();
        test(&environment, fault).await;
    }
    users.abort();
    let _ = users.await;
    Arc::into_inner(environment).unwrap().destroy().await.unwrap();
}

/// Waits until a fault has been shown to bite.
pub(crate) async fn bites(environment: &Environment, fault: &Fault, injected: &mut dyn Injected) {
    let since = Instant::now();
    let mut bite = injected.attest(environment).await;
    while !bite.shown {
        assert!(since.elapsed() < BITES_WITHIN, "{fault}: {}", bite.looked_at);
        // For a limit, that is for more than usual.
        ask(environment, fault).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        bite = injected.attest(environment).await;
    }
}

/// Undoes a fault twice.
pub(crate) async fn undo(environment: &Environment, fault: &Fault, injected: &mut dyn Injected) {
    injected.roll_back(environment).await.unwrap();
    injected.roll_back(environment).await.unwrap();
    let gone = injected.attest_gone(environment).await;
    assert!(gone.shown, "{fault}: {}", gone.looked_at);
}

/// Waits until nothing is left of a fault for users, and nothing is noted.
pub(crate) async fn ends(environment: &Environment, fault: &Fault) {
    eventually(&format!("the end of `{fault}`"), || async { ask(environment, fault).await == Seen::Answer }).await;
    assert_eq!(environment.runtime().undo_log().noted(), [], "{fault}: undone, and so nothing is noted");
}

pub(crate) async fn catalogue(kind: RuntimeKind) {
    each_example(kind, async |environment, fault| {
        let mut injected = fault.inject(environment).await.unwrap();
        bites(environment, fault, injected.as_mut()).await;
        assert!(!injected.mechanism().is_empty(), "{fault}");
        undo(environment, fault, injected.as_mut()).await;
        ends(environment, fault).await;
    })
    .await;
}
