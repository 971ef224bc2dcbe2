//! No two experiments share a file, whatever they are called.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "report_fixtures/mod.rs"]
mod fixtures;

use std::collections::HashSet;

use chaos_harness::journal::{Journal, TestRef, TestRun, Writer, read_dir};
use chaos_harness::report::Report;
use chaos_harness::runtime::{Choice, RuntimeKind};
use proptest::prelude::*;

type Identity = (String, String, String, String, bool, u32);

/// All of one run, begun at one moment: as near to each other as two can be.
fn journal((package, target, test, name, on_docker, attempt): Identity) -> Journal {
    let mut journal = fixtures::in_run("r", 0, fixtures::named("x"));
    journal.test = TestRef { package, target, test, ..journal.test };
    journal.plan.name = name;
    journal.run = "at-once".to_owned();
    let kind = if on_docker { RuntimeKind::Docker } else { RuntimeKind::Process };
    journal.runtime = Choice { kind, reason: String::new() };
    journal.test_run = journal.test_run.map(|run| TestRun { attempt, ..run });
    journal
}

fn named(name: &str) -> Journal {
    journal(("p".to_owned(), "t".to_owned(), name.to_owned(), name.to_owned(), true, 1))
}

#[test]
fn names_alike_are_told_apart() {
    let long = "ж".repeat(200);
    let names =
        ["a b", "a/b", "a.b", "a::b", "a:b", "a%20b", "склад", "заказ", "注文", "x", "x.partial", "x.2", ".", ".."];
    let folder = tempfile::tempdir().unwrap();
    let names = names.into_iter().map(str::to_owned).chain([long.clone() + "a", long + "b"]);
    let journals: Vec<Journal> = names.map(|name| named(&name)).collect();
    for journal in &journals {
        Writer::begin(folder.path(), journal.clone()).unwrap().complete().unwrap();
    }
    let read: HashSet<String> =
        read_dir(folder.path()).unwrap().into_iter().map(|entry| entry.journal.unwrap().plan.name).collect();
    assert_eq!(read, journals.iter().map(|journal| journal.plan.name.clone()).collect());
    assert!(named("склад").file_name().contains("склад"), "readable in any script");
}

#[test]
fn a_report_tells_apart_what_looks_alike() {
    let folder = tempfile::tempdir().unwrap();
    for (at, name) in ["a\u{1b}b", "a\u{7}b", "a\nb", "a b"].into_iter().enumerate() {
        let journal = Journal { run: at.to_string(), ..named(name) };
        Writer::begin(folder.path(), journal).unwrap().complete().unwrap();
    }
    let junit = chaos_harness::report::junit::render(&Report::read(folder.path()).unwrap()).unwrap();
    let read = quick_junit::Report::deserialize_from_str(&junit).unwrap();
    let names: Vec<&str> = read.test_suites[0].test_cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), 4, "{names:?}");
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ab.:/%+~_é注\u{301} -]{0,4}", "[a-c]{140,170}"]
}

fn identities() -> impl Strategy<Value = Identity> {
    (names(), names(), names(), names(), any::<bool>(), 1..4u32)
}

proptest! {
    #[test]
    fn different_experiments_have_different_files(one in identities(), other in identities(), same: [bool; 6]) {
        // As alike as they may be.
        let pick = |at: usize, one: &String, other: &String| if same[at] { one.clone() } else { other.clone() };
        let other: Identity = (
            pick(0, &one.0, &other.0), pick(1, &one.1, &other.1), pick(2, &one.2, &other.2), pick(3, &one.3, &other.3),
            if same[4] { one.4 } else { other.4 }, if same[5] { one.5 } else { other.5 },
        );
        let (first, second) = (journal(one.clone()), journal(other.clone()));
        prop_assert_eq!(one == other, first.file_name() == second.file_name(), "{}", first.file_name());
        for name in [first.file_name(), first.partial_file_name()] {
            prop_assert!(name.len() <= 255, "{} bytes", name.len());
            prop_assert!(!name.contains(['"', ':', '<', '>', '|', '*', '?', '\r', '\n', '\\', '/', '\0']), "{}", name);
        }
    }
}
