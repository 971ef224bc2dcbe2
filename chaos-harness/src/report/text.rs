//! The report for terminals, and the failure message of a test.

mod failure;
mod style;

use std::fmt::Write as _;

pub use failure::{failure, failure_at};
pub use style::Style;

use super::foreign::{Output, Syntax};
use super::impact::recovery_words;
use super::sparkline::Sparkline;
use super::view::reached;
use super::{Experiment, Gate, Report, Standing, View, notes, traffic, words};
use crate::hypothesis::Finding;
use crate::journal::{InjectionRecord, Journal};

/// The whole report.
pub fn render(report: &Report, style: Style) -> Output {
    let mut out = String::new();
    for experiment in &report.experiments {
        out += &details(experiment, style);
        out.push('\n');
    }
    for file in &report.unreadable {
        out += &format!("{}  {}\n\n", style.held(Some(false), "UNREADABLE"), words::line(&file.reason));
    }
    out += &(notes(report, style) + &comparison(report, style) + &summary(report, style));
    Output::new(style.syntax(), &out)
}

/// One experiment's result on one line, for the log of a test.
pub fn line(journal: &Journal) -> Output {
    let view = View::of(journal);
    let findings: Vec<String> = journal.findings.iter().map(|finding| words::line(&finding.to_string())).collect();
    let reason = view.reason();
    let twin = view.without().map_or_else(String::new, |without| format!(" (twin: without {})", words::line(without)));
    let told = match (findings.is_empty(), reason.is_empty() || view.standing().is_passed()) {
        (false, true) if view.standing() == Standing::Upheld && !reason.is_empty() => {
            format!(": {}; {reason}", findings.join("; "))
        }
        (false, true) => format!(": {}", findings.join("; ")),
        (_, false) => format!(": {reason}"),
        (true, true) => String::new(),
    };
    let line = format!("{} {}{twin}{told}", view.standing().words(), words::line(journal.name()));
    Output::new(Syntax::Text, &line)
}

/// Name, verdict, hypotheses, injections and timeline of one experiment.
fn details(experiment: &Experiment, style: Style) -> String {
    let view = experiment.view();
    let mut out = heading(&view, &experiment.suffix, style) + &hypotheses(&view, style) + &silence(&view, style);
    for made in &view.journal.injections {
        out += &injection(&view, made, style);
    }
    out += &timeline(&view, style);
    out += &links(&view, style);
    for problem in &view.journal.problems {
        out += &format!("  {}  {}\n", style.held(Some(false), "problem"), words::line(&problem.to_string()));
    }
    if !view.standing().is_passed() {
        out += &format!("  {}   {}\n", style.dim("replay"), words::line(&view.journal.replay));
        out += &format!("  {}  {}\n", style.dim("journal"), words::line(&experiment.path.display().to_string()));
    }
    out
}

fn heading(view: &View<'_>, suffix: &str, style: Style) -> String {
    let journal = view.journal;
    let standing = view.standing();
    let verdict = style.standing(standing, &standing.words().to_uppercase());
    let took = journal.took.map_or_else(String::new, |took| format!(", {}", words::time(took)));
    let context = format!("({}, seed {}{took})", journal.runtime.kind, journal.plan.seed);
    let name = style.bold(&words::line(&format!("{}{suffix}", journal.name())));
    let mut out = format!("{verdict}  {name}  {}\n", style.dim(&context));
    if let Some(without) = view.without() {
        out += &format!("  twin: without {}; meant to be refuted\n", words::line(without));
    }
    let reason = view.reason();
    if !reason.is_empty() && !standing.is_passed() {
        out += &format!("  {reason}\n");
    }
    out + &format!("  {}\n", style.dim(&format!("{}:{}", words::line(&journal.test.file), journal.test.line)))
}

/// One row for each hypothesis: a mark, the claim, the measured value.
fn hypotheses(view: &View<'_>, style: Style) -> String {
    let findings = &view.journal.findings;
    let claim = |finding: &Finding| words::line(&finding.hypothesis.to_string());
    let width = findings.iter().map(|finding| claim(finding).chars().count()).max().unwrap_or(0);
    let row = |finding: &Finding| {
        let (held, measured) = (finding.holds(), words::line(&finding.measured.to_string()));
        format!("  {} {:width$}  {}\n", style.held(held, mark(held)), claim(finding), style.held(held, &measured))
    };
    findings.iter().map(row).collect()
}

/// How long users waited without an answer, which no availability shows.
fn silence(view: &View<'_>, style: Style) -> String {
    view.silence().map_or_else(String::new, |told| format!("  {}\n", style.dim(&told)))
}

