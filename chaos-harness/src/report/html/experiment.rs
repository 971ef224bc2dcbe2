//! One experiment's section.

use maud::{Markup, PreEscaped, html};

use super::plot::{NARROW, WIDE, draw};
use super::{badge, links, name, twin_label};
use crate::experiment::Story;
use crate::hypothesis::Finding;
use crate::journal::{InjectionRecord, Problem, What};
use crate::measure::{Outcome, Sample};
use crate::report::impact::recovery_words;
use crate::report::view::{finding_word, milestones};
use crate::report::{Experiment, View, traffic, words};

const BAD_REQUESTS: usize = 10;

pub(super) fn section(at: usize, experiment: &Experiment) -> Markup {
    let (view, journal) = (experiment.view(), &experiment.journal);
    html! {
        section.card.experiment id={ "experiment-" (at + 1) } {
            div.title { h2 { (name(experiment)) } (badge(view.standing())) }
            p.place {
                code { (words::line(&journal.test.file)) ":" (journal.test.line) }
                (twin_label(&view))
            }
            @let reason = view.reason();
            @if !reason.is_empty() && !view.standing().is_passed() { p.reason { (reason) } }
            (problems(&journal.problems))
            (figure(&view))
            (hypotheses("Hypotheses", &journal.findings))
            (injections(&view))
            (links::section(&view))
            (story(&journal.plan.story))
            (requests(&view, "First bad requests", &view.bad_requests(BAD_REQUESTS)))
            (requests(&view, "First requests that were served too late for a claim", &view.slow_requests(BAD_REQUESTS)))
            (more(experiment, &view))
        }
    }
}

fn problems(problems: &[Problem]) -> Markup {
    html! { @if !problems.is_empty() { ul.problems { @for problem in problems { li { (words::line(&problem.to_string())) } } } } }
}

/// The same drawing twice; the style sheet shows the one that fits the screen.
fn figure(view: &View<'_>) -> Markup {
    let (Some(wide), Some(narrow)) = (draw(view, WIDE), draw(view, NARROW)) else {
        return html! { p.empty { "No request was sent, so there is no timeline." } };
    };
    let label =
        format!("Timeline of {}: availability, latency and requests per second", words::line(view.journal.name()));
    html! {
        figure.plot role="img" aria-label=(label) {
            div.wide { (PreEscaped(wide)) }
            div.narrow { (PreEscaped(narrow)) }
        }
    }
}

fn hypotheses(title: &str, findings: &[Finding]) -> Markup {
    html! {
        @if !findings.is_empty() {
            h3 { (title) }
            div.scroll { table {
                thead { tr { th { "claim" } th { "measured" } th { "result" } } }
                tbody { @for finding in findings { tr {
                    td { code { (words::line(&finding.hypothesis.to_string())) } }
                    td { (words::line(&finding.measured.to_string())) }
                    td { span.result.(class(finding)) { (finding_word(finding)) } }
                } } }
            } }
        }
    }
}

fn class(finding: &Finding) -> &'static str {
    match finding.holds() {
        Some(true) => "good",
        Some(false) => "bad",
        None => "unknown",
    }
}

fn injections(view: &View<'_>) -> Markup {
    let injections = &view.journal.injections;
    html! {
        @if !injections.is_empty() {
            h3 { "Injections" }
            @for made in injections {
                div.injection {
                    p {
                        strong { (words::line(&made.fault)) }
                        @if made.repetition > 1 { " (no. " (made.repetition) ")" }
                        " by " (words::line(&made.mechanism)) ": " (recovery_words(made)) "."
                    }
                    (steps(made))
                    p.attested {
                        (attested(made))
                        @for told in traffic::meanwhile(view, made) { " " (told) "." }
                    }
                }
            }
        }
    }
}

/// The decomposition of an injection's time, as a row of steps.
fn steps(made: &InjectionRecord) -> Markup {
    html! {
        ol.steps { @for (name, at) in milestones(made) { li.missing[at.is_none()] {
            span { (name) }
            strong { @match at {
                Some(at) if name == "injected" => { (words::moment(at)) }
                Some(at) => { (words::after(made.began, at)) }
                None => { "–" }
            } }
        } } }
    }
}

fn attested(made: &InjectionRecord) -> String {
    let bite = match &made.bite {
        Some(bite) if bite.shown => format!("Shown to have bitten: {}.", bite.looked_at),
        Some(bite) => format!("Not shown to have bitten: {}.", bite.looked_at),
        None => "Whether it bit was not measured.".to_owned(),
    };
    let gone = match &made.gone {
        Some(gone) if gone.shown => format!(" Shown to be gone after the rollback: {}.", gone.looked_at),
        Some(gone) => format!(" Not shown to be gone after the rollback: {}.", gone.looked_at),
        None => String::new(),
    };
    words::line(&(bite + &gone))
}

