//! What side probes read, and why they could not.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Outcome, Window};

/// One value read by a side probe. Moments count from the origin of the experiment's clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// When it was asked for.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub at: Duration,
    /// When the answer was there, or was given up.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub known: Duration,
    /// The value; `None` when it could not be read, which never counts as detection.
    pub value: Option<f64>,
}

/// What one probe read, in the order in which it asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// The probe's name.
    pub name: String,
    /// What it read.
    pub readings: Vec<Reading>,
    /// Why readings failed, or health was 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailedReadings>,
}

/// Readings that failed one after the other for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailedReadings {
    /// When the first was asked for.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub from: Duration,
    /// When the last was asked for.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub to: Duration,
    /// How many.
    pub count: u64,
    /// Why.
    pub why: ReadFailure,
}

/// Why a probe could not be read, or what it took for unhealthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "failure")]
#[non_exhaustive]
pub enum ReadFailure {
    /// There was no answer, or not all of it.
    NoAnswer {
        /// What there was.
        outcome: Outcome,
    },
    /// An answer with a status outside 200 to 299.
    Status {
        /// The status.
        status: u16,
    },
    /// No line of the page is a metric.
    NoMetrics {
        /// The first line that is none, from 1.
        line: usize,
        /// That line.
        text: String,
    },
    /// The line of the wanted metric does not parse.
    Line {
        /// Its number, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// A page in the OpenMetrics format without its last line.
    CutOff,
    /// The page does not have the metric.
    NoMetric {
        /// What was looked for.
        selector: String,
        /// Metrics of the page whose names are like it.
        near: Vec<String>,
    },
    /// The page has several such metrics.
    Ambiguous {
        /// What was looked for.
        selector: String,
        /// How many there are.
        count: usize,
    },
    /// The value is not a finite number.
    NotANumber {
        /// The value.
        text: String,
    },
}

impl fmt::Display for ReadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer { outcome } => f.write_str(match outcome {
                Outcome::Timeout => "no answer within the deadline",
                Outcome::CutOff => "no answer by the end of the experiment",
                Outcome::Refused => "connection refused",
                Outcome::Reset => "connection reset",
                Outcome::Truncated => "the answer was cut off",
                Outcome::Protocol => "the answer is no valid HTTP",
                Outcome::Unsent => "this machine is short of descriptors or memory",
                _ => "unreachable",
            }),
            Self::Status { status } => {
                let reason = http::StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason());
                write!(f, "status {status}{}{}", if reason.is_some() { " " } else { "" }, reason.unwrap_or_default())
            }
            Self::NoMetrics { line, text } => {
                write!(f, "the page holds no metrics in the Prometheus or OpenMetrics format; line {line} is `{text}`")
            }
            Self::Line { line, text } => write!(f, "line {line} of the page does not parse: `{text}`"),
            Self::CutOff => f.write_str("the page does not end with `# EOF`, so it was cut off"),
            Self::NoMetric { selector, near } if near.is_empty() => write!(f, "no metric matches `{selector}`"),
            Self::NoMetric { selector, near } => {
                let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
                write!(f, "no metric matches `{selector}`; the page has {}", near.join(", "))
            }
            Self::Ambiguous { selector, count } => {
                write!(f, "{count} metrics match `{selector}`; name more of its labels")
            }
            Self::NotANumber { text } => write!(f, "the value `{text}` is not a finite number"),
        }
    }
}

impl Series {
    /// Notes that the reading asked for at `at` failed.
    pub(crate) fn failed(&mut self, at: Duration, why: ReadFailure) {
        match self.failures.last_mut().filter(|last| last.why == why) {
            Some(last) => {
                (last.from, last.to, last.count) = (last.from.min(at), last.to.max(at), last.count + 1);
            }
            None => self.failures.push(FailedReadings { from: at, to: at, count: 1, why }),
        }
    }

    /// Why the last reading in `window` that failed did so.
    pub(crate) fn last_failure(&self, window: Window) -> Option<&ReadFailure> {
        let within = self.failures.iter().rfind(|failed| failed.from < window.to && failed.to >= window.from);
        within.map(|failed| &failed.why)
    }
}

/// Which values mean that the system has noticed a fault.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// This value or more.
    AtLeast(f64),
    /// Less than this value.
    Below(f64),
}

impl Signal {
    /// Whether `reading` shows the signal; a failed reading does not.
    pub fn is_shown_by(self, reading: &Reading) -> bool {
        reading.value.is_some_and(|value| match self {
            Self::AtLeast(bound) => value >= bound,
            Self::Below(bound) => value < bound,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::ms;

    #[test]
    fn failures_of_one_kind_are_kept_together() {
        let mut series = Series::default();
        let status = |status| ReadFailure::Status { status };
        for (at, why) in [(100, status(404)), (300, status(404)), (200, status(404)), (400, status(503))] {
            series.failed(ms(at), why);
        }
        let kept: Vec<_> = series.failures.iter().map(|failed| (failed.from, failed.to, failed.count)).collect();
        assert_eq!(kept, [(ms(100), ms(300), 3), (ms(400), ms(400), 1)]);
        assert_eq!(series.last_failure(Window::new(ms(0), ms(350))), Some(&status(404)));
        assert_eq!(series.last_failure(Window::new(ms(350), ms(900))), Some(&status(503)));
        assert_eq!(series.last_failure(Window::new(ms(500), ms(900))), None);
    }

    #[test]
    fn failures_are_told_in_words() {
        assert_eq!(ReadFailure::Status { status: 404 }.to_string(), "status 404 Not Found");
        assert_eq!(ReadFailure::Status { status: 599 }.to_string(), "status 599");
        assert_eq!(ReadFailure::NoAnswer { outcome: Outcome::Refused }.to_string(), "connection refused");
    }
}
