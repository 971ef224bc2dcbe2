//! From what a run recorded to findings and a verdict. Pure: no clock, no files.

use std::time::Duration;

use super::Plan;
use super::spans::Spans;
use crate::hypothesis::{Finding, Hypothesis, Inconclusive, Measure, Measured, Scope, Threshold, Unmeasured, Verdict};
use crate::journal::InjectionRecord;
use crate::load::LagReport;
use crate::measure::{
    Interval, Latencies, MIN_SAMPLES, MeanTime, RESAMPLES, Rates, Recovery, Sample, Series, Tally, TooFewSamples,
    Window, bootstrap, of_route,
};

/// Everything that a judgement rests on.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) plan: &'a Plan,
    /// When the load was sent.
    pub(super) load: Window,
    pub(super) samples: &'a [Sample],
    pub(super) injections: &'a [InjectionRecord],
    pub(super) probes: &'a [Series],
    pub(super) generator: Option<&'a LagReport>,
}

impl Evidence<'_> {
    /// Measures each claim.
    pub(super) fn findings(&self, claims: &[Hypothesis]) -> Vec<Finding> {
        let spans = Spans::new(self.load, self.injections);
        let finding = |claim: &Hypothesis| Finding { hypothesis: claim.clone(), measured: self.measure(claim, &spans) };
        claims.iter().map(finding).collect()
    }

    /// The verdict on `findings`. A run whose generator fell behind is void, and a fault that was not
    /// shown to have bitten explains nothing, whatever was measured.
    pub(super) fn verdict(&self, findings: &[Finding]) -> Verdict {
        if let Some(Err(lag)) = self.generator.map(LagReport::kept_up) {
            return Verdict::Inconclusive { reason: Inconclusive::GeneratorLag { detail: lag.to_string() } };
        }
        for injection in self.injections {
            let bite = injection.bite.as_ref().filter(|bite| bite.shown);
            if bite.is_none() {
                let looked_at = injection.bite.as_ref().map_or("nothing was looked at", |bite| &bite.looked_at);
                let reason = Inconclusive::NoBite { fault: injection.fault.clone(), looked_at: looked_at.to_owned() };
                return Verdict::Inconclusive { reason };
            }
        }
        Verdict::of(findings)
    }

    fn measure(&self, claim: &Hypothesis, spans: &Spans) -> Measured {
        let windows = spans.of(claim.scope);
        // What was not steady again has nothing that comes after.
        if windows.is_empty() || claim.scope == Scope::After && windows.len() < spans.repetitions() {
            return Measured::Nothing { reason: Unmeasured::NotReached };
        }
        if matches!(claim.scope, Scope::Fault | Scope::After)
            && let Some(at) = windows.iter().position(|window| !self.is_observed(window, claim))
        {
            let repetition = u32::try_from(at + 1).unwrap_or(u32::MAX);
            // A single one is told with its numbers.
            if windows.len() > 1 {
                return Measured::Nothing { reason: Unmeasured::EmptyRepetition { repetition } };
            }
        }
        if claim.scope == Scope::Overall
            && let Some(at) = spans.of(Scope::Fault).iter().position(|fault| !self.is_hit(fault, claim))
        {
            let repetition = u32::try_from(at + 1).unwrap_or(u32::MAX);
            return Measured::Nothing { reason: Unmeasured::EmptyFault { repetition } };
        }
        self.measure_in(&windows, claim)
    }

    /// Whether a request that a claim speaks of was under way or due during a fault. What came later tells nothing of it.
    fn is_hit(&self, fault: &Window, claim: &Hypothesis) -> bool {
        if !matches!(
            claim.measure,
            Measure::Availability { .. }
                | Measure::ErrorRate { .. }
                | Measure::Degraded { .. }
                | Measure::Latency { .. }
        ) {
            return true;
        }
        let index = claim.route().and_then(|route| self.plan.load.as_ref()?.route(route));
        let hit = |sample: &Sample| sample.end >= fault.from && sample.intended < fault.to;
        of_route(self.samples, index).any(hit)
    }

    /// Whether anything at all was observed of what a claim speaks of.
    fn is_observed(&self, window: &Window, claim: &Hypothesis) -> bool {
        match (&claim.measure, claim.probe()) {
            (Measure::Mttr | Measure::Mttd | Measure::Recovery, _) => true,
            (_, Some(probe)) => self.readings(&[*window], probe).next().is_some(),
            _ => self.samples(&[*window], claim.route()).is_some_and(|samples| !samples.is_empty()),
        }
    }

    /// Measures a claim in these windows, whatever its scope.
    pub(super) fn measure_in(&self, windows: &[Window], claim: &Hypothesis) -> Measured {
        match &claim.measure {
            Measure::Availability { route } => self.share(windows, route, |rates| rates.availability),
            Measure::ErrorRate { route } => self.share(windows, route, |rates| rates.error_rate),
            Measure::Degraded { route } => self.share(windows, route, |rates| rates.degraded),
            Measure::Latency { quantile, route } => self.latency(windows, route, *quantile),
            Measure::Mttr => self.mttr(),
            Measure::Mttd => self.mttd(),
            Measure::Recovery => self.longest_recovery(),
            Measure::Peak { probe } => self.reading(windows, probe, |values| values.reduce(f64::max)),
            Measure::Lowest { probe } => self.reading(windows, probe, |values| values.reduce(f64::min)),
            Measure::Last { probe } => self.reading(windows, probe, |values| values.last()),
        }
    }

    /// The samples of a route that were due in any of the windows.
    fn samples<'s>(&'s self, windows: &'s [Window], route: Option<&str>) -> Option<Vec<&'s Sample>> {
        let index = match route {
            None => None,
            // A route that is not there has no samples; it must not mean all of them.
            Some(name) => Some(self.plan.load.as_ref()?.route(name)?),
        };
        let due = |sample: &&Sample| windows.iter().any(|window| window.contains(sample.intended));
        Some(of_route(self.samples, index).filter(due).collect())
    }

    fn share(&self, windows: &[Window], route: &Option<String>, pick: fn(&Rates) -> f64) -> Measured {
        let samples = self.samples(windows, route.as_deref()).unwrap_or_default();
        let tally = Tally::of(samples.iter().copied());
        match tally.rates(MIN_SAMPLES) {
            Ok(rates) => value(Threshold::Ratio(pick(&rates)), tally.all()),
            Err(too_few) => nothing(too_few),
        }
    }

    fn latency(&self, windows: &[Window], route: &Option<String>, quantile: f64) -> Measured {
        let samples = self.samples(windows, route.as_deref()).unwrap_or_default();
        let latencies = Latencies::of(samples);
        match latencies.quantile(quantile, MIN_SAMPLES) {
            Ok(latency) => value(Threshold::Time(latency), latencies.count()),
            Err(too_few) => nothing(too_few),
        }
    }

    fn recoveries(&self) -> Option<Vec<Recovery>> {
        let each = || self.injections.iter().map(|injection| injection.recovery);
        (!self.injections.is_empty()).then(|| each().collect()).flatten()
    }

    /// Why nothing is known of an injection's recovery, unless one is known never to have come.
    fn unseen(&self, recoveries: &[Recovery]) -> Option<Measured> {
        if recoveries.iter().any(|recovery| matches!(recovery, Recovery::NotRecovered { .. })) {
            return None;
        }
        self.injections.iter().find_map(|made| match made.recovery? {
            Recovery::TooFewSamples(too_few) => Some(nothing(too_few)),
            // Where the outage is another injection's, it is in that one's account.
            Recovery::AlreadyDown { .. } if !recoveries.iter().any(|other| other.time().is_some()) => {
                Some(Measured::Nothing { reason: Unmeasured::AlreadyDown })
            }
            Recovery::NoImpact if made.reached == Some(false) => {
                Some(Measured::Nothing { reason: Unmeasured::Unreached { fault: made.fault.clone() } })
            }
            // What was sent after the rollback says nothing about the fault.
            Recovery::NoImpact => TooFewSamples::check(self.hit_by(made), MIN_SAMPLES).err().map(nothing),
            _ => None,
        })
    }

    /// How many requests were under way or due while an injection was in force.
    fn hit_by(&self, made: &InjectionRecord) -> u64 {
        let until = made.rolled_back.unwrap_or(self.load.to);
        self.samples.iter().filter(|sample| sample.end >= made.began && sample.intended < until).count() as u64
    }

    /// The mean; with repetitions the upper end of its interval is judged.
    fn mttr(&self) -> Measured {
        let Some(recoveries) = self.recoveries() else {
            return Measured::Nothing { reason: Unmeasured::NotReached };
        };
        if let Some(too_few) = self.unseen(&recoveries) {
            return too_few;
        }
        match MeanTime::to_recover(&recoveries) {
            MeanTime::Nothing { .. } => Measured::NoImpact { count: self.fewest_hit() },
            MeanTime::Unbounded { .. } => Measured::Unbounded { observed: self.watched(&recoveries) },
            MeanTime::Mean { mean, .. } => {
                let hit: Vec<&InjectionRecord> = self.injections.iter().filter(|made| time(made).is_some()).collect();
                let times: Vec<Duration> = hit.iter().filter_map(|made| time(made)).collect();
                let interval = bootstrap(&times, RESAMPLES, self.plan.seed);
                recovered(interval.map_or(mean, |Interval { high, .. }| high), interval, &hit)
            }
        }
    }

    fn longest_recovery(&self) -> Measured {
        let Some(recoveries) = self.recoveries() else {
            return Measured::Nothing { reason: Unmeasured::NotReached };
        };
        if recoveries.iter().any(|recovery| matches!(recovery, Recovery::NotRecovered { .. })) {
            return Measured::Unbounded { observed: self.watched(&recoveries) };
        }
        if let Some(too_few) = self.unseen(&recoveries) {
            return too_few;
        }
        match self.injections.iter().filter_map(|made| Some((time(made)?, made))).max_by_key(|(time, _)| *time) {
            Some((longest, made)) => recovered(longest, None, &[made]),
            None => Measured::NoImpact { count: self.fewest_hit() },
        }
    }

    /// The mean time to detect; with repetitions the upper end of its interval is judged.
    fn mean(&self, mean: MeanTime, times: &[Duration], observed: Duration) -> Measured {
        match mean {
            MeanTime::Nothing { .. } => Measured::Nothing { reason: Unmeasured::NotReached },
            MeanTime::Unbounded { .. } => Measured::Unbounded { observed },
            MeanTime::Mean { mean, count, .. } => {
                let interval = bootstrap(times, RESAMPLES, self.plan.seed);
                let judged = interval.map_or(mean, |Interval { high, .. }| high);
                let interval = interval.map(|Interval { low, high }| [Threshold::Time(low), Threshold::Time(high)]);
                Measured::Value { value: Threshold::Time(judged), interval, count: count as u64 }
            }
        }
    }

    /// How long the recovery that never came was watched for.
    fn watched(&self, recoveries: &[Recovery]) -> Duration {
        let watched = recoveries.iter().filter_map(|recovery| match recovery {
            Recovery::NotRecovered { first_bad, observed_until } => Some(observed_until.saturating_sub(*first_bad)),
            _ => None,
        });
        watched.max().unwrap_or_default()
    }

    /// The requests that the injection with the fewest of them can have hit.
    fn fewest_hit(&self) -> u64 {
        self.injections.iter().map(|made| self.hit_by(made)).min().unwrap_or_default()
    }
}

fn time(made: &InjectionRecord) -> Option<Duration> {
    made.recovery.as_ref().and_then(Recovery::time)
}

/// A time to recover that rests on these injections.
fn recovered(time: Duration, interval: Option<Interval>, of: &[&InjectionRecord]) -> Measured {
    let outages = || of.iter().filter_map(|made| made.outages.as_ref());
    Measured::Recovered {
        time,
        interval,
        injections: of.len() as u64,
        outages: outages().map(|outages| outages.count).sum(),
        longest: outages().map(|outages| outages.longest).max().unwrap_or_default(),
        down: outages().map(|outages| outages.total).sum(),
    }
}

fn value(value: Threshold, count: u64) -> Measured {
    Measured::Value { value, interval: None, count }
}

fn nothing(TooFewSamples { have, need }: TooFewSamples) -> Measured {
    Measured::Nothing { reason: Unmeasured::TooFewSamples { have, need } }
}

mod probes;
#[cfg(test)]
mod tests;
