//! Packets beyond a rate are dropped.

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

const INSTEAD: &str = "use `link(..).bandwidth(..)`";

/// Packets beyond a rate are dropped, as a policer does. What was not used in the last second may be used at once.
/// To have bytes wait instead, take [`bandwidth`](crate::fault::LinkRef::bandwidth) on a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkRate {
    /// Where.
    #[serde(flatten)]
    pub place: NetworkPlace,
    /// Bytes per second that pass, for each way and each link by itself.
    pub rate: u64,
}

#[async_trait]
impl FaultKind for NetworkRate {
    fn describe(&self) -> String {
        format!("packets beyond {} B/s dropped on {}", self.rate, self.place)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.place.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::NetworkNamespace]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        if self.rate == 0 {
            let (fault, range) = (self.describe(), "1 B/s or more; to let nothing pass, use `.cut()`");
            return Err(FaultError::Number { fault, what: "rate", given: 0.0, range });
        }
        self.place.validate(topology, &self.describe())
    }

    fn check_machine(&self) -> Result<(), FaultError> {
        rules::check(&self.describe(), INSTEAD, rules::trial(Action::Limit(self.rate)))
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let traffic = traffic::of_place(&self.place, environment).await?;
        let (fault, action) = (self.describe(), Action::Limit(self.rate));
        rules::apply(Planned { fault, instead: INSTEAD, traffic, action, loopback: false, environment }).await
    }
}
