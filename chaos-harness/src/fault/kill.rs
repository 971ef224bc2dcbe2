//! The processes of a service end at once.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::lives::{attest_up, start_all};
use super::{Attestation, FaultError, FaultKind, Injected, Instances, target};
use crate::environment::{DownHold, Environment};
use crate::runtime::{Capability, State, Status};
use crate::topology::{InstanceId, Topology};

/// Ends the processes of a service with `SIGKILL`, as a crash does. With a restart policy the service comes
/// back by itself; without one, rolling back starts it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kill {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
}

impl Catalogued for Kill {
    fn entries() -> Vec<Entry> {
        vec![
            Entry::new("kill", "`target(\"a\").kill()`", [target("product").kill()])
                .privileges("none; as root the restart is the engine's own"),
        ]
    }
}

#[async_trait]
impl FaultKind for Kill {
    fn describe(&self) -> String {
        format!("kill {}", self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Kill]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let topology = environment.topology();
        let restarts = topology.get(&self.on.service)?.restart.brings_back();
        let ids = self.on.running(environment)?;
        // Without a policy it stays down until the rollback, whatever else comes to its end meanwhile.
        let hold = environment.held_down().hold(ids.iter().filter(|_| !restarts));
        let mut injected = InjectedKill { hold, restarts, killed: Vec::new(), mechanism: String::new() };
        for id in ids {
            let before = environment.runtime().status(&id).await?;
            match environment.runtime().kill(&id).await {
                Ok(killed) => injected.mechanism = killed.mechanism,
                Err(error) => {
                    injected.roll_back(environment).await?;
                    return Err(error.into());
                }
            }
            environment.point_links_to(&id).await?;
            injected.killed.push((id, before));
        }
        Ok(Box::new(injected))
    }
}

struct InjectedKill {
    hold: DownHold,
    restarts: bool,
    killed: Vec<(InstanceId, Status)>,
    mechanism: String,
}

/// Whether the process that ran before is gone.
fn is_gone(before: &Status, now: &Status) -> bool {
    now.pid != before.pid || matches!(now.state, State::Exited { .. })
}

#[async_trait]
impl Injected for InjectedKill {
    fn mechanism(&self) -> String {
        self.mechanism.clone()
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        let mut gone = Vec::new();
        for (id, before) in &self.killed {
            match environment.runtime().status(id).await {
                Ok(now) if is_gone(before, &now) => {
                    gone.push(format!("process {} of {id} gone", before.pid.unwrap_or(0)))
                }
                Ok(_) => {
                    return Attestation::not_shown(format!(
                        "process {} of {id} is still there",
                        before.pid.unwrap_or(0)
                    ));
                }
                Err(error) => return Attestation::not_shown(error.to_string()),
            }
        }
        Attestation::when(!gone.is_empty(), gone.join(", "))
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        // With a restart policy, coming back is what is tested; helping would hide that it does not.
        if self.restarts {
            return Ok(());
        }
        self.hold.let_go();
        start_all(environment, self.killed.iter().map(|(id, _)| id)).await
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        if self.restarts {
            return Attestation::shown("nothing to undo: the restart policy brings it back");
        }
        attest_up(environment, self.killed.iter().map(|(id, _)| id)).await
    }
}
