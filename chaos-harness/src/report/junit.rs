//! The report as JUnit XML, for test dashboards: a test suite for each test target, a test case for each experiment.

use std::collections::BTreeMap;

use quick_junit::{NonSuccessKind, Report as Junit, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::foreign::{Output, Syntax};
use super::{Experiment, Report, Standing, impact, text, words};

/// The whole report. A failure is what did not end as expected; an error is what never came to its end or
/// cannot be read.
///
/// # Errors
/// Never for what this crate makes; quick-junit's signature is kept.
pub fn render(report: &Report) -> Result<Output, SerializeError> {
    let mut suites: BTreeMap<String, TestSuite> = BTreeMap::new();
    for experiment in &report.experiments {
        let test = &experiment.journal.test;
        let name = words::line(&format!("{}::{}", test.package, test.target));
        let suite = suites.entry(name.clone()).or_insert_with(|| TestSuite::new(&name));
        suite.add_test_case(case(experiment, &name));
    }
    let mut junit = Junit::new("chaos-harness");
    junit.add_test_suites(suites.into_values());
    junit.add_test_suites(unreadable(report).into_iter().chain(comparison(report)));
    junit.to_string().map(|xml| Output::new(Syntax::Markup, &xml))
}

fn case(experiment: &Experiment, suite: &str) -> TestCase {
    let (view, journal) = (experiment.view(), &experiment.journal);
    let status = match view.standing() {
        Standing::Upheld | Standing::RefutedAsExpected => TestCaseStatus::success(),
        Standing::NotRun => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(view.reason());
            status
        }
        standing => {
            let kind = match standing {
                Standing::Interrupted | Standing::Running | Standing::Broken => NonSuccessKind::Error,
                _ => NonSuccessKind::Failure,
            };
            let description = text::failure_at(journal, &experiment.path, text::Style::plain());
            non_success(kind, &standing.code(), &view.reason(), &description)
        }
    };
    let mut case = TestCase::new(words::line(&experiment.name()), status);
    case.set_classname(suite);
    case.set_time(journal.took.unwrap_or_default());
    case.add_property(("seed", journal.plan.seed.to_string().as_str()));
    case.add_property(("runtime", journal.runtime.kind.to_string().as_str()));
    if let Some(without) = view.without() {
        case.add_property(("twin_without", words::line(without).as_str()));
    }
    if let Some(told) = view.silence() {
        case.add_property(("longest silence", words::line(&told).as_str()));
    }
    for (at, made) in journal.injections.iter().enumerate() {
        let name = format!("recovery {}: {}", at + 1, words::line(&made.fault));
        case.add_property((name, words::line(&impact::recovery_words(made))));
    }
    for finding in &journal.findings {
        let (claim, measured) = (finding.hypothesis.to_string(), finding.measured.to_string());
        case.add_property((words::line(&claim), words::line(&measured)));
    }
    case
}

fn unreadable(report: &Report) -> Option<TestSuite> {
    let mut suite = TestSuite::new("unreadable journals");
    for file in &report.unreadable {
        let reason = words::clean(&file.reason);
        let status = non_success(NonSuccessKind::Error, "unreadable", &reason, &reason);
        suite.add_test_case(TestCase::new(words::line(&file.path.display().to_string()), status));
    }
    (!report.unreadable.is_empty()).then_some(suite)
}

fn comparison(report: &Report) -> Option<TestSuite> {
    let regressions = &report.comparison.as_ref()?.regressions;
    let mut suite = TestSuite::new("baseline");
    for regression in regressions {
        let message = words::line(&regression.to_string());
        let status = non_success(NonSuccessKind::Failure, "regression", &message, &message);
        suite.add_test_case(TestCase::new(words::line(&format!("{} {}", regression.id, regression.measure)), status));
    }
    (!regressions.is_empty()).then_some(suite)
}

fn non_success(kind: NonSuccessKind, code: &str, message: &str, description: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(code).set_message(message).set_description(words::clean(description));
    status
}
