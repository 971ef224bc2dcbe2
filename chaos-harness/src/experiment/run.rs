//! The engine: an experiment from top to bottom.

use std::time::Duration;

use super::addresses::BeforeLoad;
use super::session::{FaultHandle, Steps};
use super::{Plan, Session, dry_run};
use crate::error::Result;
use crate::hypothesis::{Inconclusive, Verdict};
use crate::journal::Phase;
use crate::lab::Lab;
use crate::progress;

/// Carries out `plan`.
pub(super) async fn run(lab: &Lab, mut plan: Plan, before_load: Option<BeforeLoad>) -> Result<Verdict> {
    plan.complete();
    plan.validate()?;
    plan.check_that_it_can_conclude()?;
    if lab.settings().dry_run {
        progress::print(&dry_run::describe(&plan));
        return Ok(Verdict::Inconclusive { reason: Inconclusive::DryRun });
    }
    Session::start(lab, plan, before_load).await?.run().await
}

pub(super) async fn take_steps(session: &mut Steps) -> Result<()> {
    session.baseline().await?;
    for _ in 0..session.plan.repeat {
        if session.is_over() || session.plan.injections.is_empty() {
            return Ok(());
        }
        inject_all(session).await?;
        session.recover().await?;
    }
    if session.is_over() { Ok(()) } else { session.hold(session.plan.timing.after).await }
}

/// Something that is due in the fault phase.
enum Due {
    Inject(usize),
    RollBack(FaultHandle),
}

/// Applies every injection at its offset and undoes it after its hold, which counts from the moment that
/// it was in force. An abort condition ends all holds.
async fn inject_all(session: &mut Steps) -> Result<()> {
    let began = session.clock.now();
    let injections = session.plan.injections.clone();
    let mut due: Vec<(Duration, Due)> =
        injections.iter().enumerate().map(|(index, injection)| (began + injection.after, Due::Inject(index))).collect();
    while let Some(next) = earliest(&due) {
        let (moment, what) = due.swap_remove(next);
        session.hold(moment.saturating_sub(session.clock.now())).await?;
        match what {
            Due::Inject(_) if session.is_over() => {}
            Due::Inject(index) => {
                let handle = session.inject(injections[index].clone()).await?;
                due.push((session.clock.now() + injections[index].hold, Due::RollBack(handle)));
                let hold = humantime::format_duration(injections[index].hold);
                session.phase(Phase::Hold, &format!("{} for {hold}", injections[index].fault))?;
            }
            Due::RollBack(handle) => session.roll_back(handle).await?,
        }
    }
    Ok(())
}

/// Of what is due, the first; rollbacks before injections at the same moment.
fn earliest(due: &[(Duration, Due)]) -> Option<usize> {
    let rank = |what: &Due| matches!(what, Due::Inject(_));
    (0..due.len()).min_by_key(|&index| (due[index].0, rank(&due[index].1)))
}
