//! The instances that a fault hits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FaultError;
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
    /// Which they are in `topology`.
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
