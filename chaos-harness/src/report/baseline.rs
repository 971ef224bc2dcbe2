//! Whether a run is worse than a stored one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::json::{ExperimentSummary, FORMAT, Summary};
use super::{Impact, Measures, Standing};

/// How far availability may fall: one percentage point.
pub const AVAILABILITY_DROP: f64 = 0.01;
/// MTTR, or the downtime, is worse when it is more than this many times the stored one ...
pub const MTTR_FACTOR: f64 = 1.25;
/// ... and more than this many milliseconds above it.
pub const MTTR_SLACK_MS: f64 = 500.0;
/// p99 is worse when it is more than this many times the stored one ...
pub const P99_FACTOR: f64 = 1.5;
/// ... and more than this many milliseconds above it.
pub const P99_SLACK_MS: f64 = 50.0;

/// A run against a stored one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// What got worse than tolerated.
    pub regressions: Vec<Regression>,
    /// Experiments of the stored run that this one does not have, by id.
    pub missing: Vec<String>,
    /// Experiments that the stored run does not have, by id.
    pub added: Vec<String>,
}

/// A measure that got worse than tolerated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regression {
    /// The experiment.
    pub id: String,
    /// `availability`, `mttr`, `downtime` or `p99`.
    pub measure: String,
    /// In the stored run.
    pub before: String,
    /// In this run.
    pub after: String,
}

impl std::fmt::Display for Regression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} went from {} to {}", self.id, self.measure, self.before, self.after)
    }
}

/// A stored run that cannot be compared with.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// It is no JSON report.
    #[error("the baseline is no JSON report: {0}; make one with `--format json --output FILE`")]
    Malformed(#[from] serde_json::Error),
    /// It was written by another version.
    #[error("the baseline has format {found}, this build reads {FORMAT}; make it again with this build")]
    Format {
        /// In the file.
        found: u32,
    },
}

/// Reads a stored run.
///
/// # Errors
/// When it is no JSON report, or one of another format.
pub fn parse(text: &str) -> Result<Summary, BaselineError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let Version { format: found } = serde_json::from_str(text)?;
    if found == FORMAT { Ok(serde_json::from_str(text)?) } else { Err(BaselineError::Format { found }) }
}

/// The experiments of a run by id and runtime: the numbers of two runtimes have nothing to do with each other.
type ByKey<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a ExperimentSummary>>;

fn by_key(summary: &Summary) -> ByKey<'_> {
    let mut by_key = ByKey::new();
    let run = summary.experiments.iter().filter(|experiment| experiment.standing != Standing::NotRun.code());
    for experiment in run {
        by_key.entry((&experiment.id, &experiment.runtime)).or_default().push(experiment);
    }
    by_key
}

/// What `one` has and `other` has not; with its runtime where it is that alone which is lacking.
fn only_in(one: &ByKey<'_>, other: &ByKey<'_>) -> Vec<String> {
    let lacking = one.keys().filter(|key| !other.contains_key(*key));
    let name = |(id, runtime): &(&str, &str)| {
        let elsewhere = other.keys().any(|(other, _)| other == id);
        if elsewhere { format!("{id} on {runtime}") } else { (*id).to_owned() }
    };
    lacking.map(name).collect()
}

/// Compares a run with a stored one, experiment by experiment. Twins are meant to be bad and are not compared.
pub fn compare(stored: &Summary, current: &Summary) -> Comparison {
    let (before, after) = (by_key(stored), by_key(current));
    let mut comparison =
        Comparison { missing: only_in(&before, &after), added: only_in(&after, &before), ..Comparison::default() };
    for (key, attempts) in &after {
        let Some(stored) = before.get(key).and_then(|stored| stored.last()) else { continue };
        for experiment in attempts.iter().filter(|experiment| experiment.twin_without.is_none()) {
            comparison.regressions.extend(regressions(key.0, &stored.measures, &experiment.measures));
        }
    }
    comparison
}

fn regressions(id: &str, before: &Measures, after: &Measures) -> Vec<Regression> {
    let regression = |measure: &str, values: Option<(String, String)>| {
        let (before, after) = values?;
        Some(Regression { id: id.to_owned(), measure: measure.to_owned(), before, after })
    };
    let all = [
        regression("availability", availability(before.availability, after.availability)),
        regression("mttr", mttr(before, after)),
        regression("downtime", downtime(before.downtime_ms, after.downtime_ms)),
        regression("p99", p99(before.p99_ms, after.p99_ms)),
    ];
    all.into_iter().flatten().collect()
}

