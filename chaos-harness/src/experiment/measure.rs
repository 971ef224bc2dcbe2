//! What a session measures of itself: injections, the baseline, the hypotheses.

use std::time::Duration;

use super::judge::Evidence;
use super::milestones;
use super::session::Session;
use crate::error::Result;
use crate::hypothesis::{Aborted, Finding, Hypothesis, Inconclusive, Scope, Verdict};
use crate::journal::{InjectionRecord, Record};
use crate::load::probe::RunningProbes;
use crate::measure::{Series, Window, detection};

impl Session {
    /// The steady-state claims, which always speak of the baseline.
    pub(super) fn measure_baseline(&self) -> Vec<Finding> {
        let claims = self.plan.steady_state.iter().map(|claim| claim.clone().during(Scope::Baseline));
        self.evidence(self.clock.now()).findings(&claims.collect::<Vec<Hypothesis>>())
    }

    /// The hypotheses and the verdict on a load that ended at `load_to`.
    pub(super) fn measure_hypotheses(&self, load_to: Duration) -> (Vec<Finding>, Verdict) {
        let evidence = self.evidence(load_to);
        let findings = evidence.findings(&self.plan.hypotheses);
        let verdict = match (&self.aborted, &self.not_steady) {
            (Some(condition), _) => Verdict::Aborted { condition: condition.clone() },
            (None, Some(findings)) => {
                Verdict::Inconclusive { reason: Inconclusive::NotSteady { findings: findings.clone() } }
            }
            (None, None) => evidence.verdict(&findings),
        };
        (findings, verdict)
    }

    /// Measures what each injection did, as far as the samples tell by now.
    pub(super) fn measure_injections(&mut self, until: Duration) -> Result<()> {
        let probes: Vec<Series> = match &self.probes {
            Some(running) => running.series(),
            None => self.log.journal().probes.clone(),
        };
        for index in 0..self.log.journal().injections.len() {
            let record = self.measured(index, until, &probes);
            self.log.add(Record::Injection { index, record: Box::new(record) })?;
        }
        Ok(())
    }

    fn measured(&self, index: usize, until: Duration, probes: &[Series]) -> InjectionRecord {
        let journal = self.log.journal();
        let mut record = journal.injections[index].clone();
        // The watch on one ends where the next repetition begins.
        let later = journal.injections.iter().filter(|other| other.repetition > record.repetition);
        let watch = Window::new(record.began, later.map(|other| other.began).min().unwrap_or(until));
        record.recovery = Some(self.steady.recovery(self.watch.samples(), watch));
        let detector = self.plan.probes.iter().find_map(|probe| Some((&probe.name, probe.detects?)));
        record.detection = detector.and_then(|(name, signal)| {
            let series = probes.iter().find(|series| series.name == *name)?;
            Some(detection(&series.readings, signal, watch))
        });
        record.milestones = Some(milestones::of(&record, watch, self.watch.samples(), &journal.events));
        record
    }

    /// Of the plan's own abort conditions, the first that is true of the sliding window.
    pub(super) fn abort_condition(&self, now: Duration) -> Option<Aborted> {
        let window = [Window::new(now.saturating_sub(self.plan.limits.window), now)];
        let probes = self.probes.as_ref().map(RunningProbes::series).unwrap_or_default();
        let evidence = Evidence { probes: &probes, ..self.evidence(now) };
        let findings = self
            .plan
            .limits
            .abort_when
            .iter()
            .map(|claim| Finding { measured: evidence.measure_in(&window, claim), hypothesis: claim.clone() });
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
