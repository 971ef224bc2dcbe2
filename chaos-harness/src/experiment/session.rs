//! The steps of an experiment, each journalled as it is taken.
//!
//! [`run`](super::run) takes them in the usual order; a test that depends on what it sees takes them itself:
//!
//! ```no_run
//! # use std::time::Duration;
//! # use chaos_harness::prelude::*;
//! # async fn example(lab: Lab, plan: chaos_harness::experiment::Plan) -> chaos_harness::Result<Verdict> {
//! let mut session = lab.start(plan).await?;
//! session.baseline().await?;
//! let fault = session.inject(link("order", "inventory").black_hole()).await?;
//! session.until("orders are answered by the fallback", Duration::from_secs(10), |seen| seen.degraded > 0).await?;
//! session.roll_back(fault).await?;
//! session.recover().await?;
//! session.judge().await
//! # }
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::judge::Evidence;
use super::steady::SteadyState;
use super::watch::Watch;
use super::{Plan, milestones, observation};
use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::fault::{FaultError, FaultKind, Injected, Injection};
use crate::hypothesis::{Aborted, Finding, Inconclusive, Verdict};
use crate::journal::{Event, InjectionRecord, Phase, Problem, Record, What, Writer};
use crate::lab::Lab;
use crate::load::Generator;
use crate::load::probe::RunningProbes;
use crate::measure::{Recovery, Series, Tally, Window, detection};
use crate::progress::Progress;
use crate::runtime::Runtime;

/// How often the watch looks at new samples.
pub(super) const TICK: Duration = Duration::from_millis(50);
/// How many lines of each instance's log the journal keeps.
const LOG_LINES: usize = 50;

/// An experiment under way. [`judge`](Self::judge) ends it; dropping it takes its environment away and leaves
/// a journal that says `interrupted`.
#[derive(Debug)]
#[must_use = "an experiment that is not judged proves nothing; call `.judge().await`"]
pub struct Session {
    lab: Lab,
    plan: Plan,
    clock: Clock,
    writer: Writer,
    runtime: Arc<dyn Runtime>,
    environment: Environment,
    watch: Watch,
    probes: Option<RunningProbes>,
    steady: SteadyState,
    active: Vec<Active>,
    load_from: Duration,
    repetition: u32,
    not_steady: Option<Vec<Finding>>,
    aborted: Option<Aborted>,
    progress: Progress,
}

/// A fault in force. Give it back to [`Session::roll_back`]; one that is kept until
/// [`Session::judge`] is rolled back there.
#[derive(Debug)]
#[must_use = "the fault stays in force until it is rolled back; pass this to `Session::roll_back`"]
pub struct FaultHandle(usize);

struct Active {
    index: usize,
    injected: Box<dyn Injected>,
}

impl std::fmt::Debug for Active {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Active").field("index", &self.index).finish_non_exhaustive()
    }
}

/// What users have seen so far, for conditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Answers as they should be.
    pub good: u64,
    /// Answers from a fallback.
    pub degraded: u64,
    /// Failures.
    pub failed: u64,
}

impl Session {
    /// Preflight and start: checks the plan, opens the runtime, starts the targets, the load and the probes.
    pub(crate) async fn start(lab: &Lab, plan: Plan) -> Result<Self> {
        plan.validate()?;
        let progress = Progress::new(&plan.name);
        let clock = Clock::start();
        let opened = super::preflight::open(lab, &plan, clock).await?;
        let super::preflight::Opened { runtime, mut writer } = opened;
        progress.step("starting", &super::preflight::describe(&plan, writer.journal()));
        note(&mut writer, clock, What::Phase { phase: Phase::Start })?;
        let started = Self::start_environment(lab, &plan, clock, &runtime).await;
        let (environment, watch, probes) = match started {
            Ok(started) => started,
            Err(error) => return Err(give_up(lab, writer, &runtime, clock, error).await),
        };
        let steady = SteadyState::of(&plan);
        Ok(Self {
            load_from: clock.now(),
            lab: lab.clone(),
            plan,
            clock,
            writer,
            runtime,
            environment,
            watch,
            probes,
            steady,
            active: Vec::new(),
            repetition: 1,
            not_steady: None,
            aborted: None,
            progress,
        })
    }

