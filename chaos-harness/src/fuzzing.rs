//! What the fuzz targets in `fuzz/` run: arbitrary bytes go in, and a broken guarantee panics.

use std::io::Cursor;
use std::path::Path;

use crate::experiment::Plan;
use crate::journal::{Entry, Journal};
use crate::report::text::Style;
use crate::report::{Report, annotations, html, json, junit, markdown, text};

pub use crate::link::fuzz_http as http;
pub use crate::load::fuzz_prometheus as prometheus;
pub use crate::safety::{fuzz_allow_list as allow_list, fuzz_undo_log as undo_log};

/// A journal, whole or in records: it is read or refused, and what was read is read again from what is written. The
/// first byte says which kind of file it is (bit 0) and whether reports are made of it (bit 1).
pub fn journal(input: &[u8]) {
    let Some((flags, bytes)) = input.split_first() else { return };
    let path = Path::new(if flags & 1 == 0 { "fuzzed.json" } else { "fuzzed.partial" });
    let read = |path, bytes: &[u8]| crate::journal::parse(path, &mut Cursor::new(bytes));
    let journal = match read(path, bytes) {
        Ok(journal) => journal,
        Err(error) => return assert!(error.to_string().contains("fuzzed")),
    };
    assert!(longest_name(&journal) <= 255, "{}", journal.file_name());
    let written = serde_json::to_vec(&journal).expect("a journal can be written");
    let again = read(Path::new("fuzzed.json"), &written).expect("what was written can be read");
    // Numbers may be written in another way, NaN for one; what is written stays as it is from there on.
    assert_eq!(serde_json::to_vec(&again).expect("it is as good as the other"), written);
    if flags & 2 != 0 {
        reports(Report::of(vec![Entry { path: path.to_owned(), journal: Ok(journal) }]));
    }
}

fn longest_name(journal: &Journal) -> usize {
    journal.file_name().len().max(journal.partial_file_name().len())
}

fn reports(report: Report) {
    let _ = text::render(&report, Style::plain());
    let _ = (markdown::render(&report), html::render(&report), annotations::render(&report));
    junit::render(&report).expect("JUnit is made of any journal");
    let json = json::render(&report).expect("JSON is made of any journal");
    crate::report::baseline::parse(&json).expect("a baseline is what was stored");
}

/// A plan as data: it is read or refused, checked, and told to people; nothing is started.
pub fn plan(input: &[u8]) {
    let Ok(mut plan) = serde_json::from_slice::<Plan>(input) else { return };
    let _ = (plan.validate(), crate::experiment::describe(&plan), plan.radius());
    plan.complete();
    let written = serde_json::to_string(&plan).expect("a plan can be written");
    let again: Plan = serde_json::from_str(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_string(&again).expect("it is as good as the other"), written);
    assert_eq!(again.validate().is_ok(), plan.validate().is_ok(), "{written}");
}
