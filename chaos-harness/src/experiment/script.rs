//! An experiment step by step, for tests that depend on what they see.
//!
//! [`Experiment::run`](super::Experiment::run) takes the same steps in the usual order. A test takes them itself like this:
//!
//! ```no_run
//! # use chaos_harness::prelude::*;
//! # async fn example(lab: Lab, plan: chaos_harness::experiment::Plan) -> chaos_harness::Result<Verdict> {
//! let mut session = lab.start(plan).await?;
//! session.baseline().await?;
//! let fault = session.inject(link("order", "inventory").black_hole()).await?;
//! session.until("orders are answered by the fallback", 10.secs(), |seen| seen.degraded > 0).await?;
//! session.roll_back(fault).await?;
//! session.recover().await?;
//! session.judge().await
//! # }
//! ```

use std::time::Duration;

use scopeguard::ScopeGuard;

use super::addresses::BeforeLoad;
use super::plan::check_time;
use super::seen::Seen;
use super::session::{FaultHandle, Steps};
use super::{Plan, run};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::fault::Injection;
use crate::hypothesis::Verdict;
use crate::journal::{Problem, Record};
use crate::lab::Lab;

/// An experiment under way. [`judge`](Self::judge) ends it.
///
/// One that is dropped before, by `?`, a panic or an early return, is ended when its test has ended: what is in force
/// is rolled back, everything is taken away, and the journal tells why the test ended. Such a test fails.
#[derive(Debug)]
#[must_use = "an experiment that is not judged proves nothing; call `.judge().await`"]
pub struct Session {
    steps: ScopeGuard<Box<Steps>, fn(Box<Steps>)>,
}

impl Session {
    /// Checks the plan, opens the runtime, starts the targets, then the load and the probes.
    pub(crate) async fn start(lab: &Lab, plan: Plan, before_load: Option<BeforeLoad>) -> Result<Self> {
        let limit = plan.limits.duration;
        let steps = Steps::start(lab, plan, before_load).await?;
        lab.started(steps.run(), steps.deadline.at(), limit);
        Ok(Self { steps: scopeguard::guard(Box::new(steps), |steps| steps.lab.clone().dropped(*steps)) })
    }

    /// Takes the steps of the plan, and judges.
    pub(super) async fn run(mut self) -> Result<Verdict> {
        let _step = self.in_step();
        match run::take_steps(&mut self.steps).await {
            // Why it was cut off is in the verdict.
            Ok(()) | Err(Error::CutOff { .. }) => self.judge().await,
            Err(error) => {
                let reason = error.to_string();
                let why = match error.missing() {
                    Some(_) => Record::NotRun(reason),
                    None => Record::Problem(Problem::Error { reason }),
                };
                ScopeGuard::into_inner(self.steps).abandon(why).await;
                Err(error)
            }
        }
    }

    /// What runs.
    pub fn environment(&self) -> &Environment {
        self.steps.environment()
    }

    /// Whether nothing more should be injected: the steady state did not hold, or an abort condition came true.
    pub fn is_over(&self) -> bool {
        self.steps.is_over()
    }

    /// Watches the steady state for the plan's baseline. When it does not hold, or is never watched, the verdict is
    /// inconclusive.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn baseline(&mut self) -> Result<()> {
        let _step = self.in_step();
        let done = self.steps.baseline().await;
        self.noted("the baseline was not watched to its end", done)
    }

    /// Applies a fault; returns when it holds for everything that it names.
    ///
    /// # Errors
    /// When the fault makes no sense here, the runtime cannot do it, or it could not be applied; then nothing
    /// of it is in force. [`Error::CutOff`] when the time limit passes before: what is in force by then ends with the
    /// experiment.
    pub async fn inject(&mut self, injection: Injection) -> Result<FaultHandle> {
        let _step = self.in_step();
        let done = self.steps.inject(injection).await;
        self.noted("a fault was not injected", done)
    }

    /// Waits for `length` while users are served; ends early when an abort condition comes true.
    ///
    /// # Errors
    /// When `length` is longer than any experiment, or the journal cannot be written.
    pub async fn hold(&mut self, length: Duration) -> Result<()> {
        check_time("hold", length)?;
        let _step = self.in_step();
        self.steps.hold(length).await
    }

    /// Waits until `condition` is true of what users have seen since the experiment began.
    ///
    /// # Errors
    /// [`Error::Until`] when it is not within `longest`, or an abort condition comes true before; [`PlanError::Time`](crate::experiment::PlanError::Time) when
    /// that is longer than any experiment.
    pub async fn until(&mut self, name: &str, longest: Duration, condition: impl FnMut(&Seen) -> bool) -> Result<()> {
        check_time("until", longest)?;
        let _step = self.in_step();
        let done = self.steps.until(name, longest, condition).await;
        self.noted("a condition was waited for in vain", done)
    }

    /// Measures that a fault has bitten, undoes it, and measures that its effect is gone. A failure is noted in
    /// the journal and fails the test, whatever the verdict.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn roll_back(&mut self, fault: FaultHandle) -> Result<()> {
        let _step = self.in_step();
        self.steps.roll_back(fault).await
    }

    /// Waits until the steady state is back and holds, at most for the plan's recovery time.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn recover(&mut self) -> Result<()> {
        let _step = self.in_step();
        self.steps.recover().await
    }

    /// Ends the experiment: rolls back what is still in force, stops the load, judges, takes everything away
    /// and completes the journal. What is under way when the time limit passes is cut off, and the verdict is aborted.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn judge(self) -> Result<Verdict> {
        let _step = self.in_step();
        ScopeGuard::into_inner(self.steps).judge().await
    }

    /// Until the guard is dropped, the test is not busy with something else.
    fn in_step(&self) -> impl Drop + Send + use<> {
        self.steps.lab.in_step(self.steps.run())
    }

    /// Notes in the journal that a step failed, since a test may go on after that.
    fn noted<T>(&mut self, what: &str, done: Result<T>) -> Result<T> {
        match &done {
            // Where the journal is what failed, there is nowhere to note it.
            Err(Error::Journal(_)) | Ok(_) => {}
            Err(error) => self.steps.note(format!("{what}: {error}"))?,
        }
        done
    }
}
