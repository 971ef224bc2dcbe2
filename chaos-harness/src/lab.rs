//! The hand that a chaos test is given.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::__private::{Failure, Outcome, TestSettings};
use crate::error::Result;
use crate::experiment::{Experiment, Plan, Session, Steps};
use crate::journal::{Journal, Record, TestRef, TestRun, Writer};
use crate::replay::Again;
use crate::runtime::{Runtime, RuntimeChoice};
use crate::topology::Topology;

/// Runs experiments for one test: knows its name, its seed and its runtime.
#[derive(Clone, Debug)]
pub struct Lab {
    settings: Arc<Settings>,
    opened: Arc<Mutex<Vec<Arc<dyn Runtime>>>>,
    begun: Arc<Mutex<BTreeMap<String, Begun>>>,
    dropped: Arc<Mutex<Vec<Steps>>>,
    finished: Arc<Mutex<Vec<Journal>>>,
    names: Arc<Mutex<BTreeSet<String>>>,
}

/// An experiment that has begun and not ended.
#[derive(Debug)]
struct Begun {
    partial: PathBuf,
    /// The end of its time limit, and that limit; known when the targets are up.
    deadline: Option<(Instant, Duration)>,
    /// Whether one of its steps is under way, which ends by itself.
    in_step: bool,
}

impl Begun {
    /// The limit, if it passed so long ago that the test cannot have noticed.
    fn overdue(&self) -> Option<Duration> {
        let (deadline, limit) = self.deadline?;
        let patience = if self.in_step { PATIENCE } else { Duration::ZERO };
        (Instant::now() > deadline + patience).then_some(limit)
    }
}

/// How long a step may take to roll back and to end after the time limit.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often that is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What a lab is made from.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) test: TestRef,
    /// The test for a command that runs it again.
    pub(crate) again: Again,
    pub(crate) seed: u64,
    pub(crate) runtime: RuntimeChoice,
    pub(crate) time_limit: Option<Duration>,
    pub(crate) dry_run: bool,
    pub(crate) journals: PathBuf,
    pub(crate) test_run: TestRun,
}

impl Lab {
    /// What `#[chaos_test]` expands to: found by the type of the lab, whatever this crate is called where it is used.
    #[doc(hidden)]
    pub fn __chaos_test<F, Body, T>(
        settings: fn(TestSettings) -> TestSettings,
        body: F,
    ) -> std::result::Result<(), Failure>
    where
        F: FnOnce(Self) -> Body,
        Body: Future<Output = T>,
        T: Outcome,
    {
        crate::test_run::run_test(settings(TestSettings::default()), body)
    }

