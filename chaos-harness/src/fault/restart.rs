//! A service is restarted, and is away for a while.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::catalogue::{Catalogued, Entry};
use super::lives::{attest_up, how_stopped, start_all, stop_all};
use super::{Attestation, FaultError, FaultKind, Injected, Instances, target};
use crate::environment::{DownHold, Environment};
use crate::runtime::{Capability, State, Status};
use crate::topology::{InstanceId, Topology};

/// The longest delay; an experiment may not run for longer.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// Shuts a service down with `SIGTERM` and starts it again after a delay, however long the fault is held. A rollback
/// before that starts it at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restart {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
    /// How long it is down, from the moment that it is.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub delay: Duration,
}

impl Catalogued for Restart {
    fn entries() -> Vec<Entry> {
        let restart = [target("product").restart(Duration::from_secs(60))];
        vec![Entry::new("restart after a delay", "`target(\"a\").restart(3.secs())`", restart)]
    }
}

#[async_trait]
impl FaultKind for Restart {
    fn describe(&self) -> String {
        format!("restart {} after {}", self.on, humantime::format_duration(self.delay))
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Stop]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        if self.delay > LONGEST {
            let (fault, given) = (self.describe(), self.delay);
            return Err(FaultError::OutOfRange { fault, what: "delay", given, range: "0s to 30m" });
        }
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let ids = self.on.running(environment)?;
        let mut before = Vec::new();
        for id in &ids {
            before.push(environment.runtime().status(id).await?);
        }
        let held = environment.held_down().clone();
        let hold = Arc::new(Mutex::new(held.hold(&ids)));
        if let Err(error) = stop_all(environment, &ids).await {
            hold.lock().let_go();
            start_all(environment, &ids).await?;
            return Err(error);
        }
        let (runtime, starting, delay) = (environment.shared_runtime(), ids.clone(), self.delay);
        let until_then = hold.clone();
        let start = tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            until_then.lock().let_go();
            for id in starting.iter().filter(|id| !held.contains(id)) {
                // What did not start here, the rollback starts, and says so when it cannot.
                if let Err(error) = runtime.start_again(id).await {
                    tracing::warn!(%error, %id, "not started again yet");
                }
            }
        });
        let grace = environment.grace(&self.on.service);
        Ok(Box::new(InjectedRestart { ids, before, start, hold, grace }))
    }
}

struct InjectedRestart {
    ids: Vec<InstanceId>,
    before: Vec<Status>,
    start: JoinHandle<()>,
    /// Let go when it is started, be it by the task or at the rollback.
    hold: Arc<Mutex<DownHold>>,
    grace: Duration,
}

impl Drop for InjectedRestart {
    fn drop(&mut self) {
        self.start.abort();
    }
}

#[async_trait]
impl Injected for InjectedRestart {
    fn mechanism(&self) -> String {
        how_stopped(self.grace)
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        let mut gone = Vec::new();
        for (id, before) in self.ids.iter().zip(&self.before) {
            let pid = before.pid.unwrap_or_default();
            match environment.runtime().status(id).await {
                Ok(now) if now.pid == before.pid => {
                    return Attestation::not_shown(format!("process {pid} of {id} is still there"));
                }
                Ok(now) if now.state == State::Running => gone.push(format!("process {pid} of {id} replaced")),
                Ok(_) => gone.push(format!("process {pid} of {id} gone")),
                Err(error) => return Attestation::not_shown(error.to_string()),
            }
        }
        Attestation::shown(gone.join(", "))
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        self.start.abort();
        self.hold.lock().let_go();
        start_all(environment, &self.ids).await
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        attest_up(environment, self.ids.iter()).await
    }
}
