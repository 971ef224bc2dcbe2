//! How much of the system a fault may touch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much of the system a fault touches, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlastRadius {
    /// Chosen requests on one link.
    SingleRequest,
    /// One service, or one of its links.
    SingleService,
    /// Several services.
    ServiceCluster,
    /// Every service of the topology.
    EntireSystem,
}

impl BlastRadius {
    /// The radius of a fault that touches `touched` of `all` services.
    pub fn of_services(touched: usize, all: usize) -> Self {
        match touched {
            0 | 1 => Self::SingleService,
            n if n >= all => Self::EntireSystem,
            _ => Self::ServiceCluster,
        }
    }
}

impl std::fmt::Display for BlastRadius {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SingleRequest => "single_request",
            Self::SingleService => "single_service",
            Self::ServiceCluster => "service_cluster",
            Self::EntireSystem => "entire_system",
        })
    }
}
