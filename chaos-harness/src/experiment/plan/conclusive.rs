//! Whether a plan can conclude at all: what each claim rests on must be due in the part of which it speaks.
//!
//! Only what is certain is refused. How long a recovery takes, and what a fault adds to its hold, is not known before.

use std::time::Duration;

use super::{Plan, PlanError};
use crate::hypothesis::{Hypothesis, Measure, Scope};
use crate::load::Load;
use crate::load::probe::Probe;
use crate::measure::{MIN_SAMPLES, SteadyStretch};

/// By how much the parts of an experiment may come earlier or later than planned.
const SLACK: Duration = Duration::from_secs(1);

/// A part of the experiment whose length is planned.
struct Part {
    name: &'static str,
    /// When it begins, from the start of the load; `None` where that is not known.
    from: Option<Duration>,
    length: Duration,
    times: u32,
}

impl Plan {
    /// Refuses a plan that claims nothing, or a claim that cannot be measured, with the numbers.
    pub(in crate::experiment) fn check_that_it_can_conclude(&self) -> Result<(), PlanError> {
        if self.hypotheses.is_empty() {
            return Err(PlanError::NoHypothesis);
        }
        for claim in &self.steady_state {
            self.check_claim(&claim.clone().during(Scope::Baseline), &self.baseline())?;
        }
        for claim in &self.hypotheses {
            let is_of_fault = claim.scope != Scope::Baseline
                || matches!(claim.measure, Measure::Mttr | Measure::Mttd | Measure::Recovery);
            if is_of_fault && self.injections.is_empty() {
                return Err(PlanError::NoInjection { claim: claim.to_string() });
            }
            match claim.scope {
                Scope::Baseline => self.check_claim(claim, &self.baseline())?,
                Scope::Fault => self.check_claim(claim, &self.fault())?,
                Scope::After => self.check_claim(claim, &self.after())?,
                Scope::Recovery | Scope::Overall => {}
            }
        }
        let sliding = Part { name: "sliding window", from: None, length: self.limits.window, times: 1 };
        self.limits.abort_when.iter().try_for_each(|claim| self.check_claim(claim, &sliding))
    }

    fn baseline(&self) -> Part {
        Part { name: "baseline", from: Some(Duration::ZERO), length: self.timing.baseline, times: 1 }
    }

    /// From the first injection to the last rollback.
    fn fault(&self) -> Part {
        let first = self.injections.iter().map(|injection| injection.after).min().unwrap_or_default();
        let last = self.injections.iter().map(|injection| injection.after + injection.hold).max().unwrap_or_default();
        let from = (self.repeat == 1).then_some(self.timing.baseline + first);
        Part { name: "fault", from, length: last.saturating_sub(first), times: self.repeat }
    }

    /// Once steady again, each repetition is watched until that counts, and the last one for longer.
    fn after(&self) -> Part {
        let length = SteadyStretch::default().duration * self.repeat + self.timing.after;
        Part { name: "time after", from: None, length, times: 1 }
    }

    fn check_claim(&self, claim: &Hypothesis, part: &Part) -> Result<(), PlanError> {
        match &claim.measure {
            Measure::Availability { .. }
            | Measure::ErrorRate { .. }
            | Measure::Degraded { .. }
            | Measure::Latency { .. } => self.check_requests(claim, part),
            Measure::Peak { probe } | Measure::Lowest { probe } | Measure::Last { probe } => {
                let probe = self.probes.iter().find(|declared| declared.name == *probe);
                probe.map_or(Ok(()), |probe| check_readings(claim, probe, part))
            }
            // One bad request is enough to measure a recovery, and how long a detection is waited for is not known.
            Measure::Mttr | Measure::Mttd | Measure::Recovery => Ok(()),
        }
    }

    fn check_requests(&self, claim: &Hypothesis, part: &Part) -> Result<(), PlanError> {
        let Some(load) = &self.load else { return Ok(()) };
        let share = claim.route().map_or(1.0, |route| share(load, route));
        let due = |length| requests(load, part, length) * share * f64::from(part.times);
        // Binary fractions of a decimal rate may fall short by a hair.
        if due(part.length) + 1e-6 >= MIN_SAMPLES as f64 {
            return Ok(());
        }
        let due_now = due(part.length);
        Err(PlanError::TooFewRequests {
            claim: claim.to_string(),
            due: due_now as u64,
            need: MIN_SAMPLES,
            part: part.name,
            length: part.length * part.times,
            remedy: remedy(load, part, MIN_SAMPLES as f64 / due_now, due),
        })
    }
}

/// Of all requests, those of this route.
fn share(load: &Load, route: &str) -> f64 {
    let weights = |name: Option<&str>| -> f64 {
        let of = load.requests.iter().filter(|request| name.is_none_or(|name| request.name == name));
        of.map(|request| f64::from(request.weight)).sum()
    };
    weights(Some(route)) / weights(None)
}

/// How many requests are due in the first `length` of a part; the most that can be where its begin is not known.
fn requests(load: &Load, part: &Part, length: Duration) -> f64 {
    match part.from {
        Some(from) => load.rate.requests_within(from + length) - load.rate.requests_within(from),
        None => load.rate.highest() * length.as_secs_f64(),
    }
}

/// What to change so that `fold` times as many requests are due.
fn remedy(load: &Load, part: &Part, fold: f64, due: impl Fn(Duration) -> f64) -> String {
    let faster = if load.rate.ramps.is_empty() {
        format!("raise the rate to at least {} per second", round_up(load.rate.start * fold))
    } else if fold.is_finite() {
        format!("raise the rate at least {:.1}-fold", (fold * 10.0).ceil() / 10.0)
    } else {
        "begin the load with a higher rate".to_owned()
    };
    let what = match part.name {
        "baseline" => "the baseline",
        "fault" => "the hold",
        _ => return faster,
    };
    // Ramps make it no plain division. Half an hour is the longest experiment.
    let lengths = (1..=18_000).map(|tenths| Duration::from_millis(tenths * 100));
    let enough = lengths.into_iter().find(|length| due(*length) + 1e-6 >= MIN_SAMPLES as f64);
    let longer = enough.map(|length| format!(", or {what} to {}", humantime::format_duration(length)));
    faster + &longer.unwrap_or_default()
}

/// To a whole number, or for less than 1 to a tenth.
fn round_up(rate: f64) -> f64 {
    // 15.000000000000002 is 15.
    if rate > 1.0 { (rate - 1e-6).ceil() } else { ((rate - 1e-6) * 10.0).ceil() / 10.0 }
}

/// Readings are due at multiples of the interval, from the start of the load.
fn check_readings(claim: &Hypothesis, probe: &Probe, part: &Part) -> Result<(), PlanError> {
    let Some(from) = part.from else { return Ok(()) };
    let (earliest, latest) = (from.saturating_sub(SLACK), from + part.length + SLACK);
    let next = probe.every.as_nanos() * earliest.as_nanos().div_ceil(probe.every.as_nanos().max(1));
    if next <= latest.as_nanos() {
        return Ok(());
    }
    Err(PlanError::NoReadingDue {
        claim: claim.to_string(),
        probe: probe.name.clone(),
        every: probe.every,
        part: part.name,
        length: part.length,
    })
}

#[cfg(test)]
mod tests;
