//! What a session measures of itself: injections, the baseline, the hypotheses.

use std::time::Duration;

use super::judge::Evidence;
use super::milestones;
use super::session::Steps;
use crate::error::Result;
use crate::hypothesis::{
    Aborted, ExternalChange, Finding, Hypothesis, Inconclusive, Measured, Scope, Unmeasured, Verdict,
};
use crate::journal::{InjectionRecord, LinkTraffic, Record, Traffic};
use crate::link::LinkName;
use crate::load::probe::RunningProbes;
use crate::measure::{Window, detection};

/// Whether anything passed on any of these links; `None` where none of them was read.
fn reached(traffic: &Traffic, ways: &[LinkName]) -> Option<bool> {
    let read: Vec<&LinkTraffic> = ways.iter().filter_map(|way| traffic.of(way)).collect();
    let passed = |link: &&LinkTraffic| ["bytes_up", "bytes_down"].iter().any(|name| link.total(name) > 0);
    (!read.is_empty()).then(|| read.iter().any(passed))
}

impl Steps {
    /// The steady-state claims, which always speak of the baseline.
    pub(super) fn measure_baseline(&mut self) -> Result<Vec<Finding>> {
        self.take_readings()?;
        Ok(self.evidence(self.clock.now()).findings(&self.steady_claims()))
    }

    fn steady_claims(&self) -> Vec<Hypothesis> {
        self.plan.steady_state.iter().map(|claim| claim.clone().during(Scope::Baseline)).collect()
    }

    /// Takes what the probes have read so far into the journal.
    fn take_readings(&mut self) -> Result<()> {
        match &self.probes {
            Some(running) => self.log.add(Record::Probes(running.series())),
            None => Ok(()),
        }
    }

    /// Why the steady state cannot be relied on: it did not hold, or nobody looked.
    fn not_steady(&self) -> Option<Vec<Finding>> {
        if self.not_steady.is_some() || !self.log.journal().steady_state.is_empty() {
            return self.not_steady.clone();
        }
        let never = |hypothesis| {
            let reason = Unmeasured::NotReached;
            Finding { hypothesis, measured: Measured::Nothing { reason } }
        };
        let claims: Vec<Finding> = self.steady_claims().into_iter().map(never).collect();
        (!claims.is_empty()).then_some(claims)
    }

    /// The hypotheses and the verdict on a load that ended at `load_to`.
    pub(super) fn measure_hypotheses(&self, load_to: Duration) -> (Vec<Finding>, Verdict) {
        let evidence = self.evidence(load_to);
        let findings = evidence.findings(&self.plan.hypotheses);
        let changes: Vec<ExternalChange> = self.external.all().cloned().collect();
        let verdict = match (&self.aborted, self.not_steady()) {
            (Some(condition), _) => Verdict::Aborted { condition: condition.clone() },
            _ if !changes.is_empty() => {
                let refuted = findings.iter().filter(|finding| finding.holds() == Some(false)).cloned().collect();
                Verdict::Inconclusive { reason: Inconclusive::ExternalChange { changes, refuted } }
            }
            (None, Some(findings)) => Verdict::Inconclusive { reason: Inconclusive::NotSteady { findings } },
            (None, None) => match evidence.verdict(&findings) {
                Verdict::Upheld if !self.blind.is_empty() => {
                    let findings = self.blind.values().cloned().collect();
                    Verdict::Inconclusive { reason: Inconclusive::BlindConditions { findings } }
                }
                verdict => verdict,
            },
        };
        (findings, verdict)
    }

    /// Measures what each injection did, as far as the samples tell by now.
    pub(super) fn measure_injections(&mut self, until: Duration) -> Result<()> {
        self.take_readings()?;
        for index in 0..self.log.journal().injections.len() {
            let record = self.measured(index, until);
            self.log.add(Record::Injection { index, record: Box::new(record) })?;
        }
        Ok(())
    }

    fn measured(&self, index: usize, until: Duration) -> InjectionRecord {
        let journal = self.log.journal();
        let mut record = journal.injections[index].clone();
        // The watch on one ends where the next repetition begins.
        let later = journal.injections.iter().filter(|other| other.repetition > record.repetition);
        let watch = Window::new(record.began, later.map(|other| other.began).min().unwrap_or(until));
        let over = record.rolled_back.unwrap_or(watch.to);
        let (recovery, outages) = self.steady.recovery(self.watch.samples(), watch, over);
        (record.recovery, record.outages) = (Some(recovery), Some(outages));
        let detector = self.plan.probes.iter().find_map(|probe| Some((&probe.name, probe.detects?)));
        record.detection = detector.and_then(|(name, signal)| {
            let series = journal.probes.iter().find(|series| series.name == *name)?;
            Some(detection(&series.readings, signal, watch))
        });
        record.reached = self.ways.get(index).and_then(|ways| reached(&journal.links, ways));
        record.milestones = Some(milestones::of(&record, watch, self.watch.samples(), &journal.events));
        record
    }

    /// Of the plan's own abort conditions, the first that is true of the sliding window. Those that were never measured
    /// would have stopped nothing.
    pub(super) fn abort_condition(&mut self, now: Duration) -> Option<Aborted> {
        if self.plan.limits.abort_when.is_empty() {
            return None;
        }
        let window = [Window::new(now.saturating_sub(self.plan.limits.window), now)];
        let probes = self.probes.as_ref().map(RunningProbes::series).unwrap_or_default();
        let evidence = Evidence { probes: &probes, ..self.evidence(now) };
        let measured =
            |claim: &Hypothesis| Finding { measured: evidence.measure_in(&window, claim), hypothesis: claim.clone() };
        let findings: Vec<Finding> = self.plan.limits.abort_when.iter().map(measured).collect();
        for (at, finding) in findings.iter().enumerate() {
            match finding.holds() {
                Some(_) => drop(self.blind.remove(&at)),
                None => self.blind.get_mut(&at).into_iter().for_each(|blind| blind.clone_from(finding)),
            }
        }
        let finding = findings.into_iter().find(|finding| finding.holds() == Some(true))?;
        Some(Aborted::Condition { finding })
    }

    fn evidence(&self, load_to: Duration) -> Evidence<'_> {
        let journal = self.log.journal();
        Evidence {
            plan: &self.plan,
            load: Window::new(self.load_from, load_to),
            samples: self.watch.samples(),
            injections: &journal.injections,
            probes: &journal.probes,
            generator: journal.generator.as_ref(),
        }
    }
}
