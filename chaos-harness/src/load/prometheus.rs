//! One value from a page of metrics: the Prometheus text format 0.0.4, or OpenMetrics 1.0 where the answer says so.
//!
//! Only lines of the wanted metric count: what somebody else exports badly must not hide it. Those lines are read
//! strictly, since a metric that is misread would look like a detection.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::measure::ReadFailure;

/// A selector that selects nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{selector}` selects no metric; write `name`, `name{{label=\"value\"}}` or `{{\"any name\", label=\"value\"}}`"
)]
pub struct MetricError {
    /// The selector.
    pub selector: String,
}

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The Prometheus text format, version 0.0.4, and its successor 1.0.0 with quoted names.
    Prometheus,
    /// OpenMetrics: exemplars, timestamps in seconds, an end that is marked.
    OpenMetrics,
}

impl Format {
    /// By the content type of the answer.
    pub(super) fn of(content_type: Option<&str>) -> Self {
        let media = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }
}

/// A metric and its labels. As a selector it matches metrics that have all of its labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Metric {
    name: String,
    labels: BTreeMap<String, String>,
}

/// How many metrics a failure lists.
const MOST_NEAR: usize = 3;
/// How similar a name must be to be listed, from 0 to 1.
const SIMILAR: f64 = 0.85;
/// How much of a line a failure shows.
const LONGEST_LINE: usize = 120;

/// The lines of a page, as one selector sees them.
#[derive(Default)]
struct Page<'a> {
    /// The lines that match: number, text, and what follows the labels.
    wanted: Vec<(usize, &'a str, &'a str)>,
    /// The first line of the wanted metric that does not parse.
    broken: Option<(usize, &'a str)>,
    /// The first other line that does not parse.
    foreign: Option<(usize, &'a str)>,
    /// The other metrics.
    others: BTreeSet<Metric>,
    has_end: bool,
}

impl Metric {
    /// Parses a selector.
    pub(super) fn parse(selector: &str) -> Result<Self, MetricError> {
        match metric(selector.trim()) {
            Some((metric, rest)) if rest.trim().is_empty() => Ok(metric),
            _ => Err(MetricError { selector: selector.to_owned() }),
        }
    }

    /// The value of the one metric in `text` that matches.
    pub(super) fn read(&self, text: &str, format: Format) -> Result<f64, ReadFailure> {
        let page = self.scan(text, format);
        let is_page = !page.wanted.is_empty() || !page.others.is_empty();
        if format == Format::OpenMetrics && is_page && !page.has_end {
            return Err(ReadFailure::CutOff);
        }
        let failed = |(line, text): (usize, &str)| ReadFailure::Line { line, text: shortened(text) };
        match (&page.wanted[..], page.broken, page.foreign) {
            ([(line, text, rest)], ..) => finite(value(rest, format).ok_or_else(|| failed((*line, text)))?),
            ([], Some(broken), _) => Err(failed(broken)),
            ([], None, Some((line, text))) if !is_page => Err(ReadFailure::NoMetrics { line, text: shortened(text) }),
            ([], ..) => Err(ReadFailure::NoMetric { selector: self.to_string(), near: self.near(&page.others) }),
            (several, ..) => Err(ReadFailure::Ambiguous { selector: self.to_string(), count: several.len() }),
        }
    }

    fn scan<'a>(&self, text: &'a str, format: Format) -> Page<'a> {
        let mut page = Page::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if format == Format::OpenMetrics && line == "# EOF" {
                page.has_end = true;
                break;
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match metric(line) {
                Some((metric, rest)) if self.matches(&metric) => page.wanted.push((at + 1, line, rest)),
                Some((metric, rest)) if value(rest, format).is_some() => drop(page.others.insert(metric)),
                None if self.is_named_in(line) => page.broken = page.broken.or(Some((at + 1, line))),
                _ => page.foreign = page.foreign.or(Some((at + 1, line))),
            }
        }
        page
    }

    fn matches(&self, metric: &Self) -> bool {
        let has = |(name, value): (&String, &String)| metric.labels.get(name) == Some(value);
        self.name == metric.name && self.labels.iter().all(has)
    }

    /// Whether a line that does not parse begins as one of this metric does.
    fn is_named_in(&self, line: &str) -> bool {
        let begins = identifier(line, true).or_else(|| quoted(line.strip_prefix('{')?.trim_start()));
        begins.is_some_and(|(name, _)| name == self.name)
    }

    /// What may have been meant: the same name with other labels first, then similar names.
    fn near(&self, others: &BTreeSet<Self>) -> Vec<String> {
        let is_similar = |name: &str| {
            let one_in_the_other = name.contains(&self.name) || self.name.contains(name);
            one_in_the_other || strsim::jaro_winkler(name, &self.name) >= SIMILAR
        };
        let same = others.iter().filter(|metric| metric.name == self.name).map(ToString::to_string);
        let names: BTreeSet<&String> = others.iter().map(|metric| &metric.name).collect();
        let similar = names.into_iter().filter(|name| **name != self.name && is_similar(name)).cloned();
        same.chain(similar).take(MOST_NEAR).collect()
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |name: &str, colons| identifier(name, colons).is_some_and(|(_, rest)| rest.is_empty());
        let mut parts = Vec::new();
        if is_plain(&self.name, true) {
            f.write_str(&self.name)?;
        } else {
            parts.push(in_quotes(&self.name));
        }
        for (name, value) in &self.labels {
            let name = if is_plain(name, false) { name.clone() } else { in_quotes(name) };
            parts.push(format!("{name}={}", in_quotes(value)));
        }
        if parts.is_empty() { Ok(()) } else { write!(f, "{{{}}}", parts.join(",")) }
    }
}

