//! A service is off the network.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::limited::resources;
use super::{Attestation, FaultError, FaultKind, Injected, Instances, target};
use crate::environment::Environment;
use crate::runtime::{Capability, ConnectionNow, Hold, RuntimeError};
use crate::topology::{InstanceId, Topology};

/// Takes a service off its network, as a pulled cable does: what is sent to it or by it is lost, and connections stay
/// open as long as nobody gives them up. Its processes go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Disconnect {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
}

impl Catalogued for Disconnect {
    fn entries() -> Vec<Entry> {
        vec![Entry::new("off the network", "`target(\"a\").disconnect()`", [target("product").disconnect()])]
    }
}

#[async_trait]
impl FaultKind for Disconnect {
    fn describe(&self) -> String {
        format!("disconnect {}", self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Disconnect]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let network = resources(environment, Capability::Disconnect, || self.describe())?;
        let mut injected = InjectedDisconnect { fault: self.describe(), off: Vec::new() };
        for id in self.on.running(environment)? {
            // Links go on pointing at where it was: there, nobody answers.
            match network.disconnect(&id).await {
                Ok(hold) => injected.off.push((id, hold)),
                Err(error) => {
                    injected.roll_back(environment).await?;
                    return Err(error.into());
                }
            }
        }
        Ok(Box::new(injected))
    }
}

struct InjectedDisconnect {
    fault: String,
    off: Vec<(InstanceId, Hold)>,
}

impl InjectedDisconnect {
    /// Where each of them is and should be.
    async fn now(&self, environment: &Environment) -> Result<Vec<(&InstanceId, ConnectionNow)>, FaultError> {
        let network = resources(environment, Capability::Disconnect, || self.fault.clone())?;
        let mut now = Vec::new();
        for (id, _) in &self.off {
            now.push((id, network.connection_now(id).await?));
        }
        Ok(now)
    }
}

#[async_trait]
impl Injected for InjectedDisconnect {
    fn mechanism(&self) -> String {
        "taken off the network by the engine".to_owned()
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        match self.now(environment).await {
            Ok(now) => match now.iter().find(|(_, now)| now.measured) {
                None => Attestation::shown(format!("{} instance(s) on no network", now.len())),
                Some((id, _)) => Attestation::not_shown(format!("{id} is on the network")),
            },
            Err(error) => Attestation::not_shown(error.to_string()),
        }
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        let network = resources(environment, Capability::Disconnect, || self.fault.clone())?;
        let mut first_error: Option<RuntimeError> = None;
        for (id, hold) in &self.off {
            let undone = network.reconnect(*hold).await;
            // The engine may give it another address.
            let pointed = match network.connection_now(id).await {
                Ok(now) if now.measured => environment.point_links_to(id).await,
                other => other.map(drop),
            };
            if let Err(error) = undone.and(pointed) {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        match self.now(environment).await {
            Ok(now) => match now.iter().find(|(_, now)| now.measured != now.due) {
                Some((id, now)) => Attestation::not_shown(format!("{id} is on the network: {}", now.measured)),
                None => {
                    let on = now.iter().filter(|(_, now)| now.measured).count();
                    let others = now.len() - on;
                    Attestation::shown(format!("{on} instance(s) on the network, {others} held off by another fault"))
                }
            },
            Err(error) => Attestation::not_shown(error.to_string()),
        }
    }
}