    /// Runs experiments in a program that is no test: a nightly job, a command of your own. What holds for `#[chaos_test]` holds
    /// here: the same variables, journals and guard, and nothing is left however the program ends. `name` names it
    /// in its journals.
    ///
    /// Call it first in a plain `fn main`. The guard is the same program, started again with the same arguments, and what
    /// stands before the call is done in both.
    ///
    /// ```no_run
    /// use chaos_harness::prelude::*;
    ///
    /// fn main() -> Result<(), chaos_harness::Failure> {
    ///     Lab::run("nightly", async |lab| {
    ///         let web = Topology::new("web").service(Service::new("web").image("nginx:1").port(80));
    ///         lab.experiment(web)
    ///             .load(Load::get("web", "/"))
    ///             .inject(target("web").restart(1.secs()))
    ///             .hypothesis(hypothesis!(recovery < 10s))
    ///             .run()
    ///             .await
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    /// What would fail a test; and when it is called on another thread than the main one, or within an async runtime.
    #[track_caller]
    pub fn run<F, Body, T>(name: &str, body: F) -> std::result::Result<(), Failure>
    where
        F: FnOnce(Self) -> Body,
        Body: Future<Output = T>,
        T: Outcome,
    {
        crate::test_run::run_program(name, std::panic::Location::caller(), body)
    }

    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            opened: Arc::default(),
            begun: Arc::default(),
            dropped: Arc::default(),
            finished: Arc::default(),
            names: Arc::default(),
        }
    }

    /// An experiment on `topology`.
    pub fn experiment(&self, topology: Topology) -> Experiment {
        let experiment = Experiment::new(self.clone(), topology);
        match self.settings.time_limit {
            Some(limit) => experiment.time_limit(limit),
            None => experiment,
        }
    }

    /// Starts what `plan` names and hands over the steps, for experiments that depend on what they see.
    /// [`experiment`](Self::experiment) is made of the same steps.
    ///
    /// # Errors
    /// When the plan makes no sense, or something cannot be started.
    pub async fn start(&self, mut plan: Plan) -> Result<Session> {
        if let Some(limit) = self.settings.time_limit {
            plan.limits.duration = plan.limits.duration.min(limit);
        }
        Session::start(self, plan, None).await
    }

    /// The same lab, whose journals go into `folder` instead of [`journal_dir`](crate::folders::journal_dir):
    /// for tests whose verdicts are no news about the system, and so nothing for a gate.
    #[must_use]
    pub fn with_journals_in(mut self, folder: impl Into<PathBuf>) -> Self {
        Arc::make_mut(&mut self.settings).journals = folder.into();
        self
    }

    /// The seed that decides every random choice: `CHAOS_SEED`, the test's `seed`, or drawn.
    pub fn seed(&self) -> u64 {
        self.settings.seed
    }

    /// The name of the test.
    pub fn test_name(&self) -> &str {
        &self.settings.test.test
    }

    /// The journals of the experiments that this test has finished.
    pub fn journals(&self) -> Vec<Journal> {
        self.finished.lock().clone()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The name for the journal of an experiment: numbered when the test has used it before.
    pub(crate) fn unique_name(&self, name: &str) -> String {
        let mut names = self.names.lock();
        let numbered = (2..).map(|number| format!("{name}.{number}"));
        let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !names.contains(name));
        let free = free.unwrap_or_default();
        names.insert(free.clone());
        free
    }

    /// Notes a runtime, so that it is taken away even when the test panics.
    pub(crate) fn opened(&self, runtime: Arc<dyn Runtime>) {
        self.opened.lock().push(runtime);
    }

    /// Notes an experiment whose journal has begun, so that the journal is completed even when the test panics.
    pub(crate) fn begun(&self, run: String, partial: PathBuf) {
        self.begun.lock().insert(run, Begun { partial, deadline: None, in_step: false });
    }

    /// The targets of an experiment are up.
    pub(crate) fn started(&self, run: &str, deadline: Instant, limit: Duration) {
        if let Some(begun) = self.begun.lock().get_mut(run) {
            begun.deadline = Some((deadline, limit));
        }
    }

    /// A step of an experiment is under way until the guard is dropped.
    pub(crate) fn in_step(&self, run: &str) -> impl Drop + Send + use<> {
        let set = |lab: &Self, run: &str, in_step| {
            lab.begun.lock().get_mut(run).into_iter().for_each(|begun| begun.in_step = in_step);
        };
        set(self, run, true);
        scopeguard::guard((self.clone(), run.to_owned()), move |(lab, run)| set(&lab, &run, false))
    }

    pub(crate) fn finished(&self, journal: Journal) {
        self.begun.lock().remove(&journal.run);
        self.finished.lock().push(journal);
    }

    /// Takes over an experiment that was dropped before it was judged.
    pub(crate) fn dropped(&self, steps: Steps) {
        self.dropped.lock().push(steps);
    }

    /// Ends when an experiment is over its time limit and the test does not notice, being busy with something else.
    pub(crate) async fn overdue(&self) -> Duration {
        loop {
            let over = self.begun.lock().values().find_map(Begun::overdue);
            if let Some(limit) = over {
                return limit;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Ends the experiments that the test has begun and not ended, because of this.
    pub(crate) async fn end_unfinished(&self, why: &Record) {
        loop {
            let Some(steps) = self.dropped.lock().pop() else { break };
            steps.abandon(why.clone()).await;
        }
        // Of what was dropped while it started or ended, only the journal is left.
        let begun = std::mem::take(&mut *self.begun.lock());
        for Begun { partial, .. } in begun.into_values() {
            match Writer::complete_for(&partial, why.clone()) {
                Ok(journal) => self.finished(journal),
                Err(error) => tracing::error!(%error, "the journal of an experiment that was dropped is not completed"),
            }
        }
    }

    /// Takes away what is still there. Runtimes may be destroyed twice.
    pub(crate) async fn clean_up(&self) -> Vec<String> {
        let runtimes = std::mem::take(&mut *self.opened.lock());
        let mut left = Vec::new();
        for runtime in runtimes {
            if let Err(error) = runtime.undo_log().revert().await {
                left.push(error.to_string());
            }
            if let Err(error) = runtime.destroy().await {
                left.push(error.to_string());
            }
        }
        left
    }
}
