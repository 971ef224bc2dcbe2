//! Every format of the report, from journals of every kind.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod report_fixtures;

use std::time::Duration;

use chaos_harness::hypothesis::{Comparison, Finding, Hypothesis, Measure, Measured, Threshold, Verdict};
use chaos_harness::journal::{Entry, InjectionRecord, Journal, Traffic};
use chaos_harness::measure::{Outcome, Recovery, Sample, SampleColumns};
use chaos_harness::report::{Gate, Report, Standing, annotations, baseline, html, json, junit, markdown, text};
use report_fixtures as fixtures;

/// The report on all fixtures, in a folder whose name does not appear in the output.
fn report() -> Report {
    let folder = tempfile::tempdir().unwrap();
    fixtures::write_all(folder.path());
    let mut report = Report::read(folder.path()).unwrap();
    for experiment in &mut report.experiments {
        experiment.path = std::path::Path::new("chaos/journal").join(experiment.path.file_name().unwrap());
    }
    for file in &mut report.unreadable {
        file.reason = file.reason.replace(&folder.path().display().to_string(), "chaos/journal");
        file.path = std::path::Path::new("chaos/journal").join(file.path.file_name().unwrap());
    }
    report
}

fn of(journals: impl IntoIterator<Item = Journal>) -> Report {
    let entry = |journal: Journal| Entry {
        path: std::path::Path::new("chaos/journal").join(journal.file_name()),
        journal: Ok(journal),
    };
    Report::of(journals.into_iter().map(entry).collect())
}

#[test]
fn text_for_terminals() {
    insta::assert_snapshot!(text::render(&report(), text::Style::plain()));
}

#[test]
fn markdown_for_a_job_summary() {
    insta::assert_snapshot!(markdown::render(&report()));
}

#[test]
fn junit_for_dashboards() {
    let xml = junit::render(&report()).unwrap();
    assert!(!xml.contains(['\u{0}', '\u{1b}', '\u{ffff}']), "characters that no XML may hold");
    insta::assert_snapshot!(xml);
}

#[test]
fn json_to_store() {
    let text = json::render(&report()).unwrap();
    assert_eq!(baseline::parse(&text).unwrap(), json::Summary::of(&report()));
    insta::assert_snapshot!(text);
}

#[test]
fn annotations_for_github() {
    let commands = annotations::render(&report());
    assert!(commands.lines().all(|line| line.starts_with("::error ")), "each line is one command");
    insta::assert_snapshot!(commands);
}

#[test]
fn html_of_one_experiment() {
    insta::assert_snapshot!(html::render(&of([fixtures::upheld()])).replace("><", ">\n<"));
}

#[test]
fn failure_message_of_a_test() {
    let journal = fixtures::refuted();
    let path = std::path::Path::new("chaos/journal").join(journal.file_name());
    insta::assert_snapshot!(text::failure_at(&journal, &path, text::Style::plain()));
}

#[test]
fn one_line_for_the_log_of_a_test() {
    let lines: Vec<String> = fixtures::journals().iter().map(|journal| text::line(journal).into_string()).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn colours_add_nothing_but_escape_sequences() {
    let coloured = text::render(&report(), text::Style::colour());
    assert_ne!(coloured, text::render(&report(), text::Style::plain()));
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), *text::render(&report(), text::Style::plain()));
}

#[test]
fn nothing_in_a_journal_can_break_out_of_the_html() {
    let mut journal = fixtures::left_behind();
    let hostile = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'";
    journal.test.file = hostile.to_owned();
    journal.replay = hostile.to_owned();
    journal.plan.story.learning = hostile.to_owned();
    journal.injections[0].fault = hostile.to_owned();
    journal.routes[0] = hostile.to_owned();
    journal.versions.system = hostile.to_owned();
    journal.logs.insert(hostile.to_owned(), vec![hostile.to_owned()]);
    let page = html::render(&of([journal]));
    for tag in ["<script", "<img", "onerror=alert(1)>\"'<"] {
        assert!(!page.contains(tag), "{tag}");
    }
    assert_eq!(page.matches("</style>").count(), 1);
    assert!(!page.contains(['\u{0}', '\u{1b}']));
}

