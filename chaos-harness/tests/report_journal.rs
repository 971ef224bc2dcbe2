//! Journals on disk: complete ones, those of running and of killed test processes, damaged ones.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod report_fixtures;

use std::fs;
use std::path::Path;

use chaos_harness::hypothesis::Verdict;
use chaos_harness::journal::{
    Entry, Journal, JournalError, LinkInterval, Outlook, Record, Status, Traffic, TrafficInterval, Writer, read_dir,
    read_file,
};
use chaos_harness::link::LinkName;
use chaos_harness::measure::SampleColumns;
use proptest::prelude::*;
use report_fixtures as fixtures;

/// The journal of a killed test process: its lines, with an owner that is gone.
fn partial_text() -> String {
    let journal = Journal { status: Status::Running, verdict: None, took: None, ..fixtures::upheld() };
    let samples = journal.samples.clone();
    let findings = journal.findings.clone();
    let head = Journal { samples: SampleColumns::default(), findings: Vec::new(), ..journal.clone() };
    let records = [
        Record::Head { owner: "gone".to_owned(), journal: Box::new(head) },
        Record::Event(journal.events[2].clone()),
        Record::Samples(samples),
        Record::Injection { index: 0, record: Box::new(journal.injections[0].clone()) },
        Record::Findings(findings),
        // Letters of several bytes, so that a cut can go through one.
        Record::Logs([("order-1".to_owned(), vec!["Größe → 3 €".repeat(40)])].into()),
        Record::Verdict(Verdict::Upheld),
    ];
    records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect()
}

fn read_text(folder: &Path, name: &str, text: &[u8]) -> Result<Journal, JournalError> {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    read_file(&path)
}

#[test]
fn a_writer_leaves_a_running_journal_and_then_a_complete_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::begin(folder.path(), fixtures::named("one")).unwrap();
    writer.add(Record::Samples(fixtures::upheld().samples)).unwrap();
    let running = read_dir(folder.path()).unwrap();
    let [Entry { path: partial, journal: Ok(journal) }] = running.as_slice() else { panic!("{running:?}") };
    assert_eq!((journal.status, journal.outlook()), (Status::Running, Outlook::Failed));
    assert_eq!(journal.samples, fixtures::upheld().samples);
    let (written, path) = writer.complete().unwrap();
    assert!(!partial.exists(), "the partial file is gone");
    assert_eq!(read_file(&path).unwrap(), written);
    assert_eq!(written.status, Status::Complete);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(left, [path]);
}

#[test]
fn the_journal_of_a_dead_process_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let journal = read_text(folder.path(), "a.partial", partial_text().as_bytes()).unwrap();
    assert_eq!((journal.status, journal.outlook()), (Status::Interrupted, Outlook::Failed));
    assert_eq!(journal.samples, fixtures::upheld().samples);
}

#[test]
fn a_last_line_that_was_cut_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let text = partial_text();
    let journal = read_text(folder.path(), "a.partial", &text.as_bytes()[..text.len() - 5]).unwrap();
    assert_eq!(journal.verdict, None);
    assert_eq!(journal.findings, fixtures::upheld().findings);
}

#[test]
fn a_line_that_is_damaged_in_the_middle_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let damaged: Vec<String> = partial_text().lines().map(str::to_owned).collect();
    let text = format!("{}\n{}\n{}\n", damaged[0], &damaged[1][..20], damaged[2]);
    let error = read_text(folder.path(), "damaged.partial", text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("damaged.partial") && error.contains("line 2"), "{error}");
}

/// An earlier attempt, whole or interrupted, stays beside a later one: a retry must not hide it.
#[test]
fn nothing_replaces_what_was_written_before() {
    let folder = tempfile::tempdir().unwrap();
    let interrupted = fixtures::write_interrupted(folder.path());
    let mut later = fixtures::named("checkout_is_interrupted");
    later.run = "20261120T130000".to_owned();
    later.started_at = "2026-11-20T13:00:00Z".parse().unwrap();
    let on_process = Journal { runtime: fixtures::on_process(), ..later.clone() };
    let mut expected = vec![interrupted];
    for journal in [later, on_process] {
        expected.push(Writer::begin(folder.path(), journal).unwrap().complete().unwrap().1);
    }
    expected.sort();
    let paths: Vec<_> = read_dir(folder.path()).unwrap().into_iter().map(|entry| entry.path).collect();
    assert_eq!(paths, expected);
}

