//! A service has fewer instances.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::lives::{attest_down, attest_up, how_stopped, start_all, stop_all};
use super::{Attestation, FaultError, FaultKind, Injected, target};
use crate::environment::{DownHold, Environment};
use crate::runtime::Capability;
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
        let stopped = self.surplus(environment.topology())?;
        let mut injected = InjectedScale { hold: environment.held_down().hold(&stopped), stopped };
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
    hold: DownHold,
    stopped: Vec<InstanceId>,
}

#[async_trait]
impl Injected for InjectedScale {
    fn mechanism(&self) -> String {
        how_stopped()
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