fn in_quotes(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn shortened(line: &str) -> String {
    let mut chars = line.chars();
    let begin: String = chars.by_ref().take(LONGEST_LINE).collect();
    if chars.next().is_some() { begin + "..." } else { begin }
}

fn finite(value: f64) -> Result<f64, ReadFailure> {
    if value.is_finite() { Ok(value) } else { Err(ReadFailure::NotANumber { text: value.to_string() }) }
}

/// What follows the labels: `value [timestamp]`, and in OpenMetrics an exemplar. Rust reads `NaN`, `+Inf` and `-Inf` as
/// the formats write them.
fn value(rest: &str, format: Format) -> Option<f64> {
    let (sample, exemplar) = match rest.split_once('#') {
        Some((sample, exemplar)) if format == Format::OpenMetrics => (sample, Some(exemplar)),
        _ => (rest, None),
    };
    if let Some(exemplar) = exemplar {
        let (_, rest) = labels(exemplar.trim_start().strip_prefix('{')?)?;
        number_and_time(rest, Format::OpenMetrics)?;
    }
    number_and_time(sample, format)
}

/// Milliseconds in the Prometheus format, seconds in OpenMetrics.
fn number_and_time(text: &str, format: Format) -> Option<f64> {
    let mut words = text.split_ascii_whitespace();
    let value = words.next()?.parse().ok()?;
    if let Some(timestamp) = words.next() {
        match format {
            Format::Prometheus => drop(timestamp.parse::<i64>().ok()?),
            Format::OpenMetrics => drop(timestamp.parse::<f64>().ok().filter(|time| time.is_finite())?),
        }
    }
    words.next().is_none().then_some(value)
}

/// `name`, `name{label="value",..}` or `{"name",label="value",..}`, and what follows it.
fn metric(text: &str) -> Option<(Metric, &str)> {
    if let Some(inside) = text.strip_prefix('{') {
        let (name, after) = quoted(inside.trim_start())?;
        let after = after.trim_start();
        let (labels, rest) = labels(after.strip_prefix(',').unwrap_or(after))?;
        return Some((Metric { name, labels }, rest));
    }
    let (name, rest) = identifier(text, true)?;
    match rest.trim_start().strip_prefix('{') {
        Some(inside) => labels(inside).map(|(labels, rest)| (Metric { name, labels }, rest)),
        None => Some((Metric { name, labels: BTreeMap::new() }, rest)),
    }
}

/// `label="value",..}`, and what follows it.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (label, after) = identifier(rest, false).or_else(|| quoted(rest))?;
        let (value, after) = quoted(after.trim_start().strip_prefix('=')?.trim_start())?;
        labels.insert(label, value).is_none().then_some(())?;
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(after) => after,
            None if after.starts_with('}') => after,
            None => return None,
        };
    }
}

fn identifier(text: &str, colons: bool) -> Option<(String, &str)> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    let end = text.find(|c| !allowed(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then(|| (name.to_owned(), rest))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.strip_prefix('"')?.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                _ => return None,
            }),
            plain => value.push(plain),
        }
    }
}

/// Reads an arbitrary page with an arbitrary selector, its first line; panics when a guarantee is broken.
pub fn fuzz_prometheus(input: &[u8]) {
    let input = String::from_utf8_lossy(input);
    let (selector, page) = input.split_once('\n').unwrap_or((&input, ""));
    let Ok(metric) = Metric::parse(selector) else { return };
    assert_eq!(Metric::parse(&metric.to_string()).as_ref(), Ok(&metric), "a selector is told as it can be written");
    for format in [Format::Prometheus, Format::OpenMetrics] {
        match metric.read(page, format) {
            Ok(value) => assert!(value.is_finite(), "{value}"),
            Err(failure) => assert!(!failure.to_string().is_empty()),
        }
    }
}

#[cfg(test)]
mod tests;
