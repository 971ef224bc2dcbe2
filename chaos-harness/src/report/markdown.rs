//! The report as GitHub Markdown, for a job's summary: a table, and the details of each experiment to unfold.

use std::fmt::Write as _;

use super::foreign::{Output, Syntax};
use super::impact::{mean_words, recovery_words};
use super::sparkline::Sparkline;
use super::view::{finding_word, reached};
use super::{Experiment, Gate, Report, View, notes, traffic, words};

/// The whole report.
pub fn render(report: &Report) -> Output {
    render_within(report, usize::MAX)
}

/// As much of the report as `limit` bytes hold: GitHub refuses a job's summary of more than 1 MiB. What did not end as
/// expected comes before what did, the rows of the table before the details, and nothing is cut in the middle. What is
/// left out is counted.
pub fn render_within(report: &Report, limit: usize) -> Output {
    let mut left = limit.saturating_sub(head(report).len() + NOTE);
    let rows = fitting(report, &mut left, row);
    let others = [notes_on(report), unreadable(report), comparison(report)].map(|part| Syntax::Text.guarded(&part));
    let others: String = others.into_iter().filter(|part| take(&mut left, part)).collect();
    let details = fitting(report, &mut left, details);
    let omitted = |kept: &[String], what| match report.experiments.len() - kept.len() {
        0 => String::new(),
        number => format!("{} {what}.\n\n", words::count(number, "experiment")),
    };
    let omitted = omitted(&rows, "not in this table, which may not be longer")
        + &omitted(&details, "without details here, since this page may not be longer; the other reports have them");
    let end = if rows.is_empty() { "" } else { "\n" };
    let all = head(report) + &rows.concat() + end + &others + &omitted + &details.concat();
    Output::new(Syntax::Text, if all.len() > limit { "" } else { &all })
}

/// What the notes on what was left out take at most.
const NOTE: usize = 400;

/// The parts that `part` makes of experiments, as many as fit into `left` bytes, in the order of the report.
fn fitting(report: &Report, left: &mut usize, part: fn(&Experiment) -> String) -> Vec<String> {
    let mut order: Vec<usize> = (0..report.experiments.len()).collect();
    order.sort_by_key(|at| report.experiments[*at].view().standing().is_passed());
    let mut parts: Vec<(usize, String)> =
        order.into_iter().map(|at| (at, Syntax::Text.guarded(&part(&report.experiments[at])))).collect();
    parts.retain(|(_, part)| take(left, part));
    parts.sort_by_key(|(at, _)| *at);
    parts.into_iter().map(|(_, part)| part).collect()
}

/// Whether `part` fits into what is left, which is less by it then.
fn take(left: &mut usize, part: &str) -> bool {
    let fits = part.len() <= *left;
    *left -= if fits { part.len() } else { 0 };
    fits
}

fn head(report: &Report) -> String {
    let score = report.score().map_or_else(String::new, |score| format!(", resilience score {}", words::share(score)));
    let total = words::count(report.experiments.len(), "experiment");
    let run = notes::run(report).map_or_else(String::new, |run| format!(", {}", inline(&run)));
    let head = format!("## Resilience: {}\n\n{total}{score}{run}.\n\n", Gate::of(report).words());
    if report.experiments.is_empty() {
        return head;
    }
    head + "| | experiment | verdict | availability | longest silence | p99 | recovery |\n|---|---|---|--:|--:|--:|--:|\n"
}

/// A row of the table.
fn row(experiment: &Experiment) -> String {
    let view = experiment.view();
    let measures = view.measures();
    let mark = match view.standing() {
        standing if standing.is_passed() => "✓",
        super::Standing::NotRun => "–",
        _ => "✗",
    };
    let time = |millis: Option<f64>| millis.map_or_else(none, |millis| words::time(millis_to_time(millis)));
    let recovery = mean_words(&measures).unwrap_or_else(none);
    let availability = measures.availability.map_or_else(none, words::share);
    let twin = view.without().map_or_else(String::new, |without| format!(" (without {})", inline(without)));
    format!(
        "| {mark} | {}{twin} | {} | {availability} | {} | {} | {recovery} |\n",
        inline(&experiment.name()),
        view.standing().words(),
        time(measures.longest_silence_ms),
        time(measures.p99_ms),
    )
}

fn none() -> String {
    "–".to_owned()
}

fn millis_to_time(millis: f64) -> std::time::Duration {
    std::time::Duration::from_secs_f64(millis.max(0.0) / 1e3)
}

fn notes_on(report: &Report) -> String {
    let rows: String = notes::of(report)
        .iter()
        .map(|note| format!("- {}: {}\n", note.title.to_lowercase(), inline(&note.text)))
        .collect();
    if rows.is_empty() { rows } else { rows + "\n" }
}

fn unreadable(report: &Report) -> String {
    if report.unreadable.is_empty() {
        return String::new();
    }
    let row = |file: &super::Unreadable| format!("- {}\n", inline(&file.reason));
    format!("### Unreadable journals\n\n{}\n", report.unreadable.iter().map(row).collect::<String>())
}

