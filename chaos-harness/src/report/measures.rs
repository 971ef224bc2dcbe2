//! The few numbers by which runs are compared.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::View;
use crate::measure::{Latencies, MIN_SAMPLES, MeanTime, Outages, Recovery, Tally, longest_silence};

/// What was measured while the fault was in force: from the first injection to the end of the last
/// rollback, all routes together. `None`: too few samples, or it did not happen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Requests of the whole experiment.
    pub requests: u64,
    /// Requests while the fault was in force.
    pub requests_in_fault: u64,
    /// Share of served requests, 0 to 1.
    pub availability: Option<f64>,
    /// Share of failed requests, 0 to 1.
    pub error_rate: Option<f64>,
    /// Share of requests that a fallback answered, 0 to 1.
    pub degraded: Option<f64>,
    /// Median latency, in milliseconds.
    pub p50_ms: Option<f64>,
    /// Latency that 99% did not exceed, in milliseconds.
    pub p99_ms: Option<f64>,
    /// What the injections did to users; `None` when it was not measured.
    pub impact: Option<Impact>,
    /// Mean time to recover over the injections with an impact, in milliseconds.
    pub mttr_ms: Option<f64>,
    /// Injections in that mean.
    #[serde(default)]
    pub injections: u64,
    /// Outages after all injections.
    #[serde(default)]
    pub outages: u64,
    /// The longest outage, in milliseconds.
    #[serde(default)]
    pub longest_outage_ms: Option<f64>,
    /// All outages together, in milliseconds.
    #[serde(default)]
    pub downtime_ms: Option<f64>,
    /// The longest time without an answer though a request waited, in milliseconds.
    #[serde(default)]
    pub longest_silence_ms: Option<f64>,
    /// Mean time to detect, in milliseconds.
    pub mttd_ms: Option<f64>,
}

/// What the injections did to users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Impact {
    /// No request went bad.
    None,
    /// The steady state came back after each.
    Recovered,
    /// The steady state did not come back while it was watched.
    NotRecovered,
}

impl Measures {
    pub(super) fn of(view: &View<'_>) -> Self {
        let window = view.fault_window();
        let tally = Tally::of(window.of(view.samples()));
        let rates = tally.rates(MIN_SAMPLES).ok();
        let latencies = Latencies::of(window.of(view.samples()));
        let quantile = |quantile| latencies.quantile(quantile, MIN_SAMPLES).ok().map(millis);
        let recoveries: Vec<Recovery> = view.journal.injections.iter().filter_map(|made| made.recovery).collect();
        let detections: Vec<_> = view.journal.injections.iter().filter_map(|made| made.detection).collect();
        let outages: Vec<&Outages> = view.journal.injections.iter().filter_map(|made| made.outages.as_ref()).collect();
        let any = |time: Duration| (!outages.is_empty()).then(|| millis(time));
        Self {
            requests: view.samples().len() as u64,
            requests_in_fault: tally.all(),
            availability: rates.map(|rates| rates.availability),
            error_rate: rates.map(|rates| rates.error_rate),
            degraded: rates.map(|rates| rates.degraded),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            impact: impact(&recoveries),
            mttr_ms: mean(&MeanTime::to_recover(&recoveries)),
            injections: recoveries.iter().filter(|recovery| recovery.time().is_some()).count() as u64,
            outages: outages.iter().map(|outages| outages.count).sum(),
            longest_outage_ms: any(outages.iter().map(|outages| outages.longest).max().unwrap_or_default()),
            downtime_ms: any(outages.iter().map(|outages| outages.total).sum()),
            longest_silence_ms: (tally.all() > 0).then(|| millis(longest_silence(view.samples(), window))),
            mttd_ms: mean(&MeanTime::to_detect(&detections)),
        }
    }
}

fn impact(recoveries: &[Recovery]) -> Option<Impact> {
    let any = |wanted: fn(&Recovery) -> bool| recoveries.iter().any(wanted);
    if any(|recovery| matches!(recovery, Recovery::NotRecovered { .. })) {
        Some(Impact::NotRecovered)
    } else if any(|recovery| matches!(recovery, Recovery::Recovered { .. })) {
        Some(Impact::Recovered)
    } else {
        (!recoveries.is_empty() && recoveries.iter().all(|one| *one == Recovery::NoImpact)).then_some(Impact::None)
    }
}

fn mean(mean: &MeanTime) -> Option<f64> {
    if let MeanTime::Mean { mean, .. } = mean { Some(millis(*mean)) } else { None }
}

/// To the microsecond.
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}
