//! What large folders and large journals cost to read. By hand, since it takes minutes and 3 GB of disk:
//! `cargo test --release --test report_scale -- --ignored --nocapture --test-threads 1`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "the helpers of tests are tests")]

#[path = "report_fixtures/mod.rs"]
mod fixtures;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use chaos_harness::journal::{Journal, read_dir, read_file};
use chaos_harness::measure::SampleColumns;
use chaos_harness::report::text::Style;
use chaos_harness::report::{Report, RunChoice, html, json, text};

const JOURNALS: usize = 10_000;
const GIGABYTE: u64 = 1_000_000_000;

/// `JOURNALS` small ones in `runs` runs: upheld, refuted and twins.
fn write_many(folder: &Path, runs: usize) {
    for number in 0..JOURNALS {
        let journal = match number % 3 {
            0 => fixtures::upheld(),
            1 => fixtures::refuted(),
            _ => fixtures::twin(),
        };
        let few: Vec<_> = journal.samples.decode().unwrap().into_iter().step_by(20).collect();
        let name = format!("{}_{number}", journal.name());
        let mut journal = Journal { samples: SampleColumns::encode(&few), ..journal };
        journal.plan.name = name.clone();
        journal.test.test = name;
        fixtures::write(folder, &fixtures::in_run(&format!("run-{}", number % runs), (number % runs) as u64, journal));
    }
}

fn timed<T>(what: &str, action: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let done = action();
    println!("{what}: {:.2?}", began.elapsed());
    (done, began.elapsed())
}

#[test]
#[ignore = "takes minutes; by hand, as this file says"]
fn ten_thousand_journals() {
    for runs in [1, 100, JOURNALS] {
        let folder = tempfile::tempdir().unwrap();
        write_many(folder.path(), runs);
        let (entries, took) =
            timed(&format!("{JOURNALS} journals in {runs} runs, read"), || read_dir(folder.path()).unwrap());
        assert_eq!(entries.iter().filter(|entry| entry.journal.is_ok()).count(), JOURNALS);
        assert!(took < Duration::from_secs(5));
        let (_, took) = timed("  the latest run, read", || Report::read(folder.path()).unwrap());
        assert!(took < Duration::from_secs(5));
        let (report, _) = timed("  all runs, read", || Report::read_run(folder.path(), RunChoice::All).unwrap());
        timed("  as text", || text::render(&report, Style::plain()).len());
        timed("  as JSON", || json::render(&report).unwrap().len());
        if runs == 1 {
            timed("  as HTML", || html::render(&report).len());
        }
    }
}

/// The most memory that this process ever had, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Writes a journal of a gigabyte: `list` of it is filled with what `more` gives.
fn write_large(path: &Path, journal: &Journal, list: &str, more: impl Fn(u64) -> String) {
    let whole = serde_json::to_string(journal).unwrap();
    let (before, after) = whole.split_once(&format!("{list}[]")).unwrap();
    let mut file = BufWriter::new(File::create(path).unwrap());
    write!(file, "{before}{list}[").unwrap();
    let mut written = 0;
    for number in 0.. {
        let comma = if number == 0 { "" } else { "," };
        let item = format!("{comma}{}", more(number));
        file.write_all(item.as_bytes()).unwrap();
        written += item.len() as u64;
        if written >= GIGABYTE {
            break;
        }
    }
    write!(file, "]{after}").unwrap();
}

/// Five columns of as many numbers as make a gigabyte, as a load of 20,000 requests a second would leave them.
fn write_samples(path: &Path, journal: &Journal) {
    const SAMPLES: usize = 60_000_000;
    let whole = serde_json::to_string(journal).unwrap();
    let empty = serde_json::to_string(&SampleColumns::default()).unwrap();
    let (before, after) = whole.split_once(&empty).unwrap();
    let mut file = BufWriter::new(File::create(path).unwrap());
    write!(file, "{before}{{\"outcomes\":[{{\"good\":200}},\"timeout\"]").unwrap();
    let column = |file: &mut BufWriter<File>, name: &str, number: fn(usize) -> usize| {
        write!(file, ",\"{name}\":[{}", number(0)).unwrap();
        (1..SAMPLES).for_each(|at| write!(file, ",{}", number(at)).unwrap());
        write!(file, "]").unwrap();
    };
    column(&mut file, "route", |at| at % 3);
    column(&mut file, "intended_us", |_| 50);
    column(&mut file, "lag_us", |at| 30 + at % 90);
    column(&mut file, "latency_us", |at| 1_000 + at % 90_000);
    column(&mut file, "outcome", |at| usize::from(at % 100 == 0));
    write!(file, "}}{after}").unwrap();
}

fn check(path: &Path) -> Journal {
    println!("{}: {} MB", path.display(), fs::metadata(path).unwrap().len() / 1_000_000);
    // From here on counts what it takes to read.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak();
    let (journal, _) = timed("  read", || read_file(path).unwrap());
    println!("  peak {} MB ({} MB before)", peak() / 1_000_000, before / 1_000_000);
    assert!(peak() < 1_200_000_000);
    journal
}

#[test]
#[ignore = "takes minutes and 3 GB of disk; by hand, as this file says"]
fn a_journal_of_a_gigabyte() {
    let folder =
        tempfile::tempdir_in(std::env::var_os("CARGO_TARGET_TMPDIR").unwrap_or_else(|| "/var/tmp".into())).unwrap();
    let journal = Journal { events: Vec::new(), logs: Default::default(), ..fixtures::named("large") };

    let path = folder.path().join("samples.json");
    write_samples(&path, &journal);
    assert!(check(&path).samples.len() > 10_000_000);
    fs::remove_file(&path).unwrap();

    let path = folder.path().join("events.json");
    let event = |at: u64| {
        format!(
            "{{\"at_us\":{at},\"wall\":\"2026-11-20T12:00:00Z\",\"what\":{{\"event\":\"note\",\"text\":\"something that is worth telling, no. {at}\"}}}}"
        )
    };
    write_large(&path, &journal, "\"events\":", event);
    assert!(check(&path).events.len() > 1_000_000);
    fs::remove_file(&path).unwrap();

    let path = folder.path().join("output.json");
    let journal = Journal { logs: [("a-1".to_owned(), Vec::new())].into(), ..journal };
    write_large(&path, &journal, "\"a-1\":", |at| format!("\"12:00:01 INFO line {at} of a service that says much\""));
    assert_eq!(check(&path).logs["a-1"].last().map(|line| line.contains("says much")), Some(true));
}
