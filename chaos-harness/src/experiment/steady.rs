//! What a plan's steady state means for single requests, and for the time to recover.

use std::time::Duration;

use super::Plan;
use crate::hypothesis::{Comparison, Hypothesis, Measure, Threshold};
use crate::load::Load;
use crate::measure::{MIN_SAMPLES, Outages, Recovery, Sample, SteadyStretch, TooFewSamples, Window, recovery};

/// The steady state, as recovery looks at it.
///
/// A request is bad when it failed; also when it was answered by a fallback, if the steady state makes a claim
/// about fallbacks. Claims about latency are judged on the baseline only: one slow request is no outage.
#[derive(Clone, Debug)]
pub(crate) struct SteadyState {
    stretch: SteadyStretch,
    /// The routes whose degraded answers are bad; `None` in it means every route.
    degraded: Vec<Option<u16>>,
}

impl SteadyState {
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut steady = Self { stretch: SteadyStretch::default(), degraded: Vec::new() };
        for claim in &plan.steady_state {
            match &claim.measure {
                Measure::Degraded { route } => steady.degraded.push(index(plan.load.as_ref(), route.as_deref())),
                Measure::Availability { route: None } => {
                    steady.stretch.availability = claimed_share(claim).unwrap_or(steady.stretch.availability);
                }
                _ => {}
            }
        }
        steady
    }

    pub(crate) fn is_bad(&self, sample: &Sample) -> bool {
        let counts = |route: &Option<u16>| route.is_none_or(|route| route == sample.route);
        !sample.outcome.is_served() || sample.outcome.is_degraded() && self.degraded.iter().any(counts)
    }

    /// The recovery from an injection that was over at `over`, watched during `watch`.
    pub(super) fn recovery(&self, samples: &[Sample], watch: Window, over: Duration) -> (Recovery, Outages) {
        let (recovery, outages) = recovery(samples, watch, over, |sample| self.is_bad(sample), &self.stretch);
        // Requests that came when the fault was over tell nothing of it, however many they are.
        let hit = samples.iter().filter(|sample| sample.end >= watch.from && sample.intended < over).count() as u64;
        match (recovery, TooFewSamples::check(hit, MIN_SAMPLES)) {
            (Recovery::NoImpact, Err(too_few)) => (Recovery::TooFewSamples(too_few), outages),
            (recovery, _) => (recovery, outages),
        }
    }

    /// How long the steady state must hold to count as back.
    pub(super) fn hold(&self) -> Duration {
        self.stretch.duration
    }
}

/// The share in a claim like `availability > 99%`.
fn claimed_share(claim: &Hypothesis) -> Option<f64> {
    match (claim.comparison, claim.threshold) {
        (Comparison::Above | Comparison::AtLeast, Threshold::Ratio(share)) => Some(share),
        _ => None,
    }
}

fn index(load: Option<&Load>, route: Option<&str>) -> Option<u16> {
    load.and_then(|load| load.route(route?))
}
