//! A service is shut down for a while.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::lives::{attest_down, attest_up, how_stopped, start_all, stop_all};
use super::{Attestation, FaultError, FaultKind, Injected, Instances, target};
use crate::environment::{DownHold, Environment};
use crate::runtime::Capability;
use crate::topology::{InstanceId, Topology};

/// Shuts a service down with its stop signal for the hold, then starts it again. Its restart policy does not apply.
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
        let stopped = self.on.running(environment)?;
        let grace = environment.grace(&self.on.service);
        let mut injected = InjectedStop { hold: environment.held_down().hold(&stopped), stopped, grace };
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
    hold: DownHold,
    stopped: Vec<InstanceId>,
    grace: Duration,
}

#[async_trait]
impl Injected for InjectedStop {
    fn mechanism(&self) -> String {
        how_stopped(self.grace)
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        attest_down(environment, self.stopped.iter()).await
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        self.hold.let_go();
        start_all(environment, &self.stopped).await
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        attest_up(environment, self.stopped.iter()).await
    }
}
