//! Where services are found by whoever is not part of the topology.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures::future::BoxFuture;

use crate::environment::Environment;
use crate::error::Result;
use crate::topology::Topology;

/// The addresses of a topology's services as users find them: links of the harness, the same until the experiment ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(BTreeMap<String, SocketAddr>);

/// What is done when the targets are up and the load has not begun.
pub(super) type BeforeLoad = Box<dyn FnOnce(Addresses) -> BoxFuture<'static, Result<()>> + Send>;

impl Addresses {
    pub(super) fn of(topology: &Topology, environment: &Environment) -> Self {
        let services = topology.services.keys();
        Self(services.filter_map(|service| Some((service.clone(), environment.address(service)?))).collect())
    }

    /// The address of `service`; `None` where the topology has none of that name.
    pub fn get(&self, service: &str) -> Option<SocketAddr> {
        self.0.get(service).copied()
    }

    /// The same as `http://address`.
    pub fn url(&self, service: &str) -> Option<String> {
        Some(format!("http://{}", self.get(service)?))
    }
}
