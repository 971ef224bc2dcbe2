//! Journals belong to a run of the tests, and a report is about one.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod report_fixtures;

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use chaos_harness::journal::{Journal, RUNS_KEPT, TestRun, Writer, runs};
use chaos_harness::report::{Gate, Report, RunChoice, baseline, html, json, junit, markdown, text};
use report_fixtures as fixtures;
use report_fixtures::in_run;
use rstest::rstest;

fn write(folder: &Path, journals: impl IntoIterator<Item = Journal>) {
    journals.into_iter().for_each(|journal| drop(Writer::begin(folder, journal).unwrap().complete().unwrap()));
}

fn names(report: &Report) -> Vec<String> {
    report.experiments.iter().map(|experiment| experiment.name()).collect()
}

fn told(report: &Report) -> String {
    text::render(report, text::Style::plain()).into_string()
}

/// A test that was renamed, deleted or not asked for does not decide a later gate; it is named.
#[test]
fn the_latest_run_is_judged_and_what_it_lacks_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), [in_run("a", 0, fixtures::named("long_gone")), in_run("a", 0, fixtures::refuted())]);
    write(folder.path(), [in_run("b", 5, fixtures::left_behind()), in_run("b", 5, fixtures::refuted())]);
    write(folder.path(), [in_run("c", 10, fixtures::upheld()), in_run("c", 11, fixtures::twin())]);
    let report = Report::read(folder.path()).unwrap();
    assert_eq!(names(&report), [fixtures::upheld().name(), fixtures::twin().name()]);
    assert_eq!(Gate::of(&report), Gate::AllUpheld);
    let text = told(&report);
    for line in [
        "MISSING  the previous run has 2 experiments that this one has not: \
         resilience-tests::cascading_failure::inventory_comes_back (docker), \
         resilience-tests::cascading_failure::left_behind (docker)\n",
        "MISSING  still earlier runs have 1 experiment that this one has not: \
         resilience-tests::cascading_failure::long_gone (docker)\n",
        "NOT JUDGED  2 other runs with 4 journals; the latest: b of 2026-11-20 12:05:00 UTC; ",
        "run c of 2026-11-20 12:11:00 UTC\n",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    for page in [markdown::render(&report), html::render(&report)] {
        assert!(page.contains("long") && page.contains("12:05:00"), "{page}");
    }
    let earlier = Report::read_run(folder.path(), "b".parse().unwrap()).unwrap();
    assert_eq!((names(&earlier).len(), Gate::of(&earlier)), (2, Gate::LeftBehind));
    let all = Report::read_run(folder.path(), RunChoice::All).unwrap();
    assert_eq!((names(&all).len(), Gate::of(&all)), (6, Gate::LeftBehind));
    let none = Report::read_run(folder.path(), "of-today".parse().unwrap()).unwrap();
    assert_eq!(Gate::of(&none), Gate::NothingToJudge);
    assert!(told(&none).contains("run `of-today` has left no journal"), "{}", told(&none));
}

#[test]
fn journals_without_a_run_are_the_oldest() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), [fixtures::refuted()]);
    assert_eq!(Gate::of(&Report::read(folder.path()).unwrap()), Gate::NotUpheld, "they are all there is");
    let mut early = in_run("early", 0, fixtures::upheld());
    early.test_run.as_mut().unwrap().started_at = "2020-01-01T00:00:00Z".parse().unwrap();
    write(folder.path(), [early]);
    let report = Report::read(folder.path()).unwrap();
    assert_eq!((names(&report).len(), Gate::of(&report)), (1, Gate::AllUpheld));
    assert!(told(&report).contains("without a name"), "{}", told(&report));
}

/// What a first attempt showed is not undone by a second one, nor what one runtime showed by another.
#[test]
fn every_attempt_and_every_runtime_counts() {
    let folder = tempfile::tempdir().unwrap();
    let name = fixtures::upheld().plan.name;
    let mut first = in_run("a", 0, fixtures::refuted());
    first.plan.name.clone_from(&name);
    let mut second = in_run("a", 1, fixtures::upheld());
    second.test_run.as_mut().unwrap().attempt = 2;
    let mut on_process = in_run("a", 2, fixtures::upheld());
    on_process.runtime = fixtures::on_process();
    write(folder.path(), [first, second, on_process]);
    let report = Report::read(folder.path()).unwrap();
    let expected = [" on docker (1 of 2)", " on docker (2 of 2)", " on process"];
    assert_eq!(names(&report), expected.map(|suffix| format!("{name}{suffix}")));
    assert_eq!(Gate::of(&report), Gate::NotUpheld);
    let retried = format!("{name} (docker) was run 2 times: refuted, upheld; each of them counts");
    assert!(told(&report).contains(&retried), "{}", told(&report));
    let xml = junit::render(&report).unwrap();
    assert_eq!(xml.matches("<testcase").count(), 3);
    assert!(xml.contains(&format!("{name} on docker (1 of 2)")), "{xml}");
    let stored = baseline::parse(&json::render(&report).unwrap()).unwrap();
    assert_eq!(stored.retried[0].standings, ["refuted", "upheld"]);
}

