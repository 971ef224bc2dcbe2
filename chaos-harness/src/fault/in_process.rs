//! A rule of the chaos layer inside a service.

use async_trait::async_trait;
use chaos_layer::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::control::{Kind, Switched, check_port, seed_for};
use super::{FaultError, FaultKind, Injected, Instances};
use crate::environment::Environment;
use crate::runtime::Capability;
use crate::topology::Topology;

/// Delays, fails, holds up or limits requests inside a service that has a
/// [`ChaosLayer`](https://docs.rs/chaos-layer): where no link leads, and where a handler is slow and not the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InProcess {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
    /// Which requests, and what happens to them. Its seed is mixed with that of the environment, and with the
    /// instance: the share of each is its own.
    pub rule: Rule,
}

#[async_trait]
impl FaultKind for InProcess {
    fn describe(&self) -> String {
        format!("{} in {}", self.rule, self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        self.on.ids(topology)?;
        check_port(topology, &self.on, || self.describe())?;
        self.rule.validate().map_err(|source| FaultError::Rule { fault: self.describe(), source })
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let port = check_port(environment.topology(), &self.on, || self.describe())?;
        let orders = self.on.running(environment)?.into_iter().map(|id| {
            let seed = seed_for(environment.seed(), self.rule.seed, &id);
            (id, Rule { seed, ..self.rule.clone() })
        });
        let name = super::link::fresh_name();
        Ok(Box::new(Switched::on(environment, port, Kind::Rule, name, orders.collect()).await?))
    }
}
