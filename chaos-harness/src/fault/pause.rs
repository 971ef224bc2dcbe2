//! The processes of a service stand still.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::lives::{attest_states, attest_up};
use super::{Attestation, FaultError, FaultKind, Injected, Instances, target};
use crate::environment::Environment;
use crate::runtime::{Capability, RuntimeError, State};
use crate::topology::{InstanceId, Topology};

/// Stands the processes of a service still: connections stay open, and nobody answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
}

impl Catalogued for Pause {
    fn entries() -> Vec<Entry> {
        vec![Entry::new("pause", "`target(\"a\").pause()`", [target("product").pause()])]
    }
}

#[async_trait]
impl FaultKind for Pause {
    fn describe(&self) -> String {
        format!("pause {}", self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Pause]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let mut injected = InjectedPause { paused: Vec::new() };
        for id in self.on.running(environment)? {
            injected.paused.push(id.clone());
            if let Err(error) = environment.runtime().pause(&id).await {
                injected.roll_back(environment).await?;
                return Err(error.into());
            }
        }
        Ok(Box::new(injected))
    }
}

struct InjectedPause {
    paused: Vec<InstanceId>,
}

#[async_trait]
impl Injected for InjectedPause {
    fn mechanism(&self) -> String {
        "stopped by the runtime".to_owned()
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        attest_states(environment, self.paused.iter(), "stand still", |state| state == State::Paused).await
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        let mut first_error: Option<RuntimeError> = None;
        for id in &self.paused {
            if let Err(error) = environment.runtime().resume(id).await {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        attest_up(environment, self.paused.iter()).await
    }
}
