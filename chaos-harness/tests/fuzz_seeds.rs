//! The fuzz targets of `fuzz/`, on their seeds: what was found once is not found again, and every target still builds.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

#[path = "report_fixtures/mod.rs"]
mod fixtures;

use std::fs;
use std::path::{Path, PathBuf};

use chaos_harness::fuzzing;
use chaos_harness::journal::{Journal, Record};
use chaos_harness::measure::SampleColumns;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target)
}

/// Runs `target` on each of its seeds.
fn run(target: &str, run: fn(&[u8])) {
    let seeds: Vec<PathBuf> = fs::read_dir(folder(target)).unwrap().map(|seed| seed.unwrap().path()).collect();
    assert!(!seeds.is_empty(), "no seed for {target}");
    for seed in seeds {
        eprintln!("{}", seed.display());
        run(&fs::read(seed).unwrap());
    }
}

#[test]
fn journals() {
    if std::env::var_os("CHAOS_BLESS").is_some() {
        bless();
    }
    run("journal", fuzzing::journal);
}

#[test]
fn plans() {
    run("plan", fuzzing::plan);
}

#[test]
fn pages_of_metrics() {
    run("prometheus", fuzzing::prometheus);
}

#[test]
fn undo_logs() {
    run("undo_log", fuzzing::undo_log);
}

#[test]
fn allow_lists() {
    run("allow_list", fuzzing::allow_list);
}

/// Writes the seeds that are made of journals, with a few samples each.
fn bless() {
    for journal in fixtures::journals() {
        let few: Vec<_> = journal.samples.decode().unwrap().into_iter().step_by(150).collect();
        let journal = Journal { samples: SampleColumns::encode(&few), ..journal };
        let name = journal.name().to_owned();
        fs::write(folder("plan").join(&name), serde_json::to_vec(&journal.plan).unwrap()).unwrap();
        fs::write(folder("journal").join(&name), [b"\x02".to_vec(), serde_json::to_vec(&journal).unwrap()].concat())
            .unwrap();
        fs::write(folder("journal").join(name + "-partial"), [b"\x03".to_vec(), in_records(journal)].concat()).unwrap();
    }
}

fn in_records(journal: Journal) -> Vec<u8> {
    let head = Journal { events: Vec::new(), samples: SampleColumns::default(), ..journal.clone() };
    let head = Record::Head { owner: "a process that is gone".to_owned(), journal: Box::new(head) };
    let events = journal.events.into_iter().map(Record::Event);
    let records = [head].into_iter().chain(events).chain([
        Record::Samples(journal.samples.clone()),
        Record::Samples(journal.samples),
        Record::Logs(journal.logs),
    ]);
    records.flat_map(|record| [serde_json::to_vec(&record).unwrap(), b"\n".to_vec()].concat()).collect()
}
