//! How a test writes an experiment.

use std::time::Duration;

use futures::FutureExt;

use super::addresses::BeforeLoad;
use super::{Addresses, Expectation, Plan, run};
use crate::error::{Error, Result};
use crate::fault::Injection;
use crate::hypothesis::{Hypothesis, Verdict};
use crate::lab::Lab;
use crate::load::Load;
use crate::load::probe::Probe;
use crate::safety::BlastRadius;
use crate::topology::Topology;

/// An experiment that is being written; [`run`](Self::run) carries it out.
#[must_use = "an experiment does nothing until `.run().await`"]
pub struct Experiment {
    lab: Lab,
    plan: Plan,
    before_load: Option<BeforeLoad>,
}

impl std::fmt::Debug for Experiment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Experiment").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Experiment {
    pub(crate) fn new(lab: Lab, topology: Topology) -> Self {
        let plan = Plan::new(lab.test_name(), lab.seed(), topology);
        Self { lab, plan, before_load: None }
    }

    /// Names it, where a test runs several: `name` is appended to the test's name.
    pub fn named(mut self, name: &str) -> Self {
        self.plan.name = format!("{}.{name}", self.lab.test_name());
        self
    }

    /// Does something when the targets are up, before the load begins: fills a store, opens a client of the test's own.
    /// It is given the addresses of the services; what it fails with fails the experiment. A dry run leaves it out.
    ///
    /// ```no_run
    /// # use chaos_harness::prelude::*;
    /// # async fn example(lab: Lab, shop: Topology) -> chaos_harness::Result<Verdict> {
    /// lab.experiment(shop)
    ///     .before_load(|addresses| async move {
    ///         let store = addresses.get("store").ok_or("there is no store")?;
    ///         tokio::net::TcpStream::connect(store).await?;
    ///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    ///     })
    ///     .load(Load::get("gateway", "/catalog"))
    ///     .inject(target("store").kill())
    ///     .run()
    ///     .await
    /// # }
    /// ```
    pub fn before_load<F, Doing, E>(mut self, doing: F) -> Self
    where
        F: FnOnce(Addresses) -> Doing + Send + 'static,
        Doing: Future<Output = std::result::Result<(), E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let doing =
            |addresses| async move { doing(addresses).await.map_err(|error| Error::Other(error.into())) }.boxed();
        self.before_load = Some(Box::new(doing));
        self
    }

    /// What users send, from the baseline to the end.
    pub fn load(mut self, load: Load) -> Self {
        self.plan.load = Some(load);
        self
    }

    /// Watches something on the side.
    pub fn probe(mut self, probe: Probe) -> Self {
        self.plan.probes.push(probe);
        self
    }

    /// What holds when all is well. Without any, and with a load: `availability > 99%`.
    pub fn steady_state(mut self, claim: Hypothesis) -> Self {
        self.plan.steady_state.push(claim);
        self
    }

    /// A fault. Several are applied together unless they are given an offset with [`Injection::after`].
    pub fn inject(mut self, injection: Injection) -> Self {
        self.plan.injections.push(injection);
        self
    }

    /// What is claimed.
    pub fn hypothesis(mut self, claim: Hypothesis) -> Self {
        self.plan.hypotheses.push(claim);
        self
    }

    /// Makes it a twin: `without` names the protecting pattern that is switched off, and the report and the gate
    /// expect the hypotheses to be refuted. The verdict is returned as it is: assert that it is refuted, and why.
    pub fn twin_without(mut self, without: &str) -> Self {
        self.plan.expectation = Expectation::Refuted { without: without.to_owned() };
        self.named(&format!("without-{}", without.replace(' ', "-")))
    }

    /// How long the steady state is watched before the first fault; 3 s by default.
    pub fn baseline(mut self, length: Duration) -> Self {
        self.plan.timing.baseline = length;
        self
    }

    /// How long recovery is waited for after the last rollback; 30 s by default.
    pub fn recovery_within(mut self, longest: Duration) -> Self {
        self.plan.timing.recovery = longest;
        self
    }

    /// Repeats the faults, each time after the recovery from the time before. Means over the repetitions are
    /// judged by the worse end of their 95% interval.
    pub fn repeat(mut self, times: u32) -> Self {
        self.plan.repeat = times;
        self
    }

    /// Aborts when it takes longer; at most, and by default, 30 minutes.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.plan.limits.duration = limit;
        self
    }

    /// Allows faults of this blast radius; `service_cluster` by default.
    pub fn allow(mut self, radius: BlastRadius) -> Self {
        self.plan.limits.radius = radius;
        self
    }

    /// Aborts when the error rate over the sliding window passes `share`; 50% by default, `None` for never.
    pub fn abort_above_error_rate(mut self, share: impl Into<Option<f64>>) -> Self {
        self.plan.limits.error_rate = share.into();
        self
    }

    /// Aborts when the availability over the sliding window falls under `share`; 50% by default, `None` for never.
    pub fn abort_below_availability(mut self, share: impl Into<Option<f64>>) -> Self {
        self.plan.limits.availability = share.into();
        self
    }

    /// Aborts when `condition` comes true of the last seconds, whatever part of the experiment they are in.
    ///
    /// ```
    /// # use chaos_harness::prelude::*;
    /// # fn example(experiment: chaos_harness::experiment::Experiment) -> chaos_harness::experiment::Experiment {
    /// experiment.abort_when(hypothesis!(p99("/orders") > 10s)).abort_when(hypothesis!(peak("queue") > 5000))
    /// # }
    /// ```
    pub fn abort_when(mut self, condition: Hypothesis) -> Self {
        self.plan.limits.abort_when.push(condition);
        self
    }

    /// What is believed, in words, for the report.
    pub fn belief(mut self, text: &str) -> Self {
        text.clone_into(&mut self.plan.story.hypothesis);
        self
    }

    /// What the result teaches, in words, for the report.
    pub fn learning(mut self, text: &str) -> Self {
        text.clone_into(&mut self.plan.story.learning);
        self
    }

    /// What to do about it, in words, for the report.
    pub fn improvement(mut self, text: &str) -> Self {
        text.clone_into(&mut self.plan.story.improvement);
        self
    }

    /// The plan so far: plain data, to be printed, compared or stored.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Carries it out: starts the topology, watches the steady state, applies and undoes the faults, waits for
    /// recovery, judges, takes everything away and leaves a journal.
    ///
    /// With `CHAOS_DRY_RUN=1` the plan is checked and printed, nothing is started, and the verdict is inconclusive.
    ///
    /// # Errors
    /// When the plan makes no sense or cannot conclude, or something could not be started, undone or written. A refused hypothesis
    /// is no error but a verdict.
    pub async fn run(self) -> Result<Verdict> {
        run::run(&self.lab, self.plan, self.before_load).await
    }
}
