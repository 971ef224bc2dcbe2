//! The time limit of an experiment holds, whatever hangs when it passes: what is under way is cut off, counted and never
//! good, and the verdict is aborted.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::time::{Duration, Instant};

use chaos_harness::__private::{TestSettings, run_test};
use chaos_harness::Error;
use chaos_harness::experiment::{Plan, Session};
use chaos_harness::hypothesis::Aborted;
use chaos_harness::journal::Journal;
use chaos_harness::measure::{Outcome, Sample};
use chaos_harness::prelude::*;
use chaos_harness::topology::InstanceId;
use rustix::process::{Pid, Signal, kill_process};

const LIMIT: Duration = Duration::from_secs(3);
/// What ends an experiment may take this long, without the rollback.
const SOON: Duration = Duration::from_secs(1);
/// Nobody waits for this.
const FOR_EVER: Duration = Duration::from_secs(300);

fn product() -> Service {
    Service::new("product").cargo("shop", "shop").args(["product"]).http("/health/ready").control_port(9100)
}

fn plan(lab: &Lab, service: Service) -> Plan {
    let mut plan = Plan::new(lab.test_name(), lab.seed(), Topology::new("limit").service(service));
    plan.load = Some(Load::get("product", "/products").rate(100).deadline(FOR_EVER));
    plan.hypotheses = vec![hypothesis!(availability > 1%)];
    plan.timing.baseline = 500.millis();
    plan.limits.duration = LIMIT;
    (plan.limits.error_rate, plan.limits.availability) = (None, None);
    plan
}

/// Their verdicts are about the harness, and no news for a gate. A first build counts for the limit, so it is made before.
async fn ready(lab: Lab) -> Lab {
    let lab = lab.with_journals_in(chaos_harness::folders::chaos_dir().join("journals-of-tests"));
    let mut unlimited = plan(&lab, product());
    unlimited.limits.duration = FOR_EVER;
    unlimited.load = None;
    unlimited.hypotheses.clear();
    drop(lab.start(unlimited).await.unwrap().judge().await.unwrap());
    lab
}

/// Sends the only instance a signal, as somebody who is not the harness.
async fn signal(session: &Session, signal: Signal) -> Pid {
    let status = session.environment().runtime().status(&InstanceId::new("product", 1)).await.unwrap();
    let pid = Pid::from_raw(status.pid.unwrap() as i32).unwrap();
    kill_process(pid, signal).unwrap();
    pid
}

fn by_limit() -> Verdict {
    Verdict::Aborted { condition: Aborted::TimeLimit { limit: LIMIT } }
}

/// Runs `body` as a test that may fail for what hung, whatever it asserts itself.
fn fails<F: Future<Output = chaos_harness::Result<()>>>(name: &'static str, body: fn(Lab) -> F) {
    let settings = TestSettings::default()
        .test(name, file!(), line!())
        .package(env!("CARGO_PKG_NAME"), env!("CARGO_MANIFEST_DIR"))
        .target(env!("CARGO_CRATE_NAME"), option_env!("CARGO_BIN_NAME"), option_env!("CARGO_TARGET_TMPDIR"))
        .runtime("process");
    let Err(failure) = run_test(settings, body) else { return };
    let failure = failure.to_string();
    assert!(failure.contains("could not be rolled back") || failure.contains("the start took longer"), "{failure}");
}

/// The verdict on what hung when the limit passed, and the journal.
#[track_caller]
fn ended_in_time(lab: &Lab, began: Instant, verdict: &Verdict, rollback: Duration) -> Journal {
    let took = began.elapsed();
    eprintln!("{}: limit {LIMIT:?}, took {took:?}, {verdict}", lab.test_name());
    assert_eq!(*verdict, by_limit());
    assert!(took < LIMIT + SOON + rollback, "{took:?}");
    let journal = lab.journals().pop().unwrap();
    assert!(journal.problems.is_empty(), "{:?}", journal.problems);
    journal
}

fn cut_off(journal: &Journal) -> Vec<Sample> {
    let samples = journal.samples.decode().unwrap();
    samples.into_iter().filter(|sample| sample.outcome == Outcome::CutOff).collect()
}

/// The server stands still for good: last answers, and readings of probes, that never come.
#[chaos_test(runtime = "process")]
async fn answers_that_never_come(lab: Lab) -> chaos_harness::Result<()> {
    let lab = ready(lab).await;
    let began = Instant::now();
    let mut plan = plan(&lab, product());
    plan.probes = vec![Probe::health("up", "product", "/health/live").deadline(FOR_EVER)];
    let mut session = lab.start(plan).await?;
    session.baseline().await?;
    let fault = session.inject(link(USERS, "product").latency(1.millis())).await?;
    session.hold(500.millis()).await?;
    signal(&session, Signal::STOP).await;
    session.roll_back(fault).await?;
    let verdict = session.judge().await?;
    let journal = ended_in_time(&lab, began, &verdict, Duration::ZERO);
    let (cut, all) = (cut_off(&journal), journal.samples.decode().unwrap().len());
    eprintln!("{} of {all} requests cut off; {:?}", cut.len(), journal.probes[0].failures);
    assert!(cut.len() >= 20, "{}", cut.len());
    assert!(cut.iter().all(|sample| sample.end < LIMIT + SOON && !sample.outcome.is_served()), "{cut:?}");
    assert!(journal.probes[0].readings.iter().any(|reading| reading.value.is_none()), "{:?}", journal.probes);
    assert_eq!(journal.generator.unwrap().sends as usize, all, "each that was sent is counted");
    Ok(())
}

