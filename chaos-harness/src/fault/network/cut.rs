//! Nothing passes.

use async_trait::async_trait;
use chaos_harness_netns::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{self, Planned};
use super::{NetworkPlace, traffic};
use crate::environment::Environment;
use crate::fault::{FaultError, FaultKind, Injected};
use crate::runtime::Capability;
use crate::topology::Topology;

const INSTEAD: &str = "use `link(..).black_hole()` or `link(..).refuse()`";

/// No packet passes. Connections, live and new ones, wait until they give up, or are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cut {
    /// Where.
    #[serde(flatten)]
    pub place: NetworkPlace,
    /// Whether the sender is told: with a TCP reset, or with ICMP "port unreachable".
    #[serde(default)]
    pub reject: bool,
}

impl Cut {
    pub(super) fn action(reject: bool) -> Action {
        if reject { Action::Reject } else { Action::Drop }
    }
}

#[async_trait]
impl FaultKind for Cut {
    fn describe(&self) -> String {
        let what = if self.reject { "packets rejected" } else { "packets dropped" };
        format!("{what} on {}", self.place)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.place.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::NetworkNamespace]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        self.place.validate(topology, &self.describe())
    }

    fn check_machine(&self) -> Result<(), FaultError> {
        rules::check(&self.describe(), INSTEAD, rules::trial(Self::action(self.reject)))
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let traffic = traffic::of_place(&self.place, environment).await?;
        let (fault, action) = (self.describe(), Self::action(self.reject));
        rules::apply(Planned { fault, instead: INSTEAD, traffic, action, loopback: false, environment }).await
    }
}
