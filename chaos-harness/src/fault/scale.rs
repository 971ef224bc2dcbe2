//! A service has fewer instances.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::instances::attest_states;
use super::lives::{how_stopped, start_all, stop_all};
use super::{Attestation, FaultError, FaultKind, Injected, target};
use crate::environment::Environment;
use crate::runtime::{Capability, State};
use crate::topology::{InstanceId, Topology};

/// Leaves a service with so many of its instances for the hold, those with the lowest ordinals; the others are shut
/// down, then started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scale {
    /// The service.
    pub service: String,
    /// How many instances are left; fewer than there are.
    pub to: u16,
}

impl Scale {
    fn surplus(&self, topology: &Topology) -> Result<Vec<InstanceId>, FaultError> {
        let declared = topology.get(&self.service)?;
        if self.to >= declared.instances {
            let (given, range) = (self.to.to_string(), format!("0 to {}", declared.instances.saturating_sub(1)));
            return Err(FaultError::BadValue { fault: self.describe(), what: "a number of instances", given, range });
        }
        Ok(declared.instance_ids().filter(|id| id.ordinal > self.to).collect())
    }
}

impl Catalogued for Scale {
    fn entries() -> Vec<Entry> {
        vec![Entry::new("fewer instances", "`target(\"a\").scale(1)`", [target("product").scale(0)])]
    }
}

#[async_trait]
impl FaultKind for Scale {
    fn describe(&self) -> String {
        format!("scale {} to {}", self.service, self.to)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Stop]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        self.surplus(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let mut injected = InjectedScale { stopped: self.surplus(environment.topology())? };
        match stop_all(environment, &injected.stopped).await {
            Ok(()) => Ok(Box::new(injected)),
            Err(error) => {
                injected.roll_back(environment).await?;
                Err(error)
            }
        }
    }
}

struct InjectedScale {
    stopped: Vec<InstanceId>,
}

#[async_trait]
impl Injected for InjectedScale {
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