#[chaos_test(runtime = "process")]
async fn an_injection_that_hangs(lab: Lab) -> chaos_harness::Result<()> {
    let lab = ready(lab).await;
    let began = Instant::now();
    let mut session = lab.start(plan(&lab, product())).await?;
    session.baseline().await?;
    signal(&session, Signal::STOP).await;
    // Each attempt takes two seconds to fail.
    let failed = loop {
        match session.inject(target("product").in_process().path("/products").error(503)).await {
            Err(Error::CutOff { step, condition }) => break (step, *condition),
            Err(Error::Fault(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(failed.1, Aborted::TimeLimit { limit: LIMIT });
    assert!(began.elapsed() < LIMIT + SOON && failed.0.contains("was being injected"), "{failed:?}");
    let verdict = session.judge().await?;
    assert!(!cut_off(&ended_in_time(&lab, began, &verdict, Duration::ZERO)).is_empty());
    Ok(())
}

/// What a process that stands still does not tell is waited for a second after the limit, and what it does not undo as long as
/// that takes: here it goes on two seconds after the limit, and its control endpoint is waited for two seconds at most.
async fn undone_late(lab: Lab) -> chaos_harness::Result<()> {
    let lab = ready(lab).await;
    let began = Instant::now();
    let mut session = lab.start(plan(&lab, product())).await?;
    session.baseline().await?;
    let fault = session.inject(target("product").in_process().path("/products").error(503)).await?;
    let pid = signal(&session, Signal::STOP).await;
    session.hold(20.secs()).await?;
    assert!(began.elapsed() < LIMIT + SOON, "{:?}", began.elapsed());
    let (rolled_back, ()) = tokio::join!(session.roll_back(fault), async {
        tokio::time::sleep(2.secs()).await;
        kill_process(pid, Signal::CONT).unwrap();
    });
    rolled_back?;
    let verdict = session.judge().await?;
    eprintln!("{}: limit {LIMIT:?}, took {:?}, {verdict}", lab.test_name(), began.elapsed());
    assert_eq!(verdict, by_limit());
    assert!(began.elapsed() < LIMIT + SOON + 4.secs(), "{:?}", began.elapsed());
    Ok(())
}

#[test]
fn a_rollback_that_hangs() {
    fails("a_rollback_that_hangs", undone_late);
}

#[chaos_test(runtime = "process")]
async fn waiting_in_vain(lab: Lab) -> chaos_harness::Result<()> {
    let lab = ready(lab).await;
    let began = Instant::now();
    let mut session = lab.start(plan(&lab, product())).await?;
    session.baseline().await?;
    let fault = session.inject(link(USERS, "product").half_open()).await?;
    session.hold(200.millis()).await?;
    session.roll_back(fault).await?;
    session.recover().await?;
    let message = session.until("pigs fly", FOR_EVER, |_| false).await.unwrap_err().to_string();
    assert!(message.contains("before the experiment was aborted, because the time limit of 3s passed"), "{message}");
    let verdict = session.judge().await?;
    ended_in_time(&lab, began, &verdict, Duration::ZERO);
    Ok(())
}

#[test]
fn a_start_that_hangs() {
    fails("a_start_that_hangs", never_up);
}

async fn never_up(lab: Lab) -> chaos_harness::Result<()> {
    let lab = ready(lab).await;
    let began = Instant::now();
    let never = Service::new("product").program("/bin/sleep").args(["300"]).within(FOR_EVER);
    let error = lab.start(plan(&lab, never)).await.unwrap_err();
    eprintln!("{}: limit {LIMIT:?}, took {:?}, {error}", lab.test_name(), began.elapsed());
    assert!(matches!(error, Error::StartTook { limit: LIMIT }) && began.elapsed() < LIMIT + SOON, "{error}");
    let began = Instant::now();
    let filling = lab.experiment(Topology::new("limit").service(product())).time_limit(LIMIT);
    let filling =
        filling.load(Load::get("product", "/products")).before_load(|_| std::future::pending::<Result<(), Error>>());
    let error = filling.hypothesis(hypothesis!(availability > 1% during baseline)).run().await.unwrap_err();
    assert!(matches!(error, Error::StartTook { limit: LIMIT }) && began.elapsed() < LIMIT + SOON, "{error}");
    Ok(())
}

#[chaos_test(runtime = "process")]
async fn times_beyond_any_experiment_are_refused(lab: Lab) -> chaos_harness::Result<()> {
    let lab = ready(lab).await;
    for (at, field) in ["baseline", "recovery", "after"].into_iter().enumerate() {
        let mut plan = plan(&lab, product());
        *[&mut plan.timing.baseline, &mut plan.timing.recovery, &mut plan.timing.after][at] = Duration::MAX;
        let error = lab.start(plan).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{field}`: ")) && error.ends_with("is outside 0s to 30m"), "{error}");
    }
    let run = lab.experiment(Topology::new("limit").service(product())).load(Load::get("product", "/products"));
    let run =
        run.recovery_within(Duration::MAX).inject(target("product").kill()).hypothesis(hypothesis!(recovery < 1s));
    assert!(run.run().await.unwrap_err().to_string().starts_with("`recovery`: "));
    let mut session = lab.start(plan(&lab, product())).await?;
    for error in [session.hold(Duration::MAX).await, session.until("never", Duration::MAX, |_| false).await] {
        assert!(error.unwrap_err().to_string().ends_with("is outside 0s to 30m"));
    }
    assert!(session.judge().await?.to_string().starts_with("inconclusive"));
    Ok(())
}
