//! The report to look at: one HTML file, complete in itself. It loads nothing, runs no script, and follows
//! the reader's choice of light or dark.

mod experiment;
mod lanes;
mod links;
mod panel;
mod plot;
mod series;

use indexmap::IndexSet;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::foreign::{Output, Syntax};
use super::{Experiment, Gate, Report, Standing, View, impact, notes, words};

const STYLE: &str = include_str!("html/style.css");
/// Nothing may be fetched, so the page cannot tell anybody that it was opened.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The whole report.
pub fn render(report: &Report) -> Output {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { "Resilience report: " (Gate::of(report).words()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(report))
                main {
                    (overview(report))
                    (notes_on(report))
                    (unreadable(report))
                    (comparison(report))
                    @for (at, experiment) in report.experiments.iter().enumerate() {
                        (experiment::section(at, experiment))
                    }
                }
                (footer())
            }
        }
    };
    Output::new(Syntax::Markup, &page.into_string())
}

fn header(report: &Report) -> Markup {
    let gate = Gate::of(report);
    let totals = report.totals();
    html! {
        header.page {
            p.brand { "chaos-harness" }
            h1 { "Resilience report" }
            p.facts { (facts(report)) }
            div.tiles {
                (tile(gate.words(), "gate", if gate == Gate::AllUpheld { "good" } else { "bad" }))
                (tile(&report.score().map_or_else(|| "–".to_owned(), words::share), "resilience score", "plain"))
                (tile(&totals.passed.to_string(), "as expected", "plain"))
                (tile(&totals.failed.to_string(), "not as expected", if totals.failed > 0 { "bad" } else { "plain" }))
                @if totals.left_behind > 0 { (tile(&totals.left_behind.to_string(), "left something behind", "bad")) }
                @if totals.not_run > 0 { (tile(&totals.not_run.to_string(), "not run", "plain")) }
                @if totals.unreadable > 0 { (tile(&totals.unreadable.to_string(), "unreadable", "bad")) }
            }
        }
    }
}

fn tile(value: &str, label: &str, class: &str) -> Markup {
    html! { div.tile.(class) { strong { (value) } span { (label) } } }
}

/// When, where and with what the experiments ran, each fact once.
fn facts(report: &Report) -> String {
    let mut facts = IndexSet::new();
    if let Some(at) = report.latest_start() {
        facts.insert(at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    }
    facts.extend(notes::run(report));
    for experiment in &report.experiments {
        let (journal, versions) = (&experiment.journal, &experiment.journal.versions);
        let runtime = format!("{} runtime, {}", journal.runtime.kind, versions.runtime);
        for fact in [format!("chaos-harness {}", versions.harness), runtime, versions.system.clone()] {
            facts.insert(words::line(&fact));
        }
    }
    facts.into_iter().collect::<Vec<_>>().join(" · ")
}

fn overview(report: &Report) -> Markup {
    html! {
        @if report.experiments.is_empty() {
            p.empty { "There is no experiment to show. Journals are written by tests; run some and make the report again." }
        } @else {
            section.card {
                h2 { "Experiments" }
                div.scroll { table.overview {
                    thead { tr {
                        th { "verdict" } th { "experiment" }
                        th.number { "availability" } th.number { "longest silence" } th.number { "p99" } th.number { "recovery" }
                    } }
                    tbody { @for (at, experiment) in report.experiments.iter().enumerate() { (overview_row(at, experiment)) } }
                } }
                p.note { "Availability, p99 and the longest time without an answer while the fault was in force, of all routes. A request is served when it is answered within its deadline. Recovery is the mean over the injections." }
            }
        }
    }
}

fn overview_row(at: usize, experiment: &Experiment) -> Markup {
    let view = experiment.view();
    let measures = view.measures();
    html! {
        tr.twin[view.without().is_some()] {
            td { (badge(view.standing())) }
            td.name { a href={ "#experiment-" (at + 1) } { (name(experiment)) } (twin_label(&view)) }
            td.number data-label="availability" { (measures.availability.map_or_else(none, words::share)) }
            td.number data-label="longest silence" { (millis(measures.longest_silence_ms)) }
            td.number data-label="p99" { (millis(measures.p99_ms)) }
            td.number data-label="recovery" { (impact::mean_words(&measures).unwrap_or_else(none)) }
        }
    }
}

/// A name that may be broken after an underscore.
fn name(experiment: &Experiment) -> Markup {
    let name = words::line(&experiment.name());
    html! { @for part in name.split_inclusive('_') { (part) wbr; } }
}

fn none() -> String {
    "–".to_owned()
}

fn millis(millis: Option<f64>) -> String {
    millis.map_or_else(none, |millis| words::time(std::time::Duration::from_secs_f64(millis.max(0.0) / 1e3)))
}

fn badge(standing: Standing) -> Markup {
    let class = match standing {
        standing if standing.is_passed() => "good",
        Standing::Inconclusive | Standing::Interrupted | Standing::Running | Standing::NotRun => "unknown",
        _ => "bad",
    };
    html! { span.badge.(class) { (standing.words()) } }
}

/// Says of a twin what it is.
fn twin_label(view: &View<'_>) -> Markup {
    let Some(without) = view.without() else { return html! {} };
    let outcome = match view.standing() {
        Standing::RefutedAsExpected => "refuted as expected",
        _ => "meant to be refuted",
    };
    html! { span.without { "twin: without " (words::line(without)) "; " (outcome) } }
}

fn notes_on(report: &Report) -> Markup {
    let notes = notes::of(report);
    html! {
        @if !notes.is_empty() {
            section.card.trouble[notes.iter().any(|note| note.decides)] {
                h2 { "About this run" }
                ul { @for note in &notes { li { strong { (note.title.to_lowercase()) ": " } (note.text) } } }
            }
        }
    }
}

fn unreadable(report: &Report) -> Markup {
    html! {
        @if !report.unreadable.is_empty() {
            section.card.trouble {
                h2 { "Unreadable journals" }
                p { "These files could not be read, so nothing is known of their experiments. Each fails the gate." }
                ul { @for file in &report.unreadable { li { code { (words::line(&file.reason)) } } } }
            }
        }
    }
}

fn comparison(report: &Report) -> Markup {
    let Some(comparison) = &report.comparison else { return html! {} };
    html! {
        section.card.trouble[!comparison.regressions.is_empty()] {
            h2 { "Against the baseline" }
            @if comparison.regressions.is_empty() { p { "Nothing got worse." } }
            ul {
                @for worse in &comparison.regressions { li { strong { "worse: " } (words::line(&worse.to_string())) } }
                @for id in &comparison.missing { li { strong { "not run: " } (words::line(id)) } }
                @for id in &comparison.added { li { strong { "new: " } (words::line(id)) } }
            }
        }
    }
}

fn footer() -> Markup {
    html! {
        footer {
            p { "Resilience score = experiments that ended as expected / all journals. Twins count like other experiments: they are meant to be refuted. An unreadable journal counts as not passed, and what could not be run here is left out." }
            p { "Latency counts from the moment at which a request was due. Recovery counts from the first bad request to the end of the last outage, which is when answers came again." }
        }
    }
}
