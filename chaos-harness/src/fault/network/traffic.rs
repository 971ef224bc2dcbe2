//! Which packets, in whose namespace, are those between two services.
//!
//! A caller finds a callee at a link of its own, on the address of the links: so what passes on the link is told in the
//! caller's namespace by the link's port, while the callee sees all its callers come from one address. Packets that two
//! services send each other past the links are told by their addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;

use chaos_harness_netns::{Packets, Transport, Way};

use super::{NetworkPlace, Ways};
use crate::environment::Environment;
use crate::fault::{FaultError, Instances};
use crate::topology::{InstanceId, USERS};

/// For each instance in whose namespace something is to be done: which packets, seen from there.
pub(super) type Traffic = BTreeMap<InstanceId, Vec<(Way, Packets)>>;

/// The packets of `place`.
pub(super) async fn of_place(place: &NetworkPlace, environment: &Environment) -> Result<Traffic, FaultError> {
    let mut traffic = Traffic::new();
    let ids = place.on.running(environment)?;
    let ways = |way: Ways| matches!(place.ways, Ways::Both) || place.ways == way;
    let Some(peer) = place.peer.as_deref() else {
        for (way, named) in [(Way::In, Ways::In), (Way::Out, Ways::Out)] {
            for id in ids.iter().filter(|_| ways(named)) {
                traffic.entry(id.clone()).or_default().push((way, Packets::default()));
            }
        }
        return Ok(traffic);
    };
    if peer == USERS {
        of_users(place, &ids, environment, &mut traffic)?;
        return Ok(traffic);
    }
    let peers = Instances { service: peer.to_owned(), instance: None }.ids(environment.topology())?;
    for id in &ids {
        for peer in &peers {
            if ways(Ways::Out) {
                between(id, peer, environment, &mut traffic).await?;
            }
            if ways(Ways::In) {
                between(peer, id, environment, &mut traffic).await?;
            }
        }
    }
    // Links to and from what is on standby are there already, its own namespace is not.
    traffic.retain(|id, _| !environment.is_on_standby(id));
    Ok(traffic)
}

/// Adds the packets that `from` sends to `to`.
async fn between(
    from: &InstanceId,
    to: &InstanceId,
    environment: &Environment,
    traffic: &mut Traffic,
) -> Result<(), FaultError> {
    // Requests, where `from` calls `to`; answers, where `to` calls `from`.
    for packets in on_link(from, to, environment) {
        traffic.entry(from.clone()).or_default().push((Way::Out, packets));
    }
    for packets in on_link(to, from, environment) {
        traffic.entry(to.clone()).or_default().push((Way::In, packets));
    }
    if environment.is_on_standby(to) {
        return Ok(());
    }
    if let Some(address) = environment.runtime().status(to).await?.address {
        let packets = Packets { remote: Some(address.ip()), ..Packets::default() };
        traffic.entry(from.clone()).or_default().push((Way::Out, packets));
    }
    Ok(())
}

/// What `caller` exchanges with `callee` on their links, seen from the caller.
pub(super) fn on_link(caller: &InstanceId, callee: &InstanceId, environment: &Environment) -> Vec<Packets> {
    let (tcp, udp) = environment.link_addresses(caller, callee);
    let named = [(Transport::Tcp, tcp), (Transport::Udp, udp)];
    let there = named.into_iter().filter_map(|(transport, address)| Some((transport, address?)));
    there
        .map(|(transport, address)| Packets {
            remote: Some(address.ip()),
            remote_port: Some((transport, address.port())),
            local_port: None,
        })
        .collect()
}

/// What users exchange with a service that nobody else calls.
fn of_users(
    place: &NetworkPlace,
    ids: &[InstanceId],
    environment: &Environment,
    traffic: &mut Traffic,
) -> Result<(), FaultError> {
    let service = environment.topology().get(&place.on.service)?;
    let links: IpAddr = environment.runtime().link_host();
    let ports = [(Transport::Tcp, service.port), (Transport::Udp, service.port_for_udp())];
    for (id, port) in ids.iter().flat_map(|id| ports.map(|port| (id, port))) {
        let packets = Packets { remote: Some(links), remote_port: None, local_port: Some(port) };
        for (way, not) in [(Way::In, Ways::Out), (Way::Out, Ways::In)] {
            if place.ways != not {
                traffic.entry(id.clone()).or_default().push((way, packets));
            }
        }
    }
    Ok(())
}
