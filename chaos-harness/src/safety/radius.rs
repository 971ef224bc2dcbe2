//! How much of the system a fault may touch.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, FaultKind};

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
    /// The radius of faults together, in a topology of `all` services: that of the services that they touch, and no
    /// less than each says of itself.
    pub fn of_faults<'a>(faults: impl IntoIterator<Item = &'a Fault>, all: usize) -> Self {
        let faults: Vec<&Fault> = faults.into_iter().collect();
        let least = faults.iter().map(|fault| fault.radius()).max().unwrap_or(Self::SingleRequest);
        if least == Self::SingleRequest {
            return least;
        }
        let services: BTreeSet<&str> = faults.iter().flat_map(|fault| fault.services()).collect();
        least.max(Self::of_services(services.len(), all))
    }

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
