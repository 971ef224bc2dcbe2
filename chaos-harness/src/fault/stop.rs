//! A service is shut down for a while.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::instances::attest_states;
use super::lives::{how_stopped, start_all, stop_all};
use super::{Attestation, FaultError, FaultKind, Injected, Instances, target};
use crate::environment::Environment;
use crate::runtime::{Capability, State};
use crate::topology::{InstanceId, Topology};

/// Shuts a service down with `SIGTERM` for the hold, then starts it again. Its restart policy does not apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stop {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
}

impl Catalogued for Stop {
    fn entries() -> Vec<Entry> {
        vec![Entry::new("stop and start", "`target(\"a\").stop()`", [target("product").stop()])]
    }
}

#[async_trait]
impl FaultKind for Stop {
    fn describe(&self) -> String {
        format!("stop {}", self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Stop]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let mut injected = InjectedStop { stopped: self.on.ids(environment.topology())? };
        match stop_all(environment, &injected.stopped).await {
            Ok(()) => Ok(Box::new(injected)),
            Err(error) => {
                injected.roll_back(environment).await?;
                Err(error)
            }
        }
    }
}

struct InjectedStop {
    stopped: Vec<InstanceId>,
}

#[async_trait]
impl Injected for InjectedStop {
    fn mechanism(&self) -> String {
        how_stopped()
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        attest_states(environment, self.stopped.iter(), "are down", |state| matches!(state, State::Exited { .. })).await
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        start_all(environment, &self.stopped).await
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        attest_states(environment, self.stopped.iter(), "run", |state| state == State::Running).await
    }
}
