//! Somebody else at work: a target that is removed, killed, unpaused, restarted or moved while a fault is in force. Nothing is
//! "left behind" where nothing is left, and the verdict says what happened.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

#[path = "common/mod.rs"]
mod common;

use chaos_harness::__private::{TestSettings, run_test};
use chaos_harness::experiment::{Plan, Session};
use chaos_harness::fault::Injection;
use chaos_harness::hypothesis::Inconclusive;
use chaos_harness::journal::Journal;
use chaos_harness::prelude::*;
use chaos_harness::runtime::RuntimeKind;
use chaos_harness::topology::InstanceId;
use common::inside::{may_enter, namespace};
use common::{docker, engine_answers, not_run, pair};
use rustix::process::{Pid, Signal, kill_process};

fn plan(lab: &Lab) -> Plan {
    let mut plan = Plan::new(lab.test_name(), lab.seed(), pair());
    plan.load = Some(Load::get("product", "/products").rate(100).deadline(1.secs()));
    plan.hypotheses = vec![hypothesis!(availability > 1%)];
    plan.timing.baseline = 700.millis();
    (plan.timing.recovery, plan.timing.after) = (500.millis(), 200.millis());
    (plan.limits.error_rate, plan.limits.availability) = (None, None);
    plan
}

/// Who disturbs which container or process of the experiment.
struct Disturber {
    kind: RuntimeKind,
    environment: String,
    service: &'static str,
    pid: u32,
}

impl Disturber {
    async fn of(session: &Session, service: &'static str) -> Self {
        let runtime = session.environment().runtime();
        let status = runtime.status(&InstanceId::new(service, 1)).await.unwrap();
        let environment = runtime.undo_log().environment().to_owned();
        Self { kind: runtime.kind(), environment, service, pid: status.pid.unwrap_or_default() }
    }

    /// `docker` with these words and the container's name.
    fn docker(&self, words: &[&str]) {
        assert_eq!(self.kind, RuntimeKind::Docker);
        let container = format!("{}-{}-1", self.environment, self.service);
        let words: Vec<&str> =
            words.iter().map(|word| if *word == "NETWORK" { &self.environment } else { *word }).collect();
        docker(&[&words[..], &[&container]].concat());
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid as i32).unwrap(), signal).unwrap();
    }
}

/// Runs an experiment with `fault`, in which `disturb` is done to `service` meanwhile: the verdict, and the journal.
fn disturbed(
    name: &'static str,
    kind: RuntimeKind,
    fault: Injection,
    service: &'static str,
    disturb: impl AsyncFnOnce(&Session, Disturber) + 'static,
) -> Option<(Verdict, Journal)> {
    if kind == RuntimeKind::Docker && !engine_answers() {
        not_run("no docker engine");
        return None;
    }
    let settings = TestSettings::default()
        .test(name, file!(), line!())
        .package(env!("CARGO_PKG_NAME"), env!("CARGO_MANIFEST_DIR"))
        .target(env!("CARGO_CRATE_NAME"), option_env!("CARGO_BIN_NAME"), option_env!("CARGO_TARGET_TMPDIR"))
        .runtime(if kind == RuntimeKind::Docker { "docker" } else { "process" });
    let folder = tempfile::tempdir().unwrap();
    let mut seen = None;
    let passed = run_test(settings, async |lab: Lab| {
        let lab = lab.with_journals_in(folder.path());
        let mut session = lab.start(plan(&lab)).await?;
        session.baseline().await?;
        let disturber = Disturber::of(&session, service).await;
        let fault = session.inject(fault).await?;
        session.hold(400.millis()).await?;
        disturb(&session, disturber).await;
        session.hold(600.millis()).await?;
        session.roll_back(fault).await?;
        let verdict = session.judge().await?;
        let journal = lab.journals().pop().unwrap();
        eprintln!("{name} on {kind}: {verdict}; gone: {:?}", journal.injections[0].gone);
        seen = Some((verdict, journal));
        Ok::<_, chaos_harness::Error>(())
    });
    assert!(passed.is_ok(), "nothing is left: {passed:?}");
    seen
}

