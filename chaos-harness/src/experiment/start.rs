//! Preflight and start: from a plan to a session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::addresses::BeforeLoad;
use super::deadline::Deadline;
use super::external::External;
use super::log::Log;
use super::preflight::{self, Opened};
use super::session::Steps;
use super::steady::SteadyState;
use super::traffic::TrafficWatch;
use super::watch::Watch;
use super::{Addresses, Plan};
use crate::clock::Clock;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::hypothesis::{Aborted, Finding, Hypothesis, Measured, Unmeasured};
use crate::journal::{Phase, Problem, Record, What};
use crate::lab::Lab;
use crate::load::Generator;
use crate::load::probe::RunningProbes;
use crate::progress::Progress;
use crate::runtime::Runtime;

impl Steps {
    /// Checks the plan, opens the runtime, starts the targets, then the load and the probes.
    pub(crate) async fn start(lab: &Lab, mut plan: Plan, before_load: Option<BeforeLoad>) -> Result<Self> {
        plan.complete();
        plan.validate()?;
        plan.name = lab.unique_name(&plan.name);
        let progress = Progress::new(&plan.name);
        let clock = Clock::start();
        let deadline = Deadline::new(clock, plan.limits.duration);
        let opened = deadline.within(preflight::open(lab, &plan, clock)).await;
        let Opened { runtime, mut log } = opened.map_err(never_started)??;
        progress.step("start", &preflight::describe(&plan, log.journal()));
        log.event(What::Phase { phase: Phase::Start })?;
        let traffic = TrafficWatch::new(clock.now());
        let started = deadline.within(start_all(&plan, clock, &runtime, before_load)).await;
        match started.map_err(never_started).flatten() {
            Ok(Started { environment, watch, probes, load_from }) => Ok(Self {
                load_from,
                steady: SteadyState::of(&plan),
                blind: unmeasured(&plan.limits.abort_when),
                lab: lab.clone(),
                plan,
                clock,
                deadline,
                log,
                runtime,
                environment,
                watch,
                traffic,
                probes,
                active: Vec::new(),
                repetition: 1,
                not_steady: None,
                aborted: None,
                ways: Vec::new(),
                external: External::since(load_from),
                progress,
            }),
            Err(error) => Err(give_up(lab, log, &runtime, error).await),
        }
    }
}

fn never_started(condition: Aborted) -> Error {
    match condition {
        Aborted::TimeLimit { limit } => Error::StartTook { limit },
        _ => Error::Halted,
    }
}

/// Nothing has been looked at yet.
fn unmeasured(conditions: &[Hypothesis]) -> BTreeMap<usize, Finding> {
    let finding = |hypothesis: &Hypothesis| {
        let measured = Measured::Nothing { reason: Unmeasured::NotReached };
        Finding { hypothesis: hypothesis.clone(), measured }
    };
    conditions.iter().map(finding).enumerate().collect()
}

struct Started {
    environment: Environment,
    watch: Watch,
    probes: Option<RunningProbes>,
    load_from: Duration,
}

async fn start_all(
    plan: &Plan,
    clock: Clock,
    runtime: &Arc<dyn Runtime>,
    before_load: Option<BeforeLoad>,
) -> Result<Started> {
    let changes = runtime.changes();
    let environment = Environment::start(&plan.topology, runtime.clone(), plan.seed).await?;
    if let Some(doing) = before_load {
        doing(Addresses::of(&plan.topology, &environment)).await?;
    }
    let resolve = |service: &str| environment.address(service);
    // Before the first reading and the first request, which are part of the baseline.
    let load_from = clock.now();
    let probing = !plan.probes.is_empty();
    let probes = probing.then(|| RunningProbes::start(&plan.probes, clock, resolve)).transpose()?;
    let load = plan.load.as_ref().map(|load| Generator::start(load, clock, plan.seed, resolve)).transpose()?;
    Ok(Started { watch: Watch::new(load, clock, changes, &plan.limits), environment, probes, load_from })
}

/// Takes away what was started, completes the journal with the reason, and gives it back.
async fn give_up(lab: &Lab, mut log: Log, runtime: &Arc<dyn Runtime>, error: Error) -> Error {
    let left = runtime.destroy().await.err();
    let complete = || {
        log.add(match error.missing() {
            Some(missing) if !missing.is_demanded() => Record::NotRun(error.to_string()),
            _ => Record::Problem(Problem::Error { reason: error.to_string() }),
        })?;
        left.map_or(Ok(()), |left| log.add(Record::Problem(Problem::LeftBehind { what: left.to_string() })))
    };
    if let Err(second) = complete() {
        tracing::error!(%second, "the journal of a failed start is not whole");
    }
    lab.finished(log.complete());
    error
}
