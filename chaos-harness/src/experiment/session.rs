//! The steps of an experiment, each journalled as it is taken: what [`Session`](super::Session) hands out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::deadline::Deadline;
use super::external::External;
use super::log::Log;
use super::seen::Seen;
use super::steady::SteadyState;
use super::traffic::TrafficWatch;
use super::watch::Watch;
use super::{Plan, observation, preflight};
use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::fault::{Fault, FaultKind, Injected, Injection};
use crate::hypothesis::{Aborted, Finding, Verdict};
use crate::journal::{InjectionRecord, Phase, Problem, Record, What};
use crate::lab::Lab;
use crate::link::LinkName;
use crate::load::probe::RunningProbes;
use crate::progress::Progress;
use crate::runtime::{Change, Runtime, RuntimeError, Status};
use crate::safety::guard;
use crate::topology::USERS;

/// How often the watch looks at new samples.
pub(super) const TICK: Duration = Duration::from_millis(50);
/// How many lines of each instance's log the journal keeps.
const LOG_LINES: usize = 50;
/// How long it may take to read the logs of all instances.
const LOGS_WITHIN: Duration = Duration::from_secs(30);

/// The state of an experiment under way. [`judge`](Self::judge) or [`abandon`](Self::abandon) ends it.
#[derive(Debug)]
pub(crate) struct Steps {
    pub(super) lab: Lab,
    pub(super) plan: Plan,
    pub(super) clock: Clock,
    pub(super) deadline: Deadline,
    pub(super) log: Log,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) environment: Environment,
    pub(super) watch: Watch,
    pub(super) traffic: TrafficWatch,
    pub(super) probes: Option<RunningProbes>,
    pub(super) steady: SteadyState,
    pub(super) active: Vec<Active>,
    pub(super) load_from: Duration,
    pub(super) repetition: u32,
    pub(super) not_steady: Option<Vec<Finding>>,
    pub(super) aborted: Option<Aborted>,
    /// The plan's own abort conditions that have not been measured yet, as last looked at.
    pub(super) blind: BTreeMap<usize, Finding>,
    /// Of each injection, the links by which requests can have come to what it hit.
    pub(super) ways: Vec<Vec<LinkName>>,
    /// Who changes what, besides the faults.
    pub(super) external: External,
    pub(super) progress: Progress,
}

/// A fault in force. Give it back to [`Session::roll_back`](super::Session::roll_back); one that is kept until
/// [`Session::judge`](super::Session::judge) is rolled back there.
#[derive(Debug)]
#[must_use = "the fault stays in force until it is rolled back; pass this to `Session::roll_back`"]
pub struct FaultHandle(pub(super) usize);

pub(super) struct Active {
    pub(super) index: usize,
    /// Its number among those that account for changes.
    pub(super) number: usize,
    pub(super) fault: Fault,
    pub(super) injected: Box<dyn Injected>,
}

impl std::fmt::Debug for Active {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Active").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Steps {
    /// What runs.
    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Whether nothing more should be injected: the steady state did not hold, or an abort condition came true.
    pub(super) fn is_over(&self) -> bool {
        self.aborted.is_some() || self.not_steady.is_some()
    }