#[test]
fn a_baseline_of_one_runtime_is_not_compared_with_another() {
    let [docker, process] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    write(docker.path(), [fixtures::upheld()]);
    let mut slow = fixtures::upheld();
    slow.samples = fixtures::twin().samples;
    slow.runtime = fixtures::on_process();
    write(process.path(), [slow]);
    let stored = json::Summary::of(&Report::read(docker.path()).unwrap());
    let comparison = Report::read(process.path()).unwrap().compared_with(&stored).comparison.unwrap();
    assert_eq!(comparison.regressions, []);
    assert_eq!(comparison.missing, [format!("{} on docker", stored.experiments[0].id)]);
}

#[test]
fn a_damaged_journal_counts_for_its_run() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), [in_run("pull/7", 0, fixtures::upheld())]);
    fs::write(folder.path().join("pull%2F7/cut.json"), "{").unwrap();
    let report = Report::read_run(folder.path(), "pull/7".parse().unwrap()).unwrap();
    assert_eq!((report.experiments.len(), report.unreadable.len()), (1, 1));
    write(folder.path(), [in_run("8", 5, fixtures::upheld())]);
    let report = Report::read(folder.path()).unwrap();
    assert_eq!((report.experiments.len(), report.unreadable.len()), (1, 0));
}

#[test]
fn another_run_under_way_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), [in_run("b", 5, fixtures::upheld())]);
    let _writer = Writer::begin(folder.path(), in_run("a", 0, fixtures::named("still_at_it"))).unwrap();
    let report = Report::read(folder.path()).unwrap();
    assert_eq!(Gate::of(&report), Gate::AllUpheld);
    assert!(told(&report).contains("1 other run with 1 journal; 1 under way"), "{}", told(&report));
}

#[test]
fn the_oldest_runs_go_except_one_that_is_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let running = Writer::begin(folder.path(), in_run("running", 0, fixtures::named("still_at_it"))).unwrap();
    age(&folder.path().join("running"), 1_000);
    for run in 0..RUNS_KEPT + 3 {
        write(folder.path(), [in_run(&run.to_string(), 1 + run as u64, fixtures::named("one"))]);
        age(&folder.path().join(run.to_string()), 900 - run as u64);
    }
    let left: Vec<_> = runs(folder.path()).unwrap().into_iter().filter_map(|run| run.id).collect();
    let expected = (2..RUNS_KEPT + 3).map(|run| run.to_string());
    assert_eq!(left, std::iter::once("running".to_owned()).chain(expected).collect::<Vec<_>>());
    drop(running);
}

fn age(folder: &Path, seconds: u64) {
    File::open(folder).unwrap().set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

/// The tests of a run that did not compile leave nothing, and yesterday's journals are no news of today's sources.
#[rstest]
#[case::source("src/deep/lib.rs", true)]
#[case::manifest("member/Cargo.toml", true)]
#[case::lock("Cargo.lock", true)]
#[case::configuration(".cargo/config.toml", true)]
#[case::prose("README.md", false)]
#[case::build("target/debug/build/out.rs", false)]
#[case::hidden(".git/x.rs", false)]
#[case::cache("elsewhere/x.rs", false)]
fn a_newer_source_makes_a_run_outdated(#[case] file: &str, #[case] counts: bool) {
    let (root, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(folder.path(), [in_run("a", 0, fixtures::upheld())]);
    fs::create_dir_all(root.path().join("elsewhere")).unwrap();
    fs::write(root.path().join("elsewhere/CACHEDIR.TAG"), "").unwrap();
    let path = root.path().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let written = |at: &str| {
        let at: jiff::Timestamp = at.parse().unwrap();
        File::create(&path).unwrap().set_modified(at.into()).unwrap();
        Report::read(folder.path()).unwrap().checked_for_changes(root.path())
    };
    assert_eq!(Gate::of(&written("2026-11-20T12:00:01Z")), Gate::AllUpheld, "before the first experiment");
    let report = written("2026-11-20T12:00:03Z");
    assert_eq!(Gate::of(&report), if counts { Gate::NothingToJudge } else { Gate::AllUpheld });
    assert_eq!(told(&report).contains(&format!("OUTDATED  {file} was changed at 2026-11-20 12:00:03 UTC")), counts);
}

#[test]
fn this_process_belongs_to_a_run() {
    let run = TestRun::current().unwrap();
    assert!(!run.id.is_empty() && Path::new(&run.executable).is_absolute(), "{run:?}");
    assert_eq!(run.folder(), TestRun::current().unwrap().folder());
}