    async fn start_environment(
        lab: &Lab,
        plan: &Plan,
        clock: Clock,
        runtime: &Arc<dyn Runtime>,
    ) -> Result<(Environment, Watch, Option<RunningProbes>)> {
        let changes = runtime.changes();
        let environment = Environment::start(&plan.topology, runtime.clone(), lab.seed()).await?;
        let resolve = |service: &str| environment.address(service);
        let load = plan.load.as_ref().map(|load| Generator::start(load, clock, plan.seed, resolve)).transpose()?;
        let probes =
            if plan.probes.is_empty() { None } else { Some(RunningProbes::start(&plan.probes, clock, resolve)?) };
        Ok((environment, Watch::new(load, changes, &plan.limits), probes))
    }

    /// What runs.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Watches the steady state for the plan's baseline. When it does not hold, faults are no longer
    /// injected and the verdict will be inconclusive.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn baseline(&mut self) -> Result<()> {
        self.phase(Phase::Baseline, "watching the steady state").await?;
        self.hold(self.plan.timing.baseline).await?;
        let findings = self.evidence(|evidence| evidence.findings(&baseline_claims(&evidence.plan.steady_state)));
        if findings.iter().any(|finding| finding.holds() != Some(true)) {
            let failed = findings.iter().filter(|finding| finding.holds() != Some(true)).cloned();
            self.not_steady = Some(failed.collect());
        }
        self.record(Record::SteadyState(findings))
    }

    /// Applies a fault; returns when it holds for everything that it names.
    ///
    /// # Errors
    /// When the fault makes no sense here, the runtime cannot do it, or it could not be applied; then nothing
    /// of it is in force.
    pub async fn inject(&mut self, injection: Injection) -> Result<FaultHandle> {
        injection.validate(&self.plan.topology)?;
        super::preflight::check_capabilities(&injection, self.runtime.as_ref())?;
        let planned = self.plan.injections.iter().position(|planned| *planned == injection);
        self.phase(Phase::Inject, &injection.fault.to_string()).await?;
        let injected = injection.fault.inject(&self.environment).await?;
        let index = self.writer.journal().injections.len();
        let record = InjectionRecord {
            planned: planned.unwrap_or(index),
            repetition: self.repetition,
            fault: injection.fault.to_string(),
            mechanism: injected.mechanism(),
            applied: self.clock.now(),
            rolled_back: None,
            bite: None,
            gone: None,
            recovery: None,
            detection: None,
            milestones: None,
        };
        self.active.push(Active { index, injected });
        self.record(Record::Injection { index, record: Box::new(record) })?;
        self.event(What::Injected { injection: index })?;
        Ok(FaultHandle(index))
    }

    /// Waits for `length` while users are served; ends early when an abort condition comes true.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn hold(&mut self, length: Duration) -> Result<()> {
        let end = Instant::now() + length;
        while self.aborted.is_none() && Instant::now() < end {
            tokio::time::sleep_until(end.min(Instant::now() + TICK)).await;
            self.look()?;
            self.progress.tick(end.saturating_duration_since(Instant::now()), self.watch.samples());
        }
        Ok(())
    }

    /// Waits until `condition` is true of what users have seen since the experiment began.
    ///
    /// # Errors
    /// [`Error::Until`] when it is not within `longest`.
    pub async fn until(
        &mut self,
        name: &str,
        longest: Duration,
        mut condition: impl FnMut(&Seen) -> bool,
    ) -> Result<()> {
        let end = Instant::now() + longest;
        loop {
            self.look()?;
            let tally = Tally::of(self.watch.samples());
            if condition(&Seen { good: tally.good, degraded: tally.degraded, failed: tally.failed() }) {
                return Ok(());
            }
            if Instant::now() >= end || self.aborted.is_some() {
                return Err(Error::Until { condition: name.to_owned(), within: longest });
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Measures that a fault has bitten, undoes it, and measures that its effect is gone. A failure is noted in
    /// the journal and fails the test, whatever the verdict.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn roll_back(&mut self, fault: FaultHandle) -> Result<()> {
        let Some(position) = self.active.iter().position(|active| active.index == fault.0) else {
            return Ok(());
        };
        let Active { index, mut injected } = self.active.remove(position);
        let mut record = self.writer.journal().injections[index].clone();
        self.phase(Phase::RollBack, &record.fault).await?;
        record.bite = Some(injected.attest(&self.environment).await);
        if let Err(error) = injected.roll_back(&self.environment).await {
            self.problem(&record.fault, error)?;
        }
        record.rolled_back = Some(self.clock.now());
        let gone = injected.attest_gone(&self.environment).await;
        if !gone.shown {
            let problem = Problem::RollbackFailed { fault: record.fault.clone(), reason: gone.looked_at.clone() };
            self.record(Record::Problem(problem))?;
        }
        record.gone = Some(gone);
        self.record(Record::Injection { index, record: Box::new(record) })?;
        self.event(What::RolledBack { injection: index })
    }

    /// Waits until the steady state is back and holds, at most for the plan's recovery time.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn recover(&mut self) -> Result<()> {
        self.phase(Phase::Recover, "waiting for the steady state").await?;
        let end = Instant::now() + self.plan.timing.recovery;
        while self.aborted.is_none() {
            self.look()?;
            if self.is_steady_again() {
                self.event(What::Steady)?;
                break;
            }
            if Instant::now() >= end {
                break;
            }
            self.progress.tick(end.saturating_duration_since(Instant::now()), self.watch.samples());
            tokio::time::sleep(TICK).await;
        }
        self.measure_injections(self.clock.now())?;
        self.repetition += 1;
        Ok(())
    }

    /// Whether every injection of this repetition is over, and the steady state has held since for long enough.
    fn is_steady_again(&self) -> bool {
        let now = self.clock.now();
        let mut of_repetition = self.writer.journal().injections.iter().filter(|i| i.repetition == self.repetition);
        of_repetition.all(|injection| {
            let watch = Window::new(injection.applied, now);
            let undone = injection.rolled_back.unwrap_or(now);
            match self.steady.recovery(self.watch.samples(), watch) {
                Recovery::NoImpact => now >= undone + self.steady.hold(),
                Recovery::Recovered { steady, .. } => now >= undone.max(steady) + self.steady.hold(),
                Recovery::NotRecovered { .. } => false,
            }
        })
    }

    /// Ends the experiment: rolls back what is still in force, stops the load, judges, takes everything away
    /// and completes the journal.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn judge(mut self) -> Result<Verdict> {
        while let Some(active) = self.active.last() {
            self.roll_back(FaultHandle(active.index)).await?;
        }
        let load_to = self.clock.now();
        self.phase(Phase::Judge, "waiting for the last answers").await?;
        let report = self.watch.stop_load().await;
        let probes = match self.probes.take() {
            Some(probes) => probes.stop().await,
            None => Vec::new(),
        };
        self.record(Record::Probes(probes))?;
        if let Some(report) = report {
            self.record(Record::Generator(report))?;
        }
        self.record(Record::AllSamples(self.watch.columns()))?;
        self.measure_injections(load_to)?;
        let hypotheses = self.plan.hypotheses.clone();
        let findings = self.evidence_until(load_to, |evidence| evidence.findings(&hypotheses));
        let verdict = self.verdict(&findings, load_to);
        self.record(Record::Findings(findings))?;
        self.record(Record::Verdict(verdict.clone()))?;
        self.record(Record::Observation(observation::write(self.writer.journal(), self.watch.samples())))?;
        self.tear_down().await?;
        Ok(verdict)
    }

    fn verdict(&self, findings: &[Finding], load_to: Duration) -> Verdict {
        if let Some(condition) = &self.aborted {
            return Verdict::Aborted { condition: condition.clone() };
        }
        if let Some(findings) = &self.not_steady {
            return Verdict::Inconclusive { reason: Inconclusive::NotSteady { findings: findings.clone() } };
        }
        self.evidence_until(load_to, |evidence| evidence.verdict(findings))
    }

    async fn tear_down(mut self) -> Result<()> {
        let logs = self.environment.logs(LOG_LINES).await;
        self.record(Record::Logs(logs))?;
        self.phase(Phase::TearDown, "taking everything away").await?;
        self.look()?;
        if let Err(error) = self.environment.destroy().await {
            self.writer.add(Record::Problem(Problem::LeftBehind { what: error.to_string() }))?;
        }
        self.writer.add(Record::End { took: self.clock.now() })?;
        let (journal, _) = self.writer.complete()?;
        self.progress.finish(&journal);
        self.lab.finished(journal);
        Ok(())
    }

    /// Whether nothing more should be injected: the steady state did not hold, or an abort condition came true.
    pub fn is_over(&self) -> bool {
        self.aborted.is_some() || self.not_steady.is_some()
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Takes in what has happened since the last look: samples, changes of instances, abort conditions.
    fn look(&mut self) -> Result<()> {
        let seen = self.watch.look(self.clock, &self.plan.limits);
        if let Some(columns) = seen.columns {
            self.writer.append(&Record::Samples(columns))?;
        }
        for (at, what) in seen.changes {
            self.record(Record::Event(Event { at_us: micros(at), wall: jiff::Timestamp::now(), what }))?;
        }
        if let Some(condition) = seen.abort.filter(|_| self.aborted.is_none()) {
            self.event(What::Aborting { condition: condition.to_string() })?;
            self.aborted = Some(condition);
        }
        Ok(())
    }

    /// Measures what each injection did, as far as the samples tell. The watch on one ends where the next
    /// repetition begins.
    fn measure_injections(&mut self, until: Duration) -> Result<()> {
        let probes: Vec<Series> = match &self.probes {
            Some(running) => running.series(),
            None => self.writer.journal().probes.clone(),
        };
        let signal = self.plan.probes.iter().find_map(|probe| Some((probe.name.clone(), probe.detects?)));
        for index in 0..self.writer.journal().injections.len() {
            let injections = &self.writer.journal().injections;
            let mut record = injections[index].clone();
            let next =
                injections.iter().filter(|other| other.repetition > record.repetition).map(|other| other.applied);
            let watch = Window::new(record.applied, next.min().unwrap_or(until));
            record.recovery = Some(self.steady.recovery(self.watch.samples(), watch));
            record.detection = signal.as_ref().and_then(|(name, signal)| {
                let series = probes.iter().find(|series| series.name == *name)?;
                Some(detection(&series.readings, *signal, watch))
            });
            record.milestones =
                Some(milestones::of(&record, watch, self.watch.samples(), &self.writer.journal().events));
            self.record(Record::Injection { index, record: Box::new(record) })?;
        }
        Ok(())
    }

    fn evidence<T>(&self, use_it: impl FnOnce(&Evidence<'_>) -> T) -> T {
        self.evidence_until(self.clock.now(), use_it)
    }

    fn evidence_until<T>(&self, to: Duration, use_it: impl FnOnce(&Evidence<'_>) -> T) -> T {
        let journal = self.writer.journal();
        use_it(&Evidence {
            plan: &self.plan,
            load: Window::new(self.load_from, to),
            samples: self.watch.samples(),
            injections: &journal.injections,
            probes: &journal.probes,
            generator: journal.generator.as_ref(),
        })
    }

    fn problem(&mut self, fault: &str, error: FaultError) -> Result<()> {
        let problem = Problem::RollbackFailed { fault: fault.to_owned(), reason: error.to_string() };
        self.record(Record::Problem(problem))
    }

    pub(super) async fn phase(&mut self, phase: Phase, detail: &str) -> Result<()> {
        self.progress.step(&phase.to_string(), detail);
        self.event(What::Phase { phase })
    }

    fn event(&mut self, what: What) -> Result<()> {
        note(&mut self.writer, self.clock, what)
    }

    fn record(&mut self, record: Record) -> Result<()> {
        Ok(self.writer.add(record)?)
    }
}

/// Adds an event that happens now.
pub(super) fn note(writer: &mut Writer, clock: Clock, what: What) -> Result<()> {
    let event = Event { at_us: micros(clock.now()), wall: jiff::Timestamp::now(), what };
    Ok(writer.add(Record::Event(event))?)
}

/// Steady-state claims always speak of the baseline.
fn baseline_claims(claims: &[crate::hypothesis::Hypothesis]) -> Vec<crate::hypothesis::Hypothesis> {
    claims.iter().map(|claim| claim.clone().during(crate::hypothesis::Scope::Baseline)).collect()
}

/// Takes away what was started, completes the journal with the reason, and gives it back.
async fn give_up(lab: &Lab, mut writer: Writer, runtime: &Arc<dyn Runtime>, clock: Clock, error: Error) -> Error {
    let mut records = vec![Record::Problem(Problem::Error { reason: error.to_string() })];
    if let Err(left) = runtime.destroy().await {
        records.push(Record::Problem(Problem::LeftBehind { what: left.to_string() }));
    }
    records.push(Record::End { took: clock.now() });
    for record in records {
        if let Err(error) = writer.add(record) {
            tracing::error!(%error, "the journal could not be written");
        }
    }
    match writer.complete() {
        Ok((journal, _)) => lab.finished(journal),
        Err(error) => tracing::error!(%error, "the journal could not be completed"),
    }
    error
}

fn micros(moment: Duration) -> u64 {
    u64::try_from(moment.as_micros()).unwrap_or(u64::MAX)
}
