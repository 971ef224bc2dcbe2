//! Where on the network a fault acts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fault::{FaultError, Instances};
use crate::topology::{Topology, USERS};

/// All that a service sends and receives, or what passes between it and one other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkPlace {
    /// Whose network.
    #[serde(flatten)]
    pub on: Instances,
    /// With whom; with everybody for `None`. `users` stands for the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Which way.
    #[serde(default)]
    pub ways: Ways,
}

/// Which way packets go, seen from the service that a fault is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ways {
    /// What it sends and what it receives.
    #[default]
    Both,
    /// What it sends.
    Out,
    /// What it receives.
    In,
}

impl NetworkPlace {
    /// Checks the names against the topology.
    ///
    /// # Errors
    /// A service or an instance that is not there; the users of a service that has other callers too.
    pub fn validate(&self, topology: &Topology, fault: &str) -> Result<(), FaultError> {
        self.on.ids(topology)?;
        match self.peer.as_deref() {
            Some(USERS) if self.has_other_callers(topology) => {
                Err(FaultError::CallersAlike { fault: fault.to_owned(), service: self.on.service.clone() })
            }
            Some(USERS) | None => Ok(()),
            Some(peer) if peer == self.on.service => Err(FaultError::OwnPeer { service: peer.to_owned() }),
            Some(peer) => Ok(topology.get(peer).map(drop)?),
        }
    }

    /// All callers of a service come to it from the address of the links.
    fn has_other_callers(&self, topology: &Topology) -> bool {
        topology.links.iter().any(|link| link.callee == self.on.service && link.caller != USERS)
    }
}

/// `inventory`, `order <-> inventory`, or with one arrow.
impl std::fmt::Display for NetworkPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (on, peer) = (&self.on, self.peer.as_deref());
        match (self.ways, peer) {
            (Ways::Both, None) => write!(f, "{on}"),
            (Ways::Out, None) => write!(f, "{on} outwards"),
            (Ways::In, None) => write!(f, "{on} inwards"),
            (Ways::Both, Some(peer)) => write!(f, "{on} <-> {peer}"),
            (Ways::Out, Some(peer)) => write!(f, "{on} -> {peer}"),
            (Ways::In, Some(peer)) => write!(f, "{on} <- {peer}"),
        }
    }
}
