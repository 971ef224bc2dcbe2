//! The link proxies of an environment: one from every caller's instance to every callee's instance.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use futures::future::join_all;

use crate::link::{LinkError, LinkProxy};
use crate::topology::{InstanceId, Protocol, Topology, USERS};

/// The proxies by caller and callee.
#[derive(Debug)]
pub(super) struct Links(BTreeMap<(InstanceId, InstanceId), LinkProxy>);

impl Links {
    /// Binds a proxy for each declared link on `host`, where targets can reach it, and one from the users to
    /// every instance on loopback.
    pub(super) fn bind(topology: &Topology, host: IpAddr, seed: u64) -> Result<Self, LinkError> {
        let mut proxies = BTreeMap::new();
        let mut bind = |caller: InstanceId, callee: InstanceId, host: IpAddr| {
            let Some(protocol) = topology.protocol(&caller.service, &callee.service) else { return Ok(()) };
            // Each link decides by itself, whatever the others do; the position makes it another stream.
            let proxy = bind_stream(protocol, host, seed.wrapping_add(proxies.len() as u64))?;
            proxies.insert((caller, callee), proxy);
            Ok::<(), LinkError>(())
        };
        for callee in topology.instances() {
            bind(InstanceId::new(USERS, 1), callee, Ipv4Addr::LOCALHOST.into())?;
        }
        for caller in topology.instances() {
            let callees = topology.callees(&caller.service).filter_map(|name| topology.services.get(name));
            for callee in callees.flat_map(|service| service.instance_ids()) {
                bind(caller.clone(), callee, host)?;
            }
        }
        Ok(Self(proxies))
    }

    /// The proxies from instances of `caller` to instances of `callee`.
    pub(super) fn between(&self, caller: &str, callee: &str) -> Vec<&LinkProxy> {
        let matching = self.0.iter().filter(|((from, to), _)| from.service == caller && to.service == callee);
        matching.map(|(_, proxy)| proxy).collect()
    }

    /// Where `caller` finds the instances of `callee`.
    pub(super) fn addresses(&self, caller: &InstanceId, callee: &str) -> Vec<SocketAddr> {
        let matching = self.0.iter().filter(|((from, to), _)| from == caller && to.service == callee);
        matching.map(|(_, proxy)| proxy.addr()).collect()
    }

    /// Points every link to `callee` at `address`; `None` while it is down.
    pub(super) fn point(&self, callee: &InstanceId, address: Option<SocketAddr>) {
        self.0.iter().filter(|((_, to), _)| to == callee).for_each(|(_, proxy)| proxy.set_upstream(address));
    }

    /// Ends every proxy and its connections.
    pub(super) async fn shut_down(self) {
        join_all(self.0.into_values().map(LinkProxy::shutdown)).await;
    }
}

/// A proxy for what the link speaks.
fn bind_stream(protocol: Protocol, host: IpAddr, seed: u64) -> Result<LinkProxy, LinkError> {
    match protocol {
        Protocol::Http | Protocol::Tcp | Protocol::Udp => LinkProxy::bind(host, seed),
    }
}
