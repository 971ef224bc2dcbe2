//! Names are not found.

use async_trait::async_trait;
use chaos_harness_netns::{Packets, Transport, Way};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Cut;
use super::rules::{self, Planned};
use super::traffic::Traffic;
use crate::environment::Environment;
use crate::fault::{FaultError, FaultKind, Injected, Instances};
use crate::runtime::Capability;
use crate::topology::Topology;

const INSTEAD: &str = "use `link(..).udp().loss(1.0)` where the name server is a declared UDP link";
const PORT: u16 = 53;

/// No name server answers, be it local or not: questions time out, or are refused. Declared links are addresses and
/// need no names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsFailure {
    /// Whose questions.
    #[serde(flatten)]
    pub on: Instances,
    /// Whether they are refused at once.
    #[serde(default)]
    pub reject: bool,
}

#[async_trait]
impl FaultKind for DnsFailure {
    fn describe(&self) -> String {
        let what = if self.reject { "names refused" } else { "names not answered" };
        format!("{what} on {}", self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::NetworkNamespace]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        self.on.ids(topology).map(drop)
    }

    fn check_machine(&self) -> Result<(), FaultError> {
        rules::check(&self.describe(), INSTEAD, rules::trial(Cut::action(self.reject)))
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        // What is dropped on the way out is told to the sender; that an answer never comes, to nobody.
        let way = if self.reject { Way::Out } else { Way::In };
        let mut traffic = Traffic::new();
        for id in self.on.running(environment)? {
            for transport in [Transport::Udp, Transport::Tcp] {
                let packets = Packets { remote_port: Some((transport, PORT)), ..Packets::default() };
                traffic.entry(id.clone()).or_default().push((way, packets));
            }
        }
        let (fault, action) = (self.describe(), Cut::action(self.reject));
        rules::apply(Planned { fault, instead: INSTEAD, traffic, action, loopback: true, environment }).await
    }
}
