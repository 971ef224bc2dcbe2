//! Some packets are lost.

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

const INSTEAD: &str = "use `link(..).udp().loss(..)` for datagrams";

/// Some packets are lost. What sends streams sends them again, and gets slower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkLoss {
    /// Where.
    #[serde(flatten)]
    pub place: NetworkPlace,
    /// Which packets.
    pub losses: Losses,
}

/// Which packets are lost. A large write is one packet to a kernel, up to 64 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Losses {
    /// This share of them, above 0 and at most 1, each by itself.
    Share(f64),
    /// Each `n`th, counted by itself for each way.
    Every(u32),
}

impl NetworkLoss {
    fn action(&self) -> Action {
        match self.losses {
            Losses::Share(share) => Action::Lose(share),
            Losses::Every(n) => Action::LoseEvery(n),
        }
    }
}

#[async_trait]
impl FaultKind for NetworkLoss {
    fn describe(&self) -> String {
        match self.losses {
            Losses::Share(share) => format!("{}% of packets lost on {}", (share * 1e5).round() / 1e3, self.place),
            Losses::Every(n) => format!("1 in {n} packets lost on {}", self.place),
        }
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.place.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::NetworkNamespace]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        let number = |given: f64, range| FaultError::Number { fault: self.describe(), what: "loss", given, range };
        match self.losses {
            Losses::Share(share) if !(share > 0.0 && share <= 1.0) => Err(number(share, "above 0, to 1")),
            Losses::Every(0) => Err(number(0.0, "1 or more")),
            _ => self.place.validate(topology, &self.describe()),
        }
    }

    fn check_machine(&self) -> Result<(), FaultError> {
        rules::check(&self.describe(), INSTEAD, rules::trial(self.action()))
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let traffic = traffic::of_place(&self.place, environment).await?;
        let (fault, action) = (self.describe(), self.action());
        rules::apply(Planned { fault, instead: INSTEAD, traffic, action, loopback: false, environment }).await
    }
}