    /// Watches the steady state for the plan's baseline. When it does not hold, the verdict will be inconclusive.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(super) async fn baseline(&mut self) -> Result<()> {
        self.phase(Phase::Baseline, "watching the steady state")?;
        self.hold(self.plan.timing.baseline).await?;
        let findings = self.measure_baseline()?;
        let failed: Vec<Finding> = findings.iter().filter(|finding| finding.holds() != Some(true)).cloned().collect();
        self.not_steady = (!failed.is_empty()).then_some(failed);
        self.log.add(Record::SteadyState(findings))
    }

    /// Applies a fault; returns when it holds for everything that it names.
    ///
    /// # Errors
    /// When the fault makes no sense here, the runtime cannot do it, or it could not be applied; then nothing
    /// of it is in force.
    pub(super) async fn inject(&mut self, injection: Injection) -> Result<FaultHandle> {
        injection.validate(&self.plan.topology)?;
        preflight::check_capabilities(&injection.fault, self.runtime.as_ref())?;
        preflight::check_radius(&self.plan, self.active.iter().map(|active| &active.fault), &injection.fault)?;
        let index = self.log.journal().injections.len();
        let planned = self.plan.injections.iter().position(|planned| *planned == injection);
        self.phase(Phase::Inject, &injection.fault.to_string())?;
        // What is not noted is found by its labels, and that takes a guard as well.
        guard::ensure().map_err(RuntimeError::from)?;
        let began = self.clock.now();
        let number = self.external.begin(&injection.fault, began);
        let injected = match self.deadline.within(injection.fault.inject(&self.environment)).await {
            Ok(Ok(injected)) => injected,
            Ok(Err(error)) => {
                self.external.end(number, self.clock.now());
                return Err(error.into());
            }
            Err(condition) => {
                self.abort(condition.clone())?;
                return Err(Error::CutOff {
                    step: format!("`{}` was being injected", injection.fault),
                    condition: condition.into(),
                });
            }
        };
        let record = InjectionRecord {
            planned: planned.unwrap_or(index),
            repetition: self.repetition,
            fault: injection.fault.to_string(),
            mechanism: injected.mechanism(),
            links: self.links_of(&injection),
            reached: None,
            began,
            applied: self.clock.now(),
            rolled_back: None,
            bite: None,
            gone: None,
            recovery: None,
            outages: None,
            detection: None,
            milestones: None,
        };
        self.ways.push(self.ways_of(&injection.fault));
        self.active.push(Active { index, number, fault: injection.fault, injected });
        self.log.add(Record::Injection { index, record: Box::new(record) })?;
        self.edge(What::Injected { injection: index })?;
        Ok(FaultHandle(index))
    }

    /// The links that a fault is on: the one that it names, or every link to a service that it names.
    fn links_of(&self, injection: &Injection) -> Vec<LinkName> {
        if let Some(link) = injection.fault.link() {
            return vec![link];
        }
        let services = injection.fault.services();
        let mut callers: Vec<&str> = vec![USERS];
        callers.extend(self.plan.topology.services.keys().map(String::as_str));
        let links = callers.iter().flat_map(|caller| services.iter().map(|callee| (*caller, *callee)));
        let exist = links.filter(|(caller, callee)| self.plan.topology.has_link(caller, callee));
        exist.map(|(caller, callee)| LinkName::new(caller, callee)).collect()
    }

    /// The links by which requests come to what a fault is on, or go on from there.
    fn ways_of(&self, fault: &Fault) -> Vec<LinkName> {
        if let Some(link) = fault.link() {
            return vec![link];
        }
        let services = fault.services();
        let declared = self.plan.topology.links.iter().map(|link| LinkName::new(&link.caller, &link.callee));
        let of_users = self.plan.topology.services.keys().map(|service| LinkName::new(USERS, service));
        let touches = |link: &LinkName| {
            services.iter().any(|service| [&link.caller, &link.callee].contains(&&(*service).to_owned()))
        };
        declared.chain(of_users).filter(touches).collect()
    }

    /// Waits for `length` while users are served; ends early when an abort condition comes true.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(super) async fn hold(&mut self, length: Duration) -> Result<()> {
        let end = self.deadline.end_of(length);
        while self.aborted.is_none() && Instant::now() < end {
            tokio::time::sleep_until(end.min(Instant::now() + TICK)).await;
            self.look()?;
            self.progress.tick(end.saturating_duration_since(Instant::now()), self.watch.samples());
        }
        // After an abort nothing is waited for, and a script that holds in a loop must not keep out what ends it.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Waits until `condition` is true of what users and probes have seen since the experiment began.
    ///
    /// # Errors
    /// [`Error::Until`] when it is not within `longest`.
    pub(super) async fn until(
        &mut self,
        name: &str,
        longest: Duration,
        mut condition: impl FnMut(&Seen) -> bool,
    ) -> Result<()> {
        let end = self.deadline.end_of(longest);
        loop {
            self.look()?;
            let seen = Seen::of(self.watch.samples(), self.probes.as_ref());
            if condition(&seen) {
                return Ok(());
            }
            if Instant::now() >= end || self.aborted.is_some() {
                let aborted = self.aborted.as_ref().map(ToString::to_string);
                return Err(Error::Until { condition: name.to_owned(), within: longest, seen, aborted });
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Ends the experiment: rolls back what is still in force, waits until no outage is under way, stops the load,
    /// judges, takes everything away and completes the journal. What is under way when the time limit passes is cut off.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(super) async fn judge(mut self) -> Result<Verdict> {
        self.roll_back_all().await?;
        self.settle_again().await?;
        self.end_in_time()?;
        let load_to = self.clock.now();
        self.phase(Phase::Judge, "waiting for the last answers")?;
        self.stop_measuring().await?;
        self.end_in_time()?;
        self.measure_injections(load_to)?;
        let (findings, verdict) = self.measure_hypotheses(load_to);
        self.log.add(Record::Findings(findings))?;
        self.log.add(Record::Verdict(verdict.clone()))?;
        let seen = observation::write(self.log.journal(), self.watch.samples());
        self.log.add(Record::Observation(seen))?;
        self.tear_down().await?;
        Ok(verdict)
    }

    /// Ends an experiment that cannot go on; the record says why.
    pub(crate) async fn abandon(mut self, why: Record) {
        let end = async {
            // First, so that the journal tells it even if the rest cannot be done.
            self.log.add(why)?;
            self.roll_back_all().await?;
            let load_to = self.clock.now();
            self.stop_measuring().await?;
            self.measure_injections(load_to)?;
            if let Some(condition) = self.aborted.clone() {
                self.log.add(Record::Verdict(Verdict::Aborted { condition }))?;
            }
            self.tear_down().await
        };
        if let Err(second) = end.await {
            tracing::error!(%second, "an experiment that failed could not be ended");
        }
    }

    /// The run that the journal is of.
    pub(super) fn run(&self) -> &str {
        &self.log.journal().run
    }

    /// Something worth telling.
    pub(super) fn note(&mut self, text: String) -> Result<()> {
        self.log.event(What::Note { text })
    }

    /// Aborts an experiment that is over its time limit, or was halted.
    fn end_in_time(&mut self) -> Result<()> {
        match self.deadline.reached() {
            Some(condition) if self.aborted.is_none() => self.abort(condition),
            _ => Ok(()),
        }
    }

    fn abort(&mut self, condition: Aborted) -> Result<()> {
        self.log.event(What::Aborting { condition: condition.to_string() })?;
        self.aborted = Some(condition);
        Ok(())
    }

    /// Stops the load and the probes, and records what they saw. What has no answer by the deadline is cut off.
    async fn stop_measuring(&mut self) -> Result<()> {
        let deadline = self.deadline;
        let over = || async move { drop(deadline.passed().await) };
        let report = self.watch.stop_load(over()).await;
        let probes = match self.probes.take() {
            Some(probes) => probes.stop_unless(over()).await,
            None => Vec::new(),
        };
        self.log.add(Record::Probes(probes))?;
        if let Some(report) = report {
            self.log.add(Record::Generator(report))?;
        }
        self.log.add(Record::AllSamples(self.watch.columns()))
    }

    async fn tear_down(mut self) -> Result<()> {
        let logs = tokio::time::timeout_at(self.deadline.end_of(LOGS_WITHIN), self.environment.logs(LOG_LINES)).await;
        self.log.add(Record::Logs(logs.unwrap_or_default()))?;
        self.phase(Phase::TearDown, "taking everything away")?;
        self.look()?;
        if let Err(error) = self.environment.destroy().await {
            self.log.add(Record::Problem(Problem::LeftBehind { what: error.to_string() }))?;
        }
        let journal = self.log.complete();
        self.progress.finish(&journal);
        self.lab.finished(journal);
        Ok(())
    }

    pub(super) fn phase(&mut self, phase: Phase, detail: &str) -> Result<()> {
        self.progress.step(&phase.to_string(), detail);
        self.edge(What::Phase { phase })
    }

    /// Something happens now, and what the links count is told apart by it.
    pub(super) fn edge(&mut self, what: What) -> Result<()> {
        let now = self.clock.now();
        self.read_traffic(now)?;
        self.log.event_at(now, what)
    }

    /// Journals what the links have counted since they were last read.
    fn read_traffic(&mut self, now: Duration) -> Result<()> {
        let interval = self.traffic.read(now, self.environment.counters());
        self.log.add(Record::Traffic(interval))
    }

    /// Takes in what has happened since the last look: samples, changes of instances, abort conditions.
    pub(super) fn look(&mut self) -> Result<()> {
        let seen = self.watch.look(self.clock, &self.plan.limits);
        if let Some(columns) = seen.columns {
            self.log.append(&Record::Samples(columns))?;
        }
        let now = self.clock.now();
        if self.traffic.is_due(now) {
            self.read_traffic(now)?;
        }
        for Change { id, at, status } in seen.changes {
            let (at, held_down) = (self.clock.at(at), self.environment.held_down().contains(&id));
            let told = self.external.told(at, &id, &status, held_down);
            let Status { state, restarts, .. } = status;
            self.log.event_at(at, What::Instance { instance: id, state, restarts })?;
            told.map_or(Ok(()), |text| self.log.event_at(at, What::Note { text }))?;
        }
        if self.aborted.is_none()
            && let Some(condition) = seen.abort.or_else(|| self.abort_condition(now))
        {
            self.abort(condition)?;
        }
        Ok(())
    }
}
