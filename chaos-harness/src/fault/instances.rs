//! The instances that a fault hits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FaultError;
use crate::environment::Environment;
use crate::topology::{InstanceId, Topology};

/// One instance of a service, or all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Instances {
    /// The service.
    pub service: String,
    /// One of its instances; all of them for `None`.
    pub instance: Option<u16>,
}

impl Instances {
    /// Which of them run in `environment`, as far as that is up to standby.
    ///
    /// # Errors
    /// When there is no such service or instance, or the one that is named is on standby.
    pub(super) fn running(&self, environment: &Environment) -> Result<Vec<InstanceId>, FaultError> {
        let ids = self.ids(environment.topology())?;
        let (on_standby, run): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| environment.is_on_standby(id));
        match on_standby.into_iter().next() {
            Some(instance) if run.is_empty() => Err(FaultError::OnStandby { instance }),
            _ => Ok(run),
        }
    }

    /// Which they are in `topology`, those on standby among them.
    ///
    /// # Errors
    /// When there is no such service or instance.
    pub fn ids(&self, topology: &Topology) -> Result<Vec<InstanceId>, FaultError> {
        let declared = topology.get(&self.service)?;
        match self.instance {
            None => Ok(declared.instance_ids().collect()),
            Some(ordinal) if (1..=declared.instances).contains(&ordinal) => {
                Ok(vec![InstanceId::new(&self.service, ordinal)])
            }
            Some(ordinal) => Err(FaultError::UnknownInstance {
                instance: InstanceId::new(&self.service, ordinal),
                instances: declared.instances,
            }),
        }
    }
}

/// `inventory`, or `inventory-2` for one instance.
impl std::fmt::Display for Instances {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.service)?;
        self.instance.map_or(Ok(()), |ordinal| write!(f, "-{ordinal}"))
    }
}