/// Its writer was killed after the rename, and before it removed the `.partial` file.
#[test]
fn of_one_run_the_whole_journal_counts() {
    let folder = tempfile::tempdir().unwrap();
    let partial = fixtures::write_interrupted(folder.path());
    let whole = fixtures::write(folder.path(), &fixtures::named("checkout_is_interrupted"));
    let other = fixtures::write(folder.path(), &fixtures::named("another"));
    let paths = || read_dir(folder.path()).unwrap().into_iter().map(|entry| entry.path).collect::<Vec<_>>();
    assert_eq!(paths(), [other.as_path(), whole.as_path()]);
    fs::write(&partial, "\0\0\0").unwrap();
    assert_eq!(paths(), [other.as_path(), whole.as_path()], "a damaged one is no other run");
    fs::write(&whole, "{").unwrap();
    assert_eq!(paths().len(), 3, "a whole one that cannot be read hides nothing");
}

#[test]
fn another_version_is_refused_by_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = serde_json::to_value(fixtures::upheld()).unwrap();
    journal["schema"] = 999.into();
    let whole = read_text(folder.path(), "a.json", journal.to_string().as_bytes()).unwrap_err();
    assert!(matches!(whole, JournalError::Version { found: 999, .. }), "{whole}");
    let head = serde_json::json!({ "record": "head", "data": { "owner": "gone", "journal": journal } });
    let partial = read_text(folder.path(), "a.partial", format!("{head}\n").as_bytes()).unwrap_err();
    assert!(matches!(partial, JournalError::Version { found: 999, .. }), "{partial}");
}

#[test]
fn a_journal_from_before_the_links_were_watched_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = serde_json::to_value(fixtures::upheld()).unwrap();
    assert!(journal.as_object_mut().unwrap().remove("test_run").is_some());
    assert!(journal.as_object_mut().unwrap().remove("links").is_some());
    assert!(journal["injections"][0].as_object_mut().unwrap().remove("links").is_some());
    let read = read_text(folder.path(), "a.json", journal.to_string().as_bytes()).unwrap();
    assert_eq!(read.links, Traffic::default());
    assert_eq!(read.samples, fixtures::upheld().samples);
}

#[test]
fn what_the_links_saw_survives_a_killed_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::begin(folder.path(), fixtures::named("one")).unwrap();
    for (from_us, until_us) in [(0, 250_000), (250_000, 260_000)] {
        let counted = [("bytes_up".to_owned(), until_us)].into();
        let link = LinkInterval { link: LinkName::new("order", "inventory"), open: 1, counted };
        writer.add(Record::Traffic(TrafficInterval { from_us, until_us, links: vec![link] })).unwrap();
    }
    let running = read_dir(folder.path()).unwrap().remove(0).journal.unwrap();
    assert_eq!(running.links, writer.journal().links);
    assert_eq!(running.links.each[0].total("bytes_up"), 510_000);
}

#[test]
fn other_files_are_not_journals() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("README.md"), "hello").unwrap();
    assert!(read_dir(folder.path()).unwrap().is_empty());
    assert!(read_dir(&folder.path().join("nowhere")).unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_partial_file_may_end_anywhere_after_its_first_line(share in 0.0..=1.0f64) {
        let folder = tempfile::tempdir().unwrap();
        let text = partial_text();
        let first = text.find('\n').unwrap() + 1;
        let end = first + ((text.len() - first) as f64 * share) as usize;
        let journal = read_text(folder.path(), "a.partial", &text.as_bytes()[..end]).unwrap();
        prop_assert_eq!(journal.status, Status::Interrupted);
    }

    #[test]
    fn a_complete_file_that_was_cut_is_named(share in 0.0..1.0f64) {
        let folder = tempfile::tempdir().unwrap();
        let text = serde_json::to_string(&fixtures::upheld()).unwrap();
        let end = (text.len() as f64 * share) as usize;
        let error = read_text(folder.path(), "cut.json", &text.as_bytes()[..end]).unwrap_err().to_string();
        prop_assert!(error.contains("cut.json"), "{}", error);
    }
}