fn availability(before: Option<f64>, after: Option<f64>) -> Option<(String, String)> {
    let before = before?;
    let worse = after.is_none_or(|after| before - after > AVAILABILITY_DROP);
    worse.then(|| (super::words::share(before), after.map_or_else(not_measured, super::words::share)))
}

/// No impact counts as a time of zero; not recovered is worse than any time.
fn mttr(before: &Measures, after: &Measures) -> Option<(String, String)> {
    let bounded = |measures: &Measures| match measures.impact? {
        Impact::None => Some(Some(0.0)),
        Impact::Recovered => measures.mttr_ms.map(Some),
        Impact::NotRecovered => Some(None),
    };
    let before = bounded(before)??;
    let words = |time: Option<Option<f64>>| match time {
        None => not_measured(),
        Some(None) => "not recovered".to_owned(),
        Some(Some(time)) => millis(time),
    };
    let after = bounded(after);
    let fine = matches!(after, Some(Some(after)) if !exceeds(before, after, MTTR_FACTOR, MTTR_SLACK_MS));
    (!fine).then(|| (millis(before), words(after)))
}

/// All outages together; what had none may have a short one.
fn downtime(before: Option<f64>, after: Option<f64>) -> Option<(String, String)> {
    let (before, after) = (before?, after?);
    exceeds(before, after, MTTR_FACTOR, MTTR_SLACK_MS).then(|| (millis(before), millis(after)))
}

fn p99(before: Option<f64>, after: Option<f64>) -> Option<(String, String)> {
    let before = before?;
    let worse = after.is_none_or(|after| exceeds(before, after, P99_FACTOR, P99_SLACK_MS));
    worse.then(|| (millis(before), after.map_or_else(not_measured, millis)))
}

fn exceeds(before: f64, after: f64, factor: f64, slack: f64) -> bool {
    after > before * factor && after > before + slack
}

fn millis(millis: f64) -> String {
    super::words::time(std::time::Duration::from_secs_f64(millis.clamp(0.0, 1e12) / 1e3))
}

fn not_measured() -> String {
    "not measured".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures(availability: f64, mttr: f64, p99: f64) -> Measures {
        Measures {
            availability: Some(availability),
            impact: Some(Impact::Recovered),
            mttr_ms: Some(mttr),
            p99_ms: Some(p99),
            ..Measures::default()
        }
    }

    fn worse(before: &Measures, after: &Measures) -> Vec<String> {
        regressions("e", before, after).into_iter().map(|regression| regression.measure).collect()
    }

    #[test]
    fn tolerances_are_those_documented() {
        let before = measures(0.99, 4_000.0, 200.0);
        assert!(worse(&before, &measures(0.981, 5_000.0, 300.0)).is_empty());
        assert_eq!(worse(&before, &measures(0.979, 5_001.0, 301.0)), ["availability", "mttr", "p99"]);
        // A large factor of a small number is noise.
        assert!(worse(&measures(0.99, 100.0, 2.0), &measures(0.99, 599.0, 51.0)).is_empty());
    }

    #[test]
    fn never_recovered_is_worse_than_any_time_and_no_impact_is_best() {
        let before = measures(0.99, 4_000.0, 200.0);
        let unbounded = Measures { impact: Some(Impact::NotRecovered), mttr_ms: None, ..before.clone() };
        assert_eq!(worse(&before, &unbounded), ["mttr"]);
        assert!(worse(&unbounded, &before).is_empty());
        let none = Measures { impact: Some(Impact::None), mttr_ms: None, ..before.clone() };
        assert!(worse(&before, &none).is_empty());
        assert_eq!(worse(&none, &before), ["mttr"]);
    }

    #[test]
    fn more_downtime_within_the_same_time_to_recover_is_worse() {
        let down = |downtime| Measures { downtime_ms: Some(downtime), ..measures(0.99, 4_000.0, 200.0) };
        assert_eq!(worse(&down(1_000.0), &down(3_000.0)), ["downtime"]);
        assert!(worse(&down(1_000.0), &down(1_400.0)).is_empty());
    }

    #[test]
    fn what_is_not_measured_any_more_is_worse() {
        let before = measures(0.99, 4_000.0, 200.0);
        assert_eq!(worse(&before, &Measures::default()), ["availability", "mttr", "p99"]);
        assert!(worse(&Measures::default(), &before).is_empty());
    }
}
