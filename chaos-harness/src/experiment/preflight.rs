//! Before anything is started: what dead runs left is removed, the runtime is opened, the journal begun.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::log::Log;
use super::{Plan, PlanError};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::fault::{Fault, FaultError, FaultKind};
use crate::folders::undo_dir;
use crate::journal::{Journal, Phase, Record, SCHEMA_VERSION, Status, Traffic, Versions, What, Writer};
use crate::lab::Lab;
use crate::measure::SampleColumns;
use crate::replay;
use crate::runtime::{Choice, EnvironmentId, Runtime, RuntimeKind, choose};
use crate::safety::{BlastRadius, clean};
use crate::shortage;

pub(super) struct Opened {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) log: Log,
}

/// Opens the runtime and begins the journal.
pub(super) async fn open(lab: &Lab, plan: &Plan, clock: Clock) -> Result<Opened> {
    let began = clock.now();
    let cleaned = clean(&undo_dir(), false).await;
    let id = EnvironmentId::new(&plan.topology.name).with_limit(plan.limits.duration);
    let (runtime, choice) = match choose(lab.settings().runtime, &id).await {
        Err(error) if error.missing().is_some_and(|missing| !missing.is_demanded()) => {
            let choice = Choice { kind: RuntimeKind::Docker, reason: "asked for".to_owned() };
            let journal = empty_journal(lab, plan, clock, choice, "none".to_owned()).await;
            return Err(not_run(lab, journal, clock, error.into()));
        }
        other => other?,
    };
    let runtime: Arc<dyn Runtime> = Arc::from(runtime);
    lab.opened(runtime.clone());
    let journal = empty_journal(lab, plan, clock, choice, runtime.version()).await;
    for injection in &plan.injections {
        if let Err(error) = check_capabilities(&injection.fault, runtime.as_ref()) {
            return Err(not_run(lab, journal, clock, error.into()));
        }
    }
    let mut log = Log::new(Writer::begin(&lab.settings().journals, journal)?, clock);
    lab.begun(log.journal().run.clone(), log.partial_path().to_owned());
    log.event_at(began, What::Phase { phase: Phase::Preflight })?;
    let removed = cleaned.found.iter().map(|it| format!("removed {it}, left by a test process that is gone"));
    // Somebody else's leftovers must not fail this test: another run may be removing them this moment.
    let failed = cleaned.failed.iter().map(|it| format!("what dead test processes left could not be removed: {it}"));
    let raised = shortage::raise_descriptors();
    let raised = raised.map(|(before, now)| format!("this process may have {now} open files; {before} at its start"));
    let notes: Vec<String> = removed.chain(failed).chain(raised).collect();
    for text in notes {
        log.event(What::Note { text })?;
    }
    Ok(Opened { runtime, log })
}

/// Leaves a journal that says that the experiment cannot be run here, and gives the reason back.
fn not_run(lab: &Lab, journal: Journal, clock: Clock, reason: Error) -> Error {
    let write = || {
        let mut log = Log::new(Writer::begin(&lab.settings().journals, journal)?, clock);
        log.add(Record::NotRun(reason.to_string()))?;
        Ok::<_, Error>(log.complete())
    };
    match write() {
        Ok(journal) => lab.finished(journal),
        Err(second) => tracing::error!(%second, "the journal of an experiment that is not run could not be written"),
    }
    reason
}

/// Refuses a fault that the runtime or the machine cannot do, before anything is injected.
pub(super) fn check_capabilities(fault: &Fault, runtime: &dyn Runtime) -> Result<(), FaultError> {
    let missing = fault.requires().iter().find(|capability| !runtime.capabilities().contains(capability));
    if let Some(capability) = missing {
        return Err(FaultError::NotCapable {
            fault: fault.describe(),
            capability: *capability,
            runtime: runtime.kind(),
            hint: "; choose another with CHAOS_RUNTIME, or another fault",
        });
    }
    fault.check_machine()?;
    fault.members().iter().try_for_each(|member| check_capabilities(member, runtime))
}

/// Refuses a fault that, with those in force, reaches further than the plan allows.
pub(super) fn check_radius<'a>(
    plan: &Plan,
    active: impl Iterator<Item = &'a Fault>,
    next: &'a Fault,
) -> Result<(), PlanError> {
    let radius = BlastRadius::of_faults(active.chain([next]), plan.topology.services.len());
    let allowed = plan.limits.radius;
    if radius > allowed { Err(PlanError::Radius { radius, allowed }) } else { Ok(()) }
}

async fn empty_journal(lab: &Lab, plan: &Plan, clock: Clock, choice: Choice, runtime: String) -> Journal {
    let test = lab.settings().test.clone();
    let system = rustix::system::uname();
    let mut plan = plan.clone();
    super::story::fill_in(&mut plan);
    Journal {
        schema: SCHEMA_VERSION,
        run: run_name(clock),
        test_run: Some(lab.settings().test_run.clone()),
        replay: replay::command(&test, &lab.settings().again, plan.seed, choice.kind).await,
        test,
        status: Status::Running,
        started_at: clock.started_at(),
        took: None,
        versions: Versions {
            harness: env!("CARGO_PKG_VERSION").to_owned(),
            runtime,
            system: format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy()),
        },
        runtime: choice,
        routes: plan.load.iter().flat_map(|load| load.routes()).map(str::to_owned).collect(),
        plan,
        events: Vec::new(),
        injections: Vec::new(),
        samples: SampleColumns::encode(&[]),
        links: Traffic::default(),
        probes: Vec::new(),
        generator: None,
        steady_state: Vec::new(),
        findings: Vec::new(),
        verdict: None,
        not_run: None,
        problems: Vec::new(),
        logs: Default::default(),
    }
}

/// Sortable by start, and unique: clocks may be coarse, and two experiments begin at once.
fn run_name(clock: Clock) -> String {
    static BEGUN: AtomicU32 = AtomicU32::new(1);
    let number = BEGUN.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{number}", clock.started_at().as_nanosecond(), std::process::id())
}

/// One line about what is being started.
pub(super) fn describe(plan: &Plan, journal: &Journal) -> String {
    let instances = plan.topology.services.values().map(|service| service.started_ids().count());
    let instances: usize = instances.sum();
    format!("{instances} instances on {}, seed {}", journal.runtime, plan.seed)
}
