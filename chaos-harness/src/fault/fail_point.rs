//! A fail point inside a service.

use async_trait::async_trait;
use chaos_layer::FailPoint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::control::{Kind, Switched, check_port, seed_for};
use super::{FaultError, FaultKind, Injected, Instances};
use crate::environment::Environment;
use crate::runtime::Capability;
use crate::topology::Topology;

/// Something goes wrong at a `fail_point!` in a function of a service. There is one fault at a point at a time: a
/// second one is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailPointFault {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
    /// The name of the point.
    pub point: String,
    /// What happens there. Its seed is mixed with that of the environment, and with the instance.
    #[serde(rename = "then")]
    pub does: FailPoint,
}

#[async_trait]
impl FaultKind for FailPointFault {
    fn describe(&self) -> String {
        format!("{} of `{}` in {}", self.does, self.point, self.on)
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
        let valid = chaos_layer::check_name(&self.point).and_then(|()| self.does.validate());
        valid.map_err(|source| FaultError::Rule { fault: self.describe(), source })
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let port = check_port(environment.topology(), &self.on, || self.describe())?;
        let orders = self.on.running(environment)?.into_iter().map(|id| {
            let seed = seed_for(environment.seed(), self.does.seed, &id);
            (id, FailPoint { seed, ..self.does.clone() })
        });
        Ok(Box::new(Switched::on(environment, port, Kind::Point, self.point.clone(), orders.collect()).await?))
    }
}
