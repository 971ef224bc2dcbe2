//! Text from outside stays text in every format: whatever the strings of a journal are, nothing that is printed is a
//! command to GitHub's runner, steers a terminal, or leaves its place in a document.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "report_fixtures/mod.rs"]
mod fixtures;
#[path = "report_fixtures/github.rs"]
mod github;

use std::path::PathBuf;
use std::sync::LazyLock;

use chaos_harness::journal::{Entry, Journal};
use chaos_harness::report::text::Style;
use chaos_harness::report::{Report, annotations, html, json, junit, markdown, text};
use github::{assert_harmless, commands};
use proptest::prelude::*;
use serde_json::Value;

const HOSTILE: [&str; 12] = [
    "::error::x",
    "a\n::error file=a::x",
    "a\r\n \t::add-mask::x",
    "a\u{2028}::stop-commands::x\u{85}::error::y",
    "what ##[error]x",
    "\u{1b}[31m##[group]x\u{1b}[0m",
    "\u{feff}::error::x ##\u{200b}[error]y",
    "\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}]8;;http://evil\u{1b}\\\u{1b}[2J\u{9b}1A\u{202e}",
    "</td></style><script>alert(1)</script><img src=x onerror=y>",
    "![a](https://evil/x.png) [b](http://evil) https://evil www.evil <http://evil> | `c` | @all $x$ #1",
    "~~~~~~\n```\n# heading\n- [ ] item\n1. one\n===",
    "]]></testcase><!-- &amp; \u{0} \u{ffff} -->",
];

/// A journal as data, and where in it any text may stand.
static PLACES: LazyLock<(Value, Vec<String>)> = LazyLock::new(|| {
    let mut journal = fixtures::left_behind();
    journal.not_run = None;
    journal.injections = fixtures::refuted().injections;
    let whole = serde_json::to_value(journal).unwrap();
    let mut places = Vec::new();
    strings(&whole, String::new(), &mut places);
    places.retain(|place| {
        let mut one = whole.clone();
        *one.pointer_mut(place).unwrap() = "any text".into();
        serde_json::from_value::<Journal>(one).is_ok()
    });
    (whole, places)
});

fn strings(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at),
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(number, value)| strings(value, format!("{at}/{number}"), found));
        }
        Value::Object(fields) => {
            let key = |key: &str| key.replace('~', "~0").replace('/', "~1");
            fields.iter().for_each(|(name, value)| strings(value, format!("{at}/{}", key(name)), found));
        }
        _ => {}
    }
}

/// A journal with `text` wherever there may be text, for each way to end.
fn journals(text: &str) -> Vec<Journal> {
    let (mut whole, places) = PLACES.clone();
    for place in places {
        *whole.pointer_mut(&place).unwrap() = text.into();
    }
    let mut journal: Journal = serde_json::from_value(whole).unwrap();
    journal.logs = [(text.to_owned(), vec![text.to_owned()])].into();
    let sound = Journal { problems: Vec::new(), ..journal.clone() };
    let not_run = Journal { not_run: Some(text.to_owned()), ..sound.clone() };
    vec![journal, sound, not_run]
}

fn report(text: &str) -> Report {
    let entry =
        |journal| Entry { path: PathBuf::from(format!("/j/{}.json", text.replace('/', "_"))), journal: Ok(journal) };
    let mut report = Report::of(journals(text).into_iter().map(entry).collect());
    let reason = format!("{text} is no journal");
    report.unreadable.push(chaos_harness::report::Unreadable { path: PathBuf::from(text), reason });
    let stored = json::Summary::of(&report);
    report.compared_with(&stored)
}

/// Without the colours of a terminal, which are the only sequences that there may be.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(|part| part.split_once('m').map_or(part, |(_, rest)| rest)).collect::<String>()
}

fn check(hostile: &str) {
    let report = report(hostile);
    assert_harmless("text", &text::render(&report, Style::plain()));
    assert_harmless("text in colours", &without_colours(&text::render(&report, Style::colour())));
    assert_harmless("Markdown", &markdown::render(&report));
    assert_harmless("HTML", &html::render(&report));
    let (json, junit) = (json::render(&report).unwrap(), junit::render(&report).unwrap());
    assert_harmless("JSON", &json);
    assert_harmless("JUnit", &junit);
    let annotations = annotations::render(&report);
    assert!(
        annotations.lines().all(|line| ["::error ", "::warning ", "::notice "].iter().any(|it| line.starts_with(it)))
    );
    assert_eq!(commands(&annotations).len(), annotations.lines().count(), "{annotations}");
    assert!(!annotations.contains("##[") && !annotations.contains(|c: char| c.is_control() && c != '\n'));
    for experiment in &report.experiments {
        let journal = &experiment.journal;
        assert_harmless("a line of a log", &text::line(journal));
        assert_harmless("a failing test", &text::failure_at(journal, &experiment.path, Style::plain()));
    }
    // JSON keeps every character, whatever it is.
    let summary: json::Summary = serde_json::from_str(&json).unwrap();
    assert_eq!(summary, json::Summary::of(&report));
    read_junit(&junit);
}

/// quick-junit reads no numeric references, which every reader of XML knows.
fn read_junit(junit: &str) -> quick_junit::Report {
    let junit = junit.replace("&#58;", ":").replace("&#91;", "[");
    quick_junit::Report::deserialize_from_str(&junit).unwrap()
}

#[test]
fn whatever_a_journal_says_it_commands_nobody() {
    assert!(PLACES.1.len() > 50, "{:?}", PLACES.1);
    for hostile in HOSTILE {
        check(hostile);
    }
}

#[test]
fn no_markup_comes_from_outside() {
    let (script, link) = (HOSTILE[8], HOSTILE[9]);
    // Inside of code, nothing is markup or a link.
    let outside_code = |page: &str| page.split("~~~~~~").step_by(2).collect::<String>();
    for page in [html::render(&report(script)).into_string(), outside_code(&markdown::render(&report(script)))] {
        assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    }
    let page = markdown::render(&report(link));
    // Neither is it in a block of HTML, and what has a backslash before it is text.
    let outside = outside_code(&page);
    let outside: Vec<String> =
        outside.lines().filter(|line| !line.starts_with("<details")).map(|line| line.replace("\\]", "")).collect();
    let outside = outside.join("\n");
    for refused in ["](", "https://", "www.evil", " @all", " | `c`"] {
        assert!(!outside.contains(refused), "{refused}: {outside}");
    }
    let table = outside.lines().find(|line| line.starts_with("| ✗ |")).unwrap();
    assert_eq!(table.replace("\\|", "").matches('|').count(), 8, "{table}");
}

#[test]
fn junit_holds_the_text_as_it_was() {
    let text = "a ##[error]x ::b";
    let junit = junit::render(&report(text)).unwrap();
    let read = read_junit(&junit);
    let mut names = read.test_suites.iter().flat_map(|suite| &suite.test_cases).map(|case| case.name.as_str());
    assert!(names.any(|name| name.starts_with(text)), "{junit}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn whatever_text_it_is(text in "[:#\\[\\]<>&|`\\\\ \n\r\t\u{0}\u{1b}\u{85}\u{200b}\u{202e}\u{2028}\u{feff}a1é注]{0,30}") {
        check(&text);
    }
}
