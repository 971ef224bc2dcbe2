//! The processes of a service stand still.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attestation, FaultError, FaultKind, Injected, instances_of};
use crate::environment::Environment;
use crate::runtime::{Capability, RuntimeError, State};
use crate::topology::{InstanceId, Topology};

/// Stands the processes of a service still: connections stay open, and nobody answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// The service.
    pub service: String,
    /// One of its instances; all of them for `None`.
    pub instance: Option<u16>,
}

#[async_trait]
impl FaultKind for Pause {
    fn describe(&self) -> String {
        format!("pause {}", super::named(&self.service, self.instance))
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Pause]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        instances_of(topology, &self.service, self.instance).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let mut injected = InjectedPause { paused: Vec::new() };
        for id in instances_of(environment.topology(), &self.service, self.instance)? {
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
        for id in &self.paused {
            match environment.runtime().status(id).await {
                Ok(status) if status.state == State::Paused => {}
                Ok(status) => return Attestation::not_shown(format!("{id} is {:?}", status.state)),
                Err(error) => return Attestation::not_shown(error.to_string()),
            }
        }
        Attestation::shown(format!("{} instance(s) stand still", self.paused.len()))
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
        super::attest_running(environment, self.paused.iter()).await
    }
}
