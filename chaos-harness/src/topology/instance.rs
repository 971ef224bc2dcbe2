//! One running copy of a service.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One instance of a service; ordinals count from 1. Written `inventory-1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct InstanceId {
    /// The service.
    pub service: String,
    /// Which of its instances, from 1.
    pub ordinal: u16,
}

impl InstanceId {
    /// The instance `ordinal` of `service`.
    pub fn new(service: impl Into<String>, ordinal: u16) -> Self {
        Self { service: service.into(), ordinal }
    }
}

impl std::fmt::Display for InstanceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.service, self.ordinal)
    }
}
