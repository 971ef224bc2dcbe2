//! Descriptors used up: those of each process, looked at in the kernel, and what their lack does to a service.

use std::collections::BTreeMap;
use std::time::Duration;

use chaos_harness::environment::Environment;
use chaos_harness::fault::target;
use chaos_harness::prelude::*;
use chaos_harness::runtime::RuntimeKind;
use chaos_harness::safety::undo::UndoStep;

use crate::common::{eventually, not_run, on, start};
use crate::{ask, first, inject, stressed};

/// No answer within this is none.
const PATIENCE: Duration = Duration::from_millis(500);

fn may_not(kind: RuntimeKind) -> bool {
    let may_not = kind == RuntimeKind::Docker && !rustix::process::geteuid().is_root();
    if may_not {
        not_run("only root may limit the processes of containers");
    }
    may_not
}

async fn answers(environment: &Environment) -> bool {
    tokio::time::timeout(PATIENCE, ask(environment, "/products")).await.is_ok_and(|answer| answer.is_ok())
}

/// The soft limit of the service's process and of those below it, as the kernel's own table has them.
async fn limits(environment: &Environment) -> BTreeMap<u32, u64> {
    let first = environment.runtime().process(&first()).await.unwrap().process.pid;
    let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
    let pids = children.split_whitespace().map(|pid| pid.parse().unwrap()).chain([first]);
    let soft = |pid: u32| {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
        line.split_whitespace().nth(3).unwrap().parse().unwrap()
    };
    pids.map(|pid| (pid, soft(pid))).collect()
}

#[test]
fn nothing_more_can_be_opened_on_docker() {
    on(RuntimeKind::Docker, nothing_more_can_be_opened);
}

#[test]
fn nothing_more_can_be_opened_on_processes() {
    on(RuntimeKind::Process, nothing_more_can_be_opened);
}

async fn nothing_more_can_be_opened(kind: RuntimeKind) {
    if may_not(kind) {
        return;
    }
    let environment = start(kind, stressed(|product| product)).await;
    let before = limits(&environment).await;
    let mut none = inject(&environment, target("product").descriptors_left(0)).await;
    assert!(!answers(&environment).await, "a new connection is not accepted");
    let bite = none.attest(&environment).await;
    eprintln!("{kind}: {}", bite.looked_at);
    assert!(bite.shown && bite.looked_at.contains("room for 0"), "{}", bite.looked_at);
    // Beside it, more are left by another: the stricter holds, and each goes by itself.
    let mut few = inject(&environment, target("product").descriptors_left(200)).await;
    assert!(few.attest(&environment).await.shown && !answers(&environment).await);
    none.roll_back(&environment).await.unwrap();
    assert!(none.attest_gone(&environment).await.shown);
    eventually("200 are enough", || answers(&environment)).await;
    let bite = few.attest(&environment).await;
    eprintln!("{kind}: {}", bite.looked_at);
    assert!(bite.shown, "{}", bite.looked_at);
    assert!(limits(&environment).await.values().all(|limit| *limit < 300), "{:?}", limits(&environment).await);
    few.roll_back(&environment).await.unwrap();
    few.roll_back(&environment).await.unwrap();
    let gone = few.attest_gone(&environment).await;
    eprintln!("{kind}: {}", gone.looked_at);
    assert!(gone.shown, "{}", gone.looked_at);
    assert_eq!((limits(&environment).await, environment.runtime().undo_log().noted()), (before, vec![]));
    environment.destroy().await.unwrap();
}

/// What is closed during the hold cannot be opened again.
#[test]
fn what_is_closed_is_gone_too() {
    on(RuntimeKind::Process, |kind| async move {
        let environment = start(kind, stressed(|product| product)).await;
        let mut open = Vec::new();
        let address = environment.runtime().status(&first()).await.unwrap().address.unwrap();
        for _ in 0..20 {
            open.push(tokio::net::TcpStream::connect(address).await.unwrap());
        }
        let accepted = async || {
            let pid = environment.runtime().process(&first()).await.unwrap().process.pid;
            std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
        };
        eventually("the service has them all", async || accepted().await > 25).await;
        let mut none = inject(&environment, target("product").descriptors_left(0)).await;
        drop(open);
        eventually("the service has closed them", async || accepted().await < 25).await;
        eventually("the limit has followed", || async { limits(&environment).await.values().all(|limit| *limit < 25) })
            .await;
        let bite = none.attest(&environment).await;
        assert!(bite.shown, "{}", bite.looked_at);
        assert!(!answers(&environment).await);
        none.roll_back(&environment).await.unwrap();
        eventually("an answer", || answers(&environment)).await;
        environment.destroy().await.unwrap();
    });
}

#[test]
fn a_restart_ends_it_and_that_is_said() {
    on(RuntimeKind::Process, |kind| async move {
        let environment = start(kind, stressed(Service::restarts)).await;
        let mut none = inject(&environment, target("product").descriptors_left(0)).await;
        let steps = environment.runtime().undo_log().noted();
        environment.runtime().kill(&first()).await.unwrap();
        eventually("it is back", || answers(&environment)).await;
        let bite = none.attest(&environment).await;
        eprintln!("{}", bite.looked_at);
        assert!(!bite.shown && bite.looked_at.contains("was started again"), "{}", bite.looked_at);
        none.roll_back(&environment).await.unwrap();
        assert!(none.attest_gone(&environment).await.shown);
        for step in steps {
            step.take().await.unwrap();
        }
        environment.destroy().await.unwrap();
    });
}

#[test]
fn what_is_noted_is_enough_to_undo_it() {
    if may_not(RuntimeKind::Docker) {
        return;
    }
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, stressed(|product| product)).await;
        let before = limits(&environment).await;
        let none = inject(&environment, target("product").descriptors_left(0)).await;
        let text = serde_json::to_string(&environment.runtime().undo_log().noted()).unwrap();
        let container = environment.runtime().process(&first()).await.unwrap().of;
        assert!(text.matches(&container).count() == before.len(), "{text}");
        assert_ne!(limits(&environment).await, before);
        drop(none);
        // What the guard does: it knows no more than this.
        eventually("every limit is back", || async {
            for step in serde_json::from_str::<Vec<UndoStep>>(&text).unwrap() {
                step.take().await.unwrap();
                step.take().await.unwrap();
            }
            limits(&environment).await == before
        })
        .await;
        environment.destroy().await.unwrap();
    });
}