fn story(story: &Story) -> Markup {
    let parts = [
        ("Hypothesis", &story.hypothesis),
        ("Method", &story.method),
        ("Observation", &story.observation),
        ("Learning", &story.learning),
        ("Improvement", &story.improvement),
    ];
    let told: Vec<_> = parts.into_iter().filter(|(_, text)| !text.trim().is_empty()).collect();
    html! {
        @if !told.is_empty() {
            h3 { "Story" }
            dl.story { @for (name, text) in told { dt { (name) } dd { (words::clean(text)) } } }
        }
    }
}

fn requests(view: &View<'_>, title: &str, bad: &[&Sample]) -> Markup {
    let row = |sample: &Sample| {
        let class = match sample.outcome {
            Outcome::Good(_) | Outcome::Degraded(_) => "unknown",
            _ => "bad",
        };
        html! { tr {
            td.number { (words::moment(sample.intended)) }
            td { code { (words::line(view.route(sample))) } }
            td { span.result.(class) { (words::outcome(sample.outcome)) } }
            td.number { (words::time(sample.latency())) }
        } }
    };
    html! {
        @if !bad.is_empty() {
            h3 { (title) }
            div.scroll { table {
                thead { tr { th.number { "due at" } th { "route" } th { "outcome" } th.number { "latency" } } }
                tbody { @for sample in bad { (row(sample)) } }
            } }
        }
    }
}

/// What is there to unfold, and how to run it again.
fn more(experiment: &Experiment, view: &View<'_>) -> Markup {
    let journal = &experiment.journal;
    let logs: Vec<_> = journal.logs.iter().filter(|(_, lines)| !lines.is_empty()).collect();
    let plan = serde_json::to_string_pretty(&journal.plan).unwrap_or_default();
    html! {
        h3 { "Run it again" }
        pre.command { code { (words::clean(&journal.replay)) } }
        @if !journal.steady_state.is_empty() {
            details { summary { "Steady state before the fault" } (hypotheses("Steady state", &journal.steady_state)) }
        }
        details { summary { "Events (" (journal.events.len()) ")" } (events(view)) }
        @if !logs.is_empty() {
            details { summary { "Logs of " (words::count(logs.len(), "instance")) }
                @for (instance, lines) in logs {
                    h4 { (words::line(instance)) }
                    pre { @for line in lines { (words::line(line)) "\n" } }
                }
            }
        }
        details { summary { "Plan, run and load generator" } (run(experiment)) pre { (words::clean(&plan)) } }
    }
}

fn events(view: &View<'_>) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th.number { "at" } th { "what" } } }
            tbody { @for event in &view.journal.events { tr {
                td.number { (words::moment(std::time::Duration::from_micros(event.at_us))) }
                td { (words::line(&what(view, &event.what))) }
            } } }
        } }
    }
}

fn what(view: &View<'_>, what: &What) -> String {
    let fault = |index: usize| view.journal.injections.get(index).map_or("a fault", |made| made.fault.as_str());
    match what {
        What::Phase { phase } => format!("phase: {phase}"),
        What::Injected { injection } => format!("injected: {}", fault(*injection)),
        What::RolledBack { injection } => format!("rolled back: {}", fault(*injection)),
        What::Instance { instance, state, restarts } => {
            let state = match state {
                crate::runtime::State::Running => "running".to_owned(),
                crate::runtime::State::Paused => "paused".to_owned(),
                crate::runtime::State::Removed => "removed".to_owned(),
                crate::runtime::State::Exited { code, oom: true } => format!("out of memory, exited with {code}"),
                crate::runtime::State::Exited { code, .. } => format!("exited with {code}"),
            };
            format!("{instance}: {state}, restarted {}", words::count(*restarts as usize, "time"))
        }
        What::Steady => "the steady state is back".to_owned(),
        What::Aborting { condition } => format!("aborting: {condition}"),
        What::Note { text } => text.clone(),
    }
}

fn run(experiment: &Experiment) -> Markup {
    let journal = &experiment.journal;
    html! {
        dl.facts {
            dt { "run" } dd { code { (words::line(&journal.run)) } }
            dt { "seed" } dd { code { (journal.plan.seed) } }
            dt { "started" } dd { (journal.started_at) }
            @if let Some(took) = journal.took { dt { "took" } dd { (words::time(took)) } }
            dt { "runtime" } dd { (words::line(&journal.runtime.to_string())) }
            dt { "journal" } dd { code { (experiment.path.display()) } }
            @if let Some(lag) = &journal.generator {
                dt { "load generator" }
                dd {
                    (lag.sends) " requests sent, " (lag.unsent) " not sent; "
                    (words::share(lag.within_1ms)) " within 1 ms of their time, 99% within " (words::time(lag.p99))
                    " (limit " (words::time(lag.limit)) ")"
                }
            }
        }
    }
}
