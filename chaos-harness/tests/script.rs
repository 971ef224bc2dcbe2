//! A script that ends before it has judged: whatever ends it, everything is rolled back and taken away, and the journal
//! tells why.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos_harness::__private::{TestSettings, run_test};
use chaos_harness::experiment::{Plan, Session};
use chaos_harness::journal::{Journal, Status, What};
use chaos_harness::prelude::*;
use chaos_harness::report::{Gate, Report, Standing, annotations, html, json, junit, markdown, text};
use chaos_harness::topology::InstanceId;

fn plan(lab: &Lab) -> Plan {
    let product = Service::new("product").cargo("shop", "shop").args(["product"]).http("/health/ready");
    let mut plan = Plan::new(lab.test_name(), lab.seed(), Topology::new("script").service(product));
    plan.load = Some(Load::get("product", "/products").deadline(1.secs()));
    plan.hypotheses = vec![hypothesis!(availability > 1%)];
    plan
}

/// A script that is under way, with a fault in force. `pid` is that of its only instance.
async fn under_way(lab: &Lab, pid: &Mutex<Option<u32>>) -> chaos_harness::Result<Session> {
    let mut session = lab.start(plan(lab)).await?;
    *pid.lock().unwrap() = session.environment().runtime().status(&InstanceId::new("product", 1)).await?.pid;
    let _in_force = session.inject(link(USERS, "product").latency(20.millis())).await?;
    session.until("five answers are there", 10.secs(), |seen| seen.good >= 5).await?;
    Ok(session)
}

/// Runs `body` as the test called `name`: how that ended in words, and the one journal that it leaves.
fn run<F: Future<Output = chaos_harness::Result<()>>>(
    name: &'static str,
    timeout: Option<Duration>,
    body: impl FnOnce(Lab, PathBuf) -> F,
) -> (String, Journal, tempfile::TempDir) {
    let settings = TestSettings::default()
        .test(name, file!(), line!())
        .package(env!("CARGO_PKG_NAME"), env!("CARGO_MANIFEST_DIR"))
        .target(env!("CARGO_CRATE_NAME"), option_env!("CARGO_BIN_NAME"), option_env!("CARGO_TARGET_TMPDIR"))
        .seed(7)
        .runtime("process");
    let settings = match timeout {
        Some(timeout) => settings.timeout(timeout),
        None => settings,
    };
    let folder = tempfile::tempdir().unwrap();
    let ran = catch_unwind(AssertUnwindSafe(|| {
        run_test(settings, |lab| body(lab.with_journals_in(folder.path()), folder.path().to_owned()))
    }));
    let end = match ran {
        Ok(Ok(())) => panic!("an experiment that is not judged does not pass"),
        Ok(Err(failure)) => failure.to_string(),
        Err(panic) => (*panic.downcast_ref::<&str>().unwrap()).to_owned(),
    };
    (end, only_journal(folder.path()), folder)
}

fn only_journal(folder: &Path) -> Journal {
    let report = Report::read(folder).unwrap();
    assert!(report.unreadable.is_empty(), "{:?}", report.unreadable);
    let [experiment] = report.experiments.as_slice() else { panic!("{} journals", report.experiments.len()) };
    experiment.journal.clone()
}

/// `reason` is in every format, and no gate passes.
#[track_caller]
fn is_told_everywhere(folder: &Path, reason: &str) {
    let report = Report::read(folder).unwrap();
    assert_eq!(Gate::of(&report), Gate::NotUpheld);
    assert_eq!(report.experiments[0].view().standing(), Standing::Broken);
    let formats = [
        text::render(&report, text::Style::plain()),
        markdown::render(&report),
        html::render(&report),
        junit::render(&report).unwrap(),
        json::render(&report).unwrap(),
        annotations::render(&report),
    ];
    for format in formats {
        assert!(format.contains(reason), "`{reason}` is not in: {format}");
    }
}

/// How it ends: by `?`, by a panic, by a plain return.
fn ends<F: Future<Output = chaos_harness::Result<()>>>(
    name: &'static str,
    told: &str,
    because: &str,
    end: impl FnOnce(Session) -> F,
) -> Journal {
    let pid = Arc::new(Mutex::new(None));
    let (failure, journal, folder) = run(name, None, {
        let pid = pid.clone();
        async move |lab, _| end(under_way(&lab, &pid).await?).await
    });
    assert!(failure.contains(told), "{failure}");
    assert_eq!(journal.status, Status::Complete);
    let problems: Vec<String> = journal.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with(because), "{problems:?}");
    is_told_everywhere(folder.path(), told);
    let [made] = journal.injections.as_slice() else { panic!("{:?}", journal.injections) };
    assert!(made.rolled_back.is_some() && made.gone.as_ref().is_some_and(|gone| gone.shown), "{made:?}");
    assert!(journal.samples.decode().unwrap().len() >= 5, "the requests are kept");
    let pid = pid.lock().unwrap().expect("it ran");
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is left");
    journal
}

#[test]
fn a_condition_that_does_not_come_true() {
    let name = "script::a_condition_that_does_not_come_true";
    let because = "the test ended: `pigs fly` did not come true within 100ms; answers by then: ";
    let journal = ends(name, "pigs fly", because, async |mut session| {
        session.until("pigs fly", 100.millis(), |_| false).await?;
        session.judge().await.map(drop)
    });
    let noted = |what: &What| matches!(what, What::Note { text } if text.contains("`pigs fly` did not come true"));
    assert!(journal.events.iter().any(|event| noted(&event.what)), "{:?}", journal.events);
}

#[test]
fn a_fault_that_is_refused() {
    let because = "the test ended: no service is named `order`; the topology has: product";
    ends("script::a_fault_that_is_refused", "no service is named", because, async |mut session| {
        let _never = session.inject(target("order").kill()).await?;
        session.judge().await.map(drop)
    });
}

#[test]
fn an_error_of_the_tests_own() {
    let because = "the test ended: there are seven rows";
    ends("script::an_error_of_the_tests_own", "there are seven rows", because, async |_session| {
        Err(Box::<dyn std::error::Error + Send + Sync>::from("there are seven rows").into())
    });
}

#[test]
fn a_panic() {
    let because = "the test panicked: rows are missing";
    ends("script::a_panic", "rows are missing", because, async |_session| panic!("rows are missing"));
}

#[test]
fn a_plain_return() {
    let because = "the test returned without judging it; call `.judge().await`";
    ends("script::a_plain_return", "returned without judging", because, async |_session| Ok(()));
}

#[test]
fn a_test_that_hangs() {
    let because = "the time limit of 1s passed while the test was busy with something else";
    let (failure, journal, folder) = run("script::a_test_that_hangs", Some(1.secs()), async |lab, _| {
        let _session = lab.start(plan(&lab)).await?;
        std::future::pending().await
    });
    assert!(failure.contains(because), "{failure}");
    assert_eq!(journal.problems[0].to_string(), because);
    is_told_everywhere(folder.path(), "the time limit of 1s passed");
}

#[test]
fn a_start_that_is_dropped() {
    let (_, journal, folder) = run("script::a_start_that_is_dropped", None, async |lab, journals| {
        // Long enough for the journal to begin, and too short for a process to be healthy.
        let begun = async {
            while std::fs::read_dir(&journals).unwrap().count() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            session = lab.start(plan(&lab)) => drop(session?),
            () = begun => {}
        }
        Ok(())
    });
    assert_eq!(journal.status, Status::Complete);
    is_told_everywhere(folder.path(), "returned without judging");
}
