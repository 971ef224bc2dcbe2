//! What a failing test prints: all that is needed to understand it without opening another file.

use std::fmt::Write as _;
use std::path::Path;

use super::{Style, heading, hypotheses, injection, links, silence, timeline};
use crate::journal::Journal;
use crate::measure::Sample;
use crate::report::{Output, View, words};

const BAD_REQUESTS: usize = 5;
const LOG_LINES: usize = 10;

/// The failure message of the test that ran `journal`; it names the journal in
/// [`journal_dir`](crate::folders::journal_dir).
pub fn failure(journal: &Journal, style: Style) -> Output {
    failure_at(journal, &crate::folders::journal_dir().join(journal.folder()).join(journal.file_name()), style)
}

/// The failure message of the test that ran `journal`, which lies at `path`.
pub fn failure_at(journal: &Journal, path: &Path, style: Style) -> Output {
    let view = View::of(journal);
    let mut out = heading(&view, "", style);
    out += &hypotheses(&view, style);
    out += &silence(&view, style);
    for made in &journal.injections {
        out += &injection(&view, made, style);
    }
    out += &timeline(&view, style);
    out += &links(&view, style);
    out += &requests(&view, "first bad requests", &view.bad_requests(BAD_REQUESTS));
    out += &requests(&view, "first requests that were served too late for a claim", &view.slow_requests(BAD_REQUESTS));
    out += &logs(&view);
    for problem in &journal.problems {
        // Writing to a string does not fail.
        let _ = writeln!(out, "  problem  {}", words::line(&problem.to_string()));
    }
    let _ = writeln!(out, "  replay   {}", words::line(&journal.replay));
    let _ = writeln!(out, "  journal  {}", words::line(&path.display().to_string()));
    Output::new(style.syntax(), &out)
}

fn requests(view: &View<'_>, title: &str, bad: &[&Sample]) -> String {
    if bad.is_empty() {
        return String::new();
    }
    let width = bad.iter().map(|sample| words::line(view.route(sample)).chars().count()).max().unwrap_or(0);
    let row = |sample: &&Sample| {
        let (at, route) = (words::moment(sample.intended), words::line(view.route(sample)));
        let (outcome, took) = (words::outcome(sample.outcome), words::time(sample.latency()));
        format!("    {at:>10}  {route:width$}  {outcome} after {took}\n")
    };
    format!("  {title}\n") + &bad.iter().map(row).collect::<String>()
}

fn logs(view: &View<'_>) -> String {
    let mut out = String::new();
    for (instance, lines) in view.target_logs() {
        let _ = writeln!(out, "  last lines of {}", words::line(instance));
        for line in &lines[lines.len().saturating_sub(LOG_LINES)..] {
            let _ = writeln!(out, "    | {}", words::line(line));
        }
    }
    out
}