/// The same, and the verdict names what somebody else did.
#[track_caller]
fn named(
    (name, expected): (&'static str, &str),
    kind: RuntimeKind,
    fault: Injection,
    service: &'static str,
    disturb: impl FnOnce(Disturber) + 'static,
) {
    let Some((verdict, journal)) = disturbed(name, kind, fault, service, async move |_, it| disturb(it)) else {
        return;
    };
    let Verdict::Inconclusive { reason: Inconclusive::ExternalChange { changes, .. } } = &verdict else {
        panic!("{verdict}")
    };
    assert!(changes.iter().any(|change| change.what.contains(expected)), "{expected}: {verdict}");
    assert!(journal.problems.is_empty(), "{:?}", journal.problems);
}

fn slow() -> Injection {
    link(USERS, "product").latency(1.millis())
}

const DOCKER: RuntimeKind = RuntimeKind::Docker;
const PROCESS: RuntimeKind = RuntimeKind::Process;

#[test]
fn a_target_that_is_removed() {
    let name = "a_target_that_is_removed";
    for fault in [target("product").kill(), target("product").cpu_quota(0.5)] {
        named((name, "product-1 was removed "), DOCKER, fault, "product", |it| it.docker(&["rm", "--force"]));
    }
}

#[test]
fn a_target_that_is_killed() {
    let (name, by) = ("a_target_that_is_killed", "product-1 was ended by SIGKILL ");
    named((name, by), DOCKER, slow(), "product", |it| it.docker(&["kill"]));
    for fault in [slow(), target("product").pause(), target("product").descriptors_left(100)] {
        named((name, by), PROCESS, fault, "product", |it| it.signal(Signal::KILL));
    }
}

#[test]
fn a_target_that_is_unpaused() {
    let name = "a_target_that_is_unpaused";
    named((name, "product-1 was unpaused "), DOCKER, target("product").pause(), "product", |it| {
        it.docker(&["unpause"])
    });
    let pause = target("product").pause();
    let told = disturbed(name, PROCESS, pause, "product", async |_, it| it.signal(Signal::CONT));
    did_not_bite(&told.unwrap().0);
}

#[test]
fn a_target_that_is_started_again() {
    let name = "a_target_that_is_started_again";
    named((name, "product-1 ended with status 0 "), DOCKER, slow(), "product", |it| {
        it.docker(&["restart", "--time", "0"])
    });
    named((name, "product-1 was started "), DOCKER, target("product").stop(), "product", |it| it.docker(&["start"]));
}

#[test]
fn a_target_that_is_moved() {
    let name = "a_target_that_is_moved";
    let off = |it: Disturber| it.docker(&["network", "disconnect", "NETWORK"]);
    named((name, "product-1 was taken off its network"), DOCKER, slow(), "product", off);
    let back = |it: Disturber| it.docker(&["network", "connect", "NETWORK"]);
    named((name, "product-1 was put back on its network"), DOCKER, target("product").disconnect(), "product", back);
}

#[test]
fn a_fault_that_somebody_else_undoes() {
    let name = "a_fault_that_somebody_else_undoes";
    let limit = target("product").cpu_quota(0.5);
    let told = disturbed(name, DOCKER, limit, "product", async |_, it| it.docker(&["update", "--cpu-quota", "-1"]));
    assert!(told.is_none_or(|(_, journal)| journal.injections[0].gone.as_ref().is_some_and(|gone| gone.shown)));
    if !may_enter() {
        return not_run("network namespaces may not be entered; it takes root");
    }
    let told = disturbed(name, DOCKER, network("product").peer("inventory").cut(), "product", async |session, _| {
        let namespace = namespace(session.environment(), "product").await;
        let flush = || std::process::Command::new("nft").args(["flush", "ruleset"]).status().unwrap();
        assert!(namespace.run(flush).unwrap().success());
    });
    told.iter().for_each(|(verdict, _)| did_not_bite(verdict));
}

/// A machine too busy for the load voids the run, before anybody asks what the fault did.
#[track_caller]
fn did_not_bite(verdict: &Verdict) {
    let Verdict::Inconclusive { reason } = verdict else { panic!("{verdict}") };
    assert!(matches!(reason, Inconclusive::NoBite { .. } | Inconclusive::GeneratorLag { .. }), "{verdict}");
}

/// What the harness itself does is nobody else's.
#[test]
fn the_harness_is_nobody_else() {
    let name = "the_harness_is_nobody_else";
    let cases = [
        (DOCKER, target("product").pause()),
        (DOCKER, target("product").disconnect()),
        (PROCESS, target("product").pause()),
        (PROCESS, target("product").stop()),
    ];
    for (kind, fault) in cases {
        let Some((verdict, _)) = disturbed(name, kind, fault, "product", async |_, _| {}) else { continue };
        assert!(!verdict.to_string().contains("no fault of this experiment"), "{verdict}");
    }
}

#[test]
fn a_service_that_no_fault_is_on() {
    let (name, by) = ("a_service_that_no_fault_is_on", "inventory-1 was ended by SIGKILL ");
    named((name, by), DOCKER, slow(), "inventory", |it| it.docker(&["kill"]));
    named((name, by), PROCESS, slow(), "inventory", |it| it.signal(Signal::KILL));
    named((name, "inventory-1 was paused "), DOCKER, slow(), "inventory", |it| it.docker(&["pause"]));
}
