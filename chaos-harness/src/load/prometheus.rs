//! One value from metrics in the Prometheus text format, version 0.0.4.
//!
//! Strict, since a metric that is misread would look like a detection: a line which is not of the format makes
//! the reading fail.

use std::collections::BTreeMap;

/// Why a metric could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// The selector is not of the form `name` or `name{label="value",..}`.
    #[error("`{selector}` selects no metric; write `name` or `name{{label=\"value\"}}`")]
    Selector {
        /// The selector.
        selector: String,
    },
    /// A line that is not of the format.
    #[error("line {line} of the metrics is not valid: `{text}`")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// No such metric.
    #[error("no metric matches `{selector}`")]
    Missing {
        /// The selector.
        selector: String,
    },
    /// Several metrics match.
    #[error("{count} metrics match `{selector}`; name more of its labels")]
    Ambiguous {
        /// The selector.
        selector: String,
        /// How many.
        count: usize,
    },
}

/// A metric and its labels. As a selector it matches metrics that have all of its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metric {
    name: String,
    labels: BTreeMap<String, String>,
}

impl Metric {
    /// Parses a selector.
    pub(super) fn parse(selector: &str) -> Result<Self, MetricError> {
        match metric(selector.trim()) {
            Some((metric, rest)) if rest.trim().is_empty() => Ok(metric),
            _ => Err(MetricError::Selector { selector: selector.to_owned() }),
        }
    }

    /// The value of the one metric in `text` that matches.
    pub(super) fn read(&self, text: &str) -> Result<f64, MetricError> {
        let mut values = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let invalid = || MetricError::Line { line: at + 1, text: line.to_owned() };
            let (metric, value) = sample(line).ok_or_else(invalid)?;
            if self.matches(&metric) {
                values.push(value);
            }
        }
        match values[..] {
            [value] => Ok(value),
            [] => Err(MetricError::Missing { selector: self.to_string() }),
            _ => Err(MetricError::Ambiguous { selector: self.to_string(), count: values.len() }),
        }
    }

    fn matches(&self, metric: &Self) -> bool {
        let has = |(name, value): (&String, &String)| metric.labels.get(name) == Some(value);
        self.name == metric.name && self.labels.iter().all(has)
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        for (at, (name, value)) in self.labels.iter().enumerate() {
            write!(f, "{}{name}={value:?}", if at == 0 { '{' } else { ',' })?;
        }
        if self.labels.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}

/// `metric value [timestamp]`
fn sample(line: &str) -> Option<(Metric, f64)> {
    let (metric, rest) = metric(line)?;
    let mut words = rest.split_ascii_whitespace();
    // Rust reads `NaN`, `+Inf` and `-Inf` as the format writes them.
    let value = words.next()?.parse().ok()?;
    if let Some(timestamp) = words.next() {
        timestamp.parse::<i64>().ok()?;
    }
    words.next().is_none().then_some((metric, value))
}

/// `name` or `name{label="value",..}`, and what follows it.
fn metric(text: &str) -> Option<(Metric, &str)> {
    let (name, rest) = identifier(text, true)?;
    let mut labels = BTreeMap::new();
    let Some(mut rest) = rest.trim_start().strip_prefix('{') else {
        return Some((Metric { name, labels }, rest));
    };
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((Metric { name, labels }, rest));
        }
        let (label, after) = identifier(rest, false)?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"
# HELP circuit_breaker_state 0 closed, 1 half-open, 2 open
# TYPE circuit_breaker_state gauge
circuit_breaker_state{callee="inventory",zone="a"} 2
circuit_breaker_state{callee="product",} 0
requests_total 1027 1395066363000
odd{path="C:\\DIR\n\"x\"} "} -Inf
"#;

    fn read(selector: &str) -> Result<f64, MetricError> {
        Metric::parse(selector)?.read(TEXT)
    }

    #[test]
    fn one_value_by_name_and_labels() {
        assert_eq!(read(r#"circuit_breaker_state{callee="inventory"}"#), Ok(2.0));
        assert_eq!(read(r#"circuit_breaker_state{ callee = "product" }"#), Ok(0.0));
        assert_eq!(read("requests_total"), Ok(1027.0));
        assert_eq!(read("odd"), Ok(f64::NEG_INFINITY));
    }

    #[test]
    fn nothing_is_guessed() {
        assert!(matches!(read("circuit_breaker_state"), Err(MetricError::Ambiguous { count: 2, .. })));
        assert!(matches!(read("requests"), Err(MetricError::Missing { .. })));
        assert!(matches!(read(r#"requests_total{a="b"}"#), Err(MetricError::Missing { .. })));
        for selector in ["", "1a", "a{", r#"a{b="c""#, r#"a{b=c}"#, r#"a{b="c" d="e"}"#, "a b", r#"a{b="1",b="2"}"#] {
            assert!(matches!(Metric::parse(selector), Err(MetricError::Selector { .. })), "{selector}");
        }
        for line in ["a", "a x", "a 1 2 3", "a 1 x", "<html>", r#"a{b="\x"} 1"#] {
            assert!(matches!(Metric::parse("a").unwrap().read(line), Err(MetricError::Line { line: 1, .. })), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a{}=\",\\\\ 1\n#]{0,40}") {
            if let Ok(metric) = Metric::parse(&text) {
                prop_assert_eq!(Metric::parse(&metric.to_string()).unwrap(), metric);
            }
            let _ = Metric::parse("a").unwrap().read(&text);
        }
    }
}
