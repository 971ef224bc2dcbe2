//! The hand that a chaos test is given.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::Result;
use crate::experiment::{Experiment, Plan, Session};
use crate::journal::{Journal, TestRef};
use crate::runtime::{Runtime, RuntimeChoice};
use crate::topology::Topology;

/// Runs experiments for one test: knows its name, its seed and its runtime.
#[derive(Clone, Debug)]
pub struct Lab {
    settings: Arc<Settings>,
    opened: Arc<Mutex<Vec<Arc<dyn Runtime>>>>,
    finished: Arc<Mutex<Vec<Journal>>>,
    names: Arc<Mutex<BTreeMap<String, u32>>>,
}

/// What a lab is made from.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) test: TestRef,
    pub(crate) seed: u64,
    pub(crate) runtime: RuntimeChoice,
    pub(crate) time_limit: Option<Duration>,
    pub(crate) dry_run: bool,
    pub(crate) journals: PathBuf,
}

impl Lab {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), opened: Arc::default(), finished: Arc::default(), names: Arc::default() }
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
    pub async fn start(&self, plan: Plan) -> Result<Session> {
        Session::start(self, plan).await
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
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The name for the journal of an experiment: numbered when the test has used it before.
    pub(crate) fn unique_name(&self, name: &str) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let used = names.entry(name.to_owned()).or_default();
        *used += 1;
        if *used == 1 { name.to_owned() } else { format!("{name}.{used}") }
    }

    /// Notes a runtime, so that it is taken away even when the test panics.
    pub(crate) fn opened(&self, runtime: Arc<dyn Runtime>) {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(runtime);
    }

    pub(crate) fn finished(&self, journal: Journal) {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).push(journal);
    }

    /// Takes away what is still there. Runtimes may be destroyed twice.
    pub(crate) async fn clean_up(&self) -> Vec<String> {
        let runtimes = std::mem::take(&mut *self.opened.lock().unwrap_or_else(PoisonError::into_inner));
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