#[test]
fn twins_stand_beside_their_experiment() {
    let mut between = fixtures::upheld();
    between.plan.name = "slow_inventory_does_not_cascade_at_night".to_owned();
    let report = of([fixtures::twin(), between, fixtures::upheld()]);
    let names: Vec<&str> = report.experiments.iter().map(|experiment| experiment.journal.name()).collect();
    assert_eq!(
        names,
        [
            "slow_inventory_does_not_cascade",
            "slow_inventory_does_not_cascade_without_breaker",
            "slow_inventory_does_not_cascade_at_night"
        ]
    );
}

#[test]
fn score_counts_twins_and_unreadable_journals() {
    assert_eq!(of([fixtures::upheld(), fixtures::twin()]).score(), Some(1.0));
    assert_eq!(of([]).score(), None);
    // Upheld and its twin; refuted, inconclusive, aborted, left behind, interrupted, truncated.
    assert_eq!(report().score(), Some(2.0 / 8.0));
}

#[test]
fn a_twin_that_is_upheld_fails() {
    let mut twin = fixtures::twin();
    twin.verdict = Some(chaos_harness::hypothesis::Verdict::Upheld);
    let report = of([twin]);
    assert_eq!(report.experiments[0].view().standing(), Standing::TwinNotRefuted);
    assert_eq!(Gate::of(&report), Gate::NotUpheld);
    assert!(text::render(&report, text::Style::plain()).contains("would not notice its loss"));
}

#[test]
fn what_got_worse_is_in_every_format() {
    let stored = json::Summary::of(&of([fixtures::upheld(), fixtures::inconclusive()]));
    let mut worse = fixtures::upheld();
    worse.samples = fixtures::twin().samples;
    let report = of([worse]).compared_with(&stored);
    assert_eq!(Gate::of(&report), Gate::NotUpheld);
    let regressed: Vec<&str> =
        report.comparison.iter().flat_map(|c| &c.regressions).map(|r| r.measure.as_str()).collect();
    assert_eq!(regressed, ["availability"]);
    let formats = [
        text::render(&report, text::Style::plain()),
        markdown::render(&report),
        html::render(&report),
        junit::render(&report).unwrap(),
        json::render(&report).unwrap(),
        annotations::render(&report),
    ];
    for format in formats {
        assert!(format.contains("availability went from") || format.contains("\"regressions\": ["), "{format}");
    }
}

/// Time that goes backwards and never ends, columns that are too long, more than can be summed.
fn odd_traffic() -> Traffic {
    let mut traffic = fixtures::upheld().links;
    traffic.until_us = vec![u64::MAX, 0, 5_000_000, u64::MAX];
    for link in &mut traffic.each {
        link.counted.insert("bytes_up".to_owned(), vec![u64::MAX; 9]);
        link.counted.insert("<script>_new_toxic".to_owned(), vec![u64::MAX; 3]);
        link.totals = link.counted.keys().map(|name| (name.clone(), u64::MAX)).collect();
    }
    traffic
}

