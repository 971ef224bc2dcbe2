//! From what a run recorded to findings and a verdict. Pure: no clock, no files.

use std::time::Duration;

use super::Plan;
use super::spans::Spans;
use crate::hypothesis::{Finding, Hypothesis, Inconclusive, Measure, Measured, Threshold, Unmeasured, Verdict};
use crate::journal::InjectionRecord;
use crate::load::LagReport;
use crate::measure::{
    Detection, Interval, Latencies, MIN_SAMPLES, MeanTime, RESAMPLES, Rates, Reading, Recovery, Sample, Series, Tally,
    TooFewSamples, Window, bootstrap, of_route,
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
        if windows.is_empty() {
            return Measured::Nothing { reason: Unmeasured::NotReached };
        }
        self.measure_in(&windows, claim)
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
    fn samples<'s>(&'s self, windows: &'s [Window], route: &Option<String>) -> Option<Vec<&'s Sample>> {
        let index = match route {
            None => None,
            // A route that is not there has no samples; it must not mean all of them.
            Some(name) => Some(self.plan.load.as_ref()?.route(name)?),
        };
        let due = |sample: &&Sample| windows.iter().any(|window| window.contains(sample.intended));
        Some(of_route(self.samples, index).filter(due).collect())
    }

    fn share(&self, windows: &[Window], route: &Option<String>, pick: fn(&Rates) -> f64) -> Measured {
        let samples = self.samples(windows, route).unwrap_or_default();
        let tally = Tally::of(samples.iter().copied());
        match tally.rates(MIN_SAMPLES) {
            Ok(rates) => value(Threshold::Ratio(pick(&rates)), tally.all()),
            Err(too_few) => nothing(too_few),
        }
    }

    fn latency(&self, windows: &[Window], route: &Option<String>, quantile: f64) -> Measured {
        let samples = self.samples(windows, route).unwrap_or_default();
        let latencies = Latencies::of(samples);
        match latencies.quantile(quantile, MIN_SAMPLES) {
            Ok(latency) => value(Threshold::Time(latency), latencies.count()),
            Err(too_few) => nothing(too_few),
        }
    }

    fn recoveries(&self) -> Option<Vec<Recovery>> {
        self.injections.iter().map(|injection| injection.recovery).collect()
    }

    /// The mean; with repetitions the upper end of its interval is judged.
    fn mttr(&self) -> Measured {
        let Some(recoveries) = self.recoveries() else {
            return Measured::Nothing { reason: Unmeasured::NotReached };
        };
        if let Some(too_few) = unseen(&recoveries) {
            return too_few;
        }
        let times: Vec<Duration> = recoveries.iter().filter_map(Recovery::time).collect();
        self.mean(MeanTime::to_recover(&recoveries), &times, self.watched(&recoveries))
    }

    fn mttd(&self) -> Measured {
        let detections: Option<Vec<Detection>> = self.injections.iter().map(|injection| injection.detection).collect();
        let Some(detections) = detections else {
            return Measured::Nothing { reason: Unmeasured::NotReached };
        };
        let times: Vec<Duration> = detections.iter().filter_map(Detection::time).collect();
        match MeanTime::to_detect(&detections) {
            // Not noticing is no success: a signal that was there before says nothing.
            MeanTime::Nothing { .. } => Measured::Nothing { reason: Unmeasured::NoReading },
            mean => self.mean(mean, &times, self.load.length()),
        }
    }

    fn mean(&self, mean: MeanTime, times: &[Duration], observed: Duration) -> Measured {
        match mean {
            MeanTime::Nothing { .. } => Measured::NoImpact { count: self.samples_since_injection() },
            MeanTime::Unbounded { .. } => Measured::Unbounded { observed },
            MeanTime::Mean { mean, count, .. } => {
                let interval = bootstrap(times, RESAMPLES, self.plan.seed);
                let judged = interval.map_or(mean, |Interval { high, .. }| high);
                let interval = interval.map(|Interval { low, high }| [Threshold::Time(low), Threshold::Time(high)]);
                Measured::Value { value: Threshold::Time(judged), interval, count: count as u64 }
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
        if let Some(too_few) = unseen(&recoveries) {
            return too_few;
        }
        match recoveries.iter().filter_map(Recovery::time).max() {
            Some(longest) => value(Threshold::Time(longest), recoveries.len() as u64),
            None => Measured::NoImpact { count: self.samples_since_injection() },
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

    fn samples_since_injection(&self) -> u64 {
        let first = self.injections.iter().map(|injection| injection.began).min().unwrap_or_default();
        self.samples.iter().filter(|sample| sample.end >= first).count() as u64
    }

    fn reading(
        &self,
        windows: &[Window],
        probe: &str,
        pick: impl Fn(&mut dyn Iterator<Item = f64>) -> Option<f64>,
    ) -> Measured {
        let series = self.probes.iter().find(|series| series.name == probe);
        let within = |reading: &&Reading| windows.iter().any(|window| window.contains(reading.at));
        let values: Vec<f64> = series
            .into_iter()
            .flat_map(|series| series.readings.iter().filter(within).filter_map(|reading| reading.value))
            .collect();
        match pick(&mut values.iter().copied()) {
            Some(number) => value(Threshold::Number(number), values.len() as u64),
            None => Measured::Nothing { reason: Unmeasured::NoReading },
        }
    }
}

/// Why nothing is known of an injection's recovery, where one of them never recovered that is known.
fn unseen(recoveries: &[Recovery]) -> Option<Measured> {
    if recoveries.iter().any(|recovery| matches!(recovery, Recovery::NotRecovered { .. })) {
        return None;
    }
    recoveries.iter().find_map(|recovery| match recovery {
        Recovery::TooFewSamples(too_few) => Some(nothing(*too_few)),
        _ => None,
    })
}

fn value(value: Threshold, count: u64) -> Measured {
    Measured::Value { value, interval: None, count }
}

fn nothing(TooFewSamples { have, need }: TooFewSamples) -> Measured {
    Measured::Nothing { reason: Unmeasured::TooFewSamples { have, need } }
}

#[cfg(test)]
mod tests;