fn comparison(report: &Report) -> String {
    let Some(comparison) = &report.comparison else { return String::new() };
    let worse =
        comparison.regressions.iter().map(|regression| format!("- worse: {}\n", inline(&regression.to_string())));
    let missing = comparison.missing.iter().map(|id| format!("- not run: {}\n", inline(id)));
    let rows: String = worse.chain(missing).collect();
    let rows = if rows.is_empty() { "Nothing got worse.\n".to_owned() } else { rows };
    format!("### Against the baseline\n\n{rows}\n")
}

fn details(experiment: &Experiment) -> String {
    let (view, journal) = (experiment.view(), &experiment.journal);
    let open = if view.standing().is_passed() { "" } else { " open" };
    let mut out = format!(
        "<details{open}><summary>{}: {}</summary>\n\n",
        view.standing().words(),
        escape(&words::line(&experiment.name()))
    );
    let reason = view.reason();
    if !reason.is_empty() {
        out += &format!("{}\n\n", inline(&reason));
    }
    out += &hypotheses(&view);
    if let Some(told) = view.silence() {
        out += &format!("- {}\n", inline(&told));
    }
    out += &injections(&view);
    out += &timeline(&view);
    out += &links(&view);
    for problem in &journal.problems {
        let _ = writeln!(out, "- problem: {}", inline(&problem.to_string()));
    }
    let place = format!("{}:{}", journal.test.file, journal.test.line);
    out + &format!("\n{}\n\n{}\n</details>\n\n", inline(&place), fenced(&journal.replay))
}

fn hypotheses(view: &View<'_>) -> String {
    if view.journal.findings.is_empty() {
        return String::new();
    }
    let row = |finding: &crate::hypothesis::Finding| {
        let claim = inline(&finding.hypothesis.to_string());
        format!("| {claim} | {} | {} |\n", inline(&finding.measured.to_string()), finding_word(finding))
    };
    let rows: String = view.journal.findings.iter().map(row).collect();
    format!("| hypothesis | measured | |\n|---|---|---|\n{rows}\n")
}

fn injections(view: &View<'_>) -> String {
    let row = |made: &crate::journal::InjectionRecord| {
        let steps: Vec<String> =
            reached(made).into_iter().map(|(name, at)| format!("{name} {}", words::after(made.began, at))).collect();
        let steps = if steps.is_empty() { String::new() } else { format!("; injected, {}", steps.join(", ")) };
        let fault = inline(&made.fault);
        format!("- {fault} by {}: {}{steps}\n", inline(&made.mechanism), recovery_words(made))
    };
    let rows: String = view.journal.injections.iter().map(row).collect();
    if rows.is_empty() { rows } else { rows + "\n" }
}

fn timeline(view: &View<'_>) -> String {
    let Some(sparkline) = Sparkline::of(view) else { return String::new() };
    let row = |(name, drawn, range): (&str, &str, String)| format!("{name:12}  {drawn}  {range}\n");
    fenced(&sparkline.rows().into_iter().map(row).collect::<String>()) + "\n"
}

fn links(view: &View<'_>) -> String {
    let row = |link: &traffic::LinkView<'_>| {
        let name = if link.faults.is_empty() { inline(&link.name()) } else { format!("**{}**", inline(&link.name())) };
        let (connections, disturbed) = (link.connections(), inline(&link.disturbed()));
        format!("| {name} | {connections} | {} | {} | {disturbed} |\n", link.up(), link.down())
    };
    let rows: String = traffic::links(view).iter().map(row).collect();
    if rows.is_empty() {
        return rows;
    }
    let head = "| link (bold: a fault was on it) | connections | up | down | disturbed |\n|---|--:|--:|--:|---|\n";
    format!("{head}{rows}\n")
}

/// A code block that no line of `text` can end.
fn fenced(text: &str) -> String {
    format!("~~~~~~text\n{}\n~~~~~~\n", words::clean(text).trim_end().replace("~~~", "~ ~ ~"))
}

/// Foreign text on one line in a paragraph or a table, meaning nothing but itself: no markup, no link, no list.
fn inline(text: &str) -> String {
    let text = words::line(text).replace("://", "\u{0}//").replace("www.", "www\u{1}");
    let mut out = String::new();
    let begins_list = |at: usize, c: char| match c {
        '-' | '+' | '=' => at == 0,
        '.' | ')' => {
            let ends = text[at + 1..].chars().next().is_none_or(char::is_whitespace);
            ends && at > 0 && text[..at].bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    };
    for (at, c) in text.char_indices() {
        match c {
            '\u{0}' => out += "&#58;",
            '\u{1}' => out += "&#46;",
            '<' | '>' | '&' => out += &escape(&c.to_string()),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '~' | '@' | '$' => out.extend(['\\', c]),
            c if begins_list(at, c) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