/// Journals that no healthy run writes; damaged ones may hold any number.
#[test]
fn odd_journals_can_be_shown() {
    let sample = |at: Duration, outcome| Sample { route: 9, intended: at, sent: at, end: at, outcome };
    let with = |samples: &[Sample], injections: Vec<InjectionRecord>| {
        let samples = SampleColumns::encode(samples);
        Journal { samples, injections, events: Vec::new(), ..fixtures::upheld() }
    };
    let made = fixtures::upheld().injections.remove(0);
    let end_of_time = Duration::from_micros(u64::MAX);
    let late = InjectionRecord { applied: end_of_time, rolled_back: None, ..made.clone() };
    let many = (0..1_000).map(|at| InjectionRecord { repetition: at, planned: at as usize % 9, ..made.clone() });
    let odd = [
        with(&[], vec![]),
        with(&[], vec![made.clone()]),
        with(&[sample(Duration::ZERO, Outcome::Unsent)], vec![]),
        with(&[sample(Duration::from_secs(3), Outcome::Good(200)); 2], vec![late]),
        with(&[sample(Duration::ZERO, Outcome::Protocol), sample(end_of_time, Outcome::Good(0))], vec![made.clone()]),
        with(&[sample(Duration::from_secs(3), Outcome::Unreachable)], many.collect()),
        Journal { links: odd_traffic(), ..fixtures::upheld() },
    ];
    for journal in odd {
        let drawn = !journal.samples.is_empty();
        let report = of([journal]);
        assert!(!text::render(&report, text::Style::plain()).is_empty());
        assert!(!markdown::render(&report).is_empty());
        assert!(junit::render(&report).is_ok() && json::render(&report).is_ok());
        let page = html::render(&report);
        assert_eq!(page.contains("Timeline of"), drawn);
        assert!(!page.contains("NaN") && !page.contains("inf\"") && !page.contains("<script"));
    }
}

#[test]
fn what_cannot_be_run_here_counts_neither_way() {
    let reason = "`cut a` needs a network namespace per instance";
    let journal = Journal { verdict: None, not_run: Some(reason.to_owned()), ..fixtures::upheld() };
    let named = Journal { plan: fixtures::refuted().plan, ..journal };
    assert_eq!(Gate::of(&of([named.clone()])), Gate::NothingToJudge);
    let report = of([fixtures::upheld(), named]);
    let totals = report.totals();
    assert_eq!((totals.passed, totals.failed, totals.not_run, totals.all()), (1, 0, 1, 1));
    assert_eq!(
        (report.score(), Gate::of(&report), Gate::strict(&report)),
        (Some(1.0), Gate::AllUpheld, Gate::NotUpheld)
    );
    let shown = report.experiments.iter().find(|it| it.view().standing() == Standing::NotRun).unwrap();
    assert_eq!(shown.view().reason(), reason);
    let text = text::render(&report, text::Style::plain());
    assert!(text.contains("NOT RUN") && text.contains(reason) && text.contains("1 not run"), "{text}");
    let xml = junit::render(&report).unwrap();
    assert!(xml.contains("<skipped") && xml.contains("failures=\"0\""), "{xml}");
    assert!(annotations::render(&report).starts_with("::notice "));
    assert!(markdown::render(&report).contains("not run") && html::render(&report).contains("not run"));
    let stored = json::Summary::of(&of([fixtures::refuted()]));
    let compared = report.compared_with(&stored).comparison.unwrap();
    assert_eq!((compared.regressions.len(), compared.missing.len()), (0, 1));
}

#[test]
fn what_was_served_too_late_is_not_called_bad() {
    let mut journal = fixtures::named("slow_and_served");
    journal.samples = SampleColumns::encode(&fixtures::samples_of(fixtures::Shape::Well));
    let made = fixtures::upheld().injections.remove(0);
    journal.injections = vec![InjectionRecord { recovery: Some(Recovery::NoImpact), milestones: None, ..made }];
    let catalog = Measure::Latency { quantile: 0.99, route: Some("/catalog".to_owned()) };
    let limit = Threshold::Time(Duration::from_millis(30));
    let measured = Measured::Value { value: Threshold::Time(Duration::from_millis(70)), interval: None, count: 700 };
    let hypothesis = Hypothesis::new(catalog, Comparison::Below, limit).unwrap();
    journal.findings = vec![Finding { hypothesis, measured }];
    journal.verdict = Some(Verdict::of(&journal.findings));
    let text = text::failure(&journal, text::Style::plain());
    assert!(text.contains("no impact on availability") && !text.contains("bad requests"), "{text}");
    assert!(text.contains("first requests that were served too late for a claim"), "{text}");
    assert!(text.contains("longest silence"), "{text}");
    let page = html::render(&of([journal]));
    assert!(!page.contains("First bad requests") && page.contains("served too late for a claim"));
}