fn mark(held: Option<bool>) -> &'static str {
    match held {
        Some(true) => "✓",
        Some(false) => "✗",
        None => "?",
    }
}

/// What was done, whether it bit, and the decomposition of its time.
fn injection(view: &View<'_>, made: &InjectionRecord, style: Style) -> String {
    let end = made.rolled_back.map_or_else(|| "not rolled back".to_owned(), |end| format!("to {}", words::moment(end)));
    let fault = words::line(&made.fault);
    let repetition = if made.repetition > 1 { format!(" (no. {})", made.repetition) } else { String::new() };
    let when = format!("{} {end}, by {}", words::moment(made.began), words::line(&made.mechanism));
    let mut out = format!("  {}{repetition}  {}\n", style.bold(&fault), style.dim(&when));
    let bite = match &made.bite {
        Some(bite) if bite.shown => format!("bit: {}", words::line(&bite.looked_at)),
        Some(bite) => format!("did not bite: {}", words::line(&bite.looked_at)),
        None => "bite not measured".to_owned(),
    };
    // Writing to a string does not fail.
    let _ = writeln!(out, "    {bite}; {}", recovery_words(made));
    for line in traffic::meanwhile(view, made) {
        let _ = writeln!(out, "    {line}");
    }
    let steps: Vec<String> =
        reached(made).into_iter().map(|(name, at)| format!("{name} {}", words::after(made.began, at))).collect();
    if !steps.is_empty() {
        let _ = writeln!(out, "    injected -> {}", steps.join(" -> "));
    }
    out
}

fn timeline(view: &View<'_>, style: Style) -> String {
    let Some(sparkline) = Sparkline::of(view) else { return String::new() };
    let row = |(name, drawn, range): (&str, &str, String)| {
        format!("  {}  {drawn}  {}\n", style.dim(&format!("{name:12}")), style.dim(&range))
    };
    sparkline.rows().into_iter().map(row).collect()
}

/// One row for each link that saw traffic or a fault; a star marks those with a fault.
fn links(view: &View<'_>, style: Style) -> String {
    let links = traffic::links(view);
    let width = links.iter().map(|link| link.name().chars().count()).max().unwrap_or(0) + 2;
    let row = |name: &str, connections: &str, up: &str, down: &str, disturbed: &str| {
        format!("  {name:width$}  {connections:>11}  {up:>8}  {down:>8}  {disturbed}").trim_end().to_owned()
    };
    let rows: String = links
        .iter()
        .map(|link| {
            let name = if link.faults.is_empty() { link.name() } else { format!("{} *", link.name()) };
            row(&name, &link.connections().to_string(), &link.up(), &link.down(), &link.disturbed()) + "\n"
        })
        .collect();
    if rows.is_empty() {
        return rows;
    }
    style.dim(&row("links", "connections", "up", "down", "disturbed (* a fault was on it)")) + "\n" + &rows
}

/// Which run this is, and what it does not have.
fn notes(report: &Report, style: Style) -> String {
    let mut out = String::new();
    for note in notes::of(report) {
        let held = if note.decides { Some(false) } else { None };
        out += &format!("{}  {}\n", style.held(held, note.title), note.text);
    }
    if let Some(run) = notes::run(report) {
        out += &format!("{}\n", style.dim(&run));
    }
    if out.is_empty() { out } else { out + "\n" }
}

fn comparison(report: &Report, style: Style) -> String {
    let Some(comparison) = &report.comparison else { return String::new() };
    let mut out = String::new();
    for regression in &comparison.regressions {
        out += &format!("{}  {}\n", style.held(Some(false), "WORSE"), words::line(&regression.to_string()));
    }
    for id in &comparison.missing {
        out += &format!("{}  {} is in the baseline and was not run\n", style.held(None, "MISSING"), words::line(id));
    }
    if comparison.regressions.is_empty() {
        out += "compared with the baseline: nothing got worse\n";
    }
    out + "\n"
}

/// The last line: the gate's answer, totals and score.
fn summary(report: &Report, style: Style) -> String {
    let gate = Gate::of(report);
    let totals = report.totals();
    let mut parts = vec![format!("{} as expected", totals.passed)];
    for (number, what) in [
        (totals.failed, "not as expected"),
        (totals.left_behind, "left something behind"),
        (totals.unreadable, "unreadable"),
        (totals.not_run, "not run"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    let score = report.score().map_or_else(String::new, |score| format!("; resilience score {}", words::share(score)));
    let total = words::count(report.experiments.len(), "experiment");
    let verdict = style.held(Some(gate == Gate::AllUpheld), gate.words());
    format!("{verdict}: {total}, {}{score}\n", parts.join(", "))
}
