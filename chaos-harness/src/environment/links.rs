//! The link proxies of an environment: one from every caller's instance to every callee's instance, over TCP, over UDP
//! or both.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use futures::future::{join, join_all};

use crate::link::udp::UdpLink;
use crate::link::{LinkError, LinkProxy, Peers};
use crate::topology::{InstanceId, Protocol, Topology, USERS};

/// Who calls whom.
type Pair = (InstanceId, InstanceId);

/// Keeps the seeds of UDP links apart from those of the others, whose number then changes nothing.
const UDP_SEEDS: u64 = 1 << 32;

/// Caller and callee, and what the link between them has counted since it was bound.
pub(crate) type Counted = ((InstanceId, InstanceId), BTreeMap<&'static str, u64>);

/// Where links are bound, and for whom.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) host: IpAddr,
    pub(super) peers: Peers,
}

/// The proxies by caller and callee.
#[derive(Debug, Default)]
pub(super) struct Links {
    streams: BTreeMap<Pair, LinkProxy>,
    /// Each with the callee's UDP port.
    udp: BTreeMap<Pair, (UdpLink, u16)>,
}

impl Links {
    /// Binds a proxy for each declared link at `place`, where targets can reach it, and those from the users to
    /// every instance on loopback.
    pub(super) fn bind(topology: &Topology, place: &Place, seed: u64) -> Result<Self, LinkError> {
        let mut links = Self::default();
        let of_users = Place::of_users();
        for callee in topology.instances() {
            links.bind_pair(topology, (InstanceId::new(USERS, 1), callee), &of_users, seed)?;
        }
        for caller in topology.instances() {
            let callees = topology.callees(&caller.service).filter_map(|name| topology.services.get(name));
            for callee in callees.flat_map(|service| service.instance_ids()) {
                links.bind_pair(topology, (caller.clone(), callee), place, seed)?;
            }
        }
        Ok(links)
    }

    /// Each link decides by itself, whatever the others do; the position makes it another stream.
    fn bind_pair(&mut self, topology: &Topology, pair: Pair, place: &Place, seed: u64) -> Result<(), LinkError> {
        let (caller, callee) = (&pair.0.service, &pair.1.service);
        let udp = topology.services.get(callee).filter(|_| topology.has_udp(caller, callee));
        let seeds =
            (seed.wrapping_add(self.streams.len() as u64), seed.wrapping_add(UDP_SEEDS + self.udp.len() as u64));
        let (proxy, link) = match (topology.protocol(caller, callee), udp) {
            (Some(protocol), Some(_)) => {
                let (proxy, link) = bind_both(place, || place.bind_stream(protocol, seeds.0), seeds.1)?;
                (Some(proxy), Some(link))
            }
            (Some(protocol), None) => (Some(place.bind_stream(protocol, seeds.0)?), None),
            (None, Some(_)) => (None, Some(place.bind_udp(SocketAddr::new(place.host, 0), seeds.1)?)),
            (None, None) => (None, None),
        };
        if let (Some(link), Some(service)) = (link, udp) {
            self.udp.insert(pair.clone(), (link, service.port_for_udp()));
        }
        if let Some(proxy) = proxy {
            self.streams.insert(pair, proxy);
        }
        Ok(())
    }

    /// The proxies from instances of `caller` to instances of `callee`.
    pub(super) fn between(&self, caller: &str, callee: &str) -> Vec<&LinkProxy> {
        between(&self.streams, caller, callee).collect()
    }

    /// The UDP links from instances of `caller` to instances of `callee`.
    pub(super) fn udp_between(&self, caller: &str, callee: &str) -> Vec<&UdpLink> {
        between(&self.udp, caller, callee).map(|(link, _)| link).collect()
    }

    /// What the links of every pair have counted since they were bound, each pair once; where it is linked over TCP and
    /// UDP, a name that both have stands for the sum.
    pub(super) fn counters(&self) -> impl Iterator<Item = Counted> + '_ {
        let mut counted = BTreeMap::<Pair, BTreeMap<_, u64>>::new();
        let streams =
            self.streams.iter().flat_map(|(pair, proxy)| proxy.counters().entries().map(move |it| (pair, it)));
        let udp = self.udp.iter().flat_map(|(pair, (link, _))| link.counters().entries().map(move |it| (pair, it)));
        for (pair, (name, count)) in streams.chain(udp) {
            *counted.entry(pair.clone()).or_default().entry(name).or_default() += count;
        }
        counted.into_iter()
    }

    /// Where `caller` finds the instances of each of its callees.
    pub(super) fn addresses(&self, caller: &InstanceId) -> BTreeMap<String, Vec<SocketAddr>> {
        by_callee(&self.streams, caller, LinkProxy::addr)
    }

    /// Where `caller` finds the instances of each of its callees over UDP.
    pub(super) fn udp_addresses(&self, caller: &InstanceId) -> BTreeMap<String, Vec<SocketAddr>> {
        by_callee(&self.udp, caller, |(link, _)| link.addr())
    }

    /// Where `caller` finds `callee`, over TCP and over UDP.
    pub(super) fn of_pair(&self, caller: &InstanceId, callee: &InstanceId) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let pair = (caller.clone(), callee.clone());
        (self.streams.get(&pair).map(LinkProxy::addr), self.udp.get(&pair).map(|(link, _)| link.addr()))
    }

    /// Whether anybody calls `callee` over UDP.
    pub(super) fn any_udp_to(&self, callee: &str) -> bool {
        self.udp.keys().any(|(_, to)| to.service == callee)
    }

    /// Points every link to `callee` at `address`, the UDP ones at their own port of it; `None` while it is down.
    pub(super) fn point(&self, callee: &InstanceId, address: Option<SocketAddr>) {
        self.streams.iter().filter(|((_, to), _)| to == callee).for_each(|(_, proxy)| proxy.set_upstream(address));
        for (link, port) in self.udp.iter().filter(|((_, to), _)| to == callee).map(|(_, link)| link) {
            link.set_upstream(address.map(|address| SocketAddr::new(address.ip(), *port)));
        }
    }

    /// Ends every proxy, and their connections and sessions.
    pub(super) async fn shut_down(self) {
        let streams = join_all(self.streams.into_values().map(LinkProxy::shutdown));
        join(streams, join_all(self.udp.into_values().map(|(link, _)| link.shutdown()))).await;
    }
}

fn between<'a, L>(links: &'a BTreeMap<Pair, L>, caller: &str, callee: &str) -> impl Iterator<Item = &'a L> {
    links.iter().filter(move |((from, to), _)| from.service == caller && to.service == callee).map(|(_, link)| link)
}

fn by_callee<L>(
    links: &BTreeMap<Pair, L>,
    caller: &InstanceId,
    addr: impl Fn(&L) -> SocketAddr,
) -> BTreeMap<String, Vec<SocketAddr>> {
    let mut addresses = BTreeMap::<_, Vec<_>>::new();
    for ((_, callee), link) in links.iter().filter(|((from, _), _)| from == caller) {
        addresses.entry(callee.service.clone()).or_default().push(addr(link));
    }
    addresses
}

/// Free ports that may turn out to be taken over UDP before that is an error.
const ATTEMPTS: usize = 64;

/// Proxies over TCP and UDP under one port number: whoever was answered over UDP that the answer is too long asks again
/// over TCP, at the same port (RFC 7766).
fn bind_both(
    place: &Place,
    mut bind_tcp: impl FnMut() -> Result<LinkProxy, LinkError>,
    udp_seed: u64,
) -> Result<(LinkProxy, UdpLink), LinkError> {
    // Kept until the end, so that none of them is given out twice.
    let mut taken = Vec::new();
    loop {
        let proxy = bind_tcp()?;
        match place.bind_udp(proxy.addr(), udp_seed) {
            Ok(link) => return Ok((proxy, link)),
            Err(LinkError::PortInUse(_)) if taken.len() < ATTEMPTS => taken.push(proxy),
            Err(error) => return Err(error),
        }
    }
}

impl Place {
    fn of_users() -> Self {
        Self { host: Ipv4Addr::LOCALHOST.into(), peers: Peers::Anybody }
    }

    /// A proxy for what the link speaks.
    fn bind_stream(&self, protocol: Protocol, seed: u64) -> Result<LinkProxy, LinkError> {
        LinkProxy::bind_for(self.host, seed, protocol == Protocol::Http, self.peers.clone())
    }

    fn bind_udp(&self, addr: SocketAddr, seed: u64) -> Result<UdpLink, LinkError> {
        UdpLink::bind_for(addr, seed, self.peers.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Service;

    #[tokio::test]
    async fn a_pair_linked_over_both_has_one_port_number() {
        let callees = ["b", "c", "d", "e"];
        let service = |name| Service::new(name).cargo("p", "b");
        let mut topology = Topology::new("pairs").service(service("a"));
        for callee in callees {
            topology = topology.service(service(callee)).link("a", callee).link_over("a", callee, Protocol::Udp);
        }
        let links = Links::bind(&topology, &Place::of_users(), 1).unwrap();
        for callee in callees {
            let (tcp, udp) = links.of_pair(&InstanceId::new("a", 1), &InstanceId::new(callee, 1));
            assert_eq!(tcp.unwrap(), udp.unwrap(), "a to {callee}");
        }
        links.shut_down().await;
    }

    #[tokio::test]
    async fn a_port_that_is_taken_over_udp_is_passed_over() {
        let place = Place::of_users();
        let bind = || place.bind_stream(Protocol::Tcp, 1).unwrap();
        let mut proxies = vec![bind(), bind()];
        let (free, taken) = (proxies[0].addr(), proxies[1].addr());
        let _other = std::net::UdpSocket::bind(taken).unwrap();
        assert!(matches!(UdpLink::bind_at(taken, 1), Err(LinkError::PortInUse(addr)) if addr == taken));
        let (proxy, link) = bind_both(&place, || Ok(proxies.pop().expect("the second is free")), 1).unwrap();
        assert_eq!((proxy.addr(), link.addr()), (free, free));
    }

    #[tokio::test]
    async fn a_pair_linked_twice_is_counted_once() {
        let service = |name| Service::new(name).cargo("p", "b");
        let topology = Topology::new("pair").service(service("a")).service(service("b"));
        let topology = topology.link("a", "b").link_over("a", "b", Protocol::Udp);
        let links = Links::bind(&topology, &Place::of_users(), 1).unwrap();
        let pair = (InstanceId::new("a", 1), InstanceId::new("b", 1));
        let counted: Vec<_> = links.counters().filter(|(other, _)| *other == pair).collect();
        let [(_, counted)] = counted.as_slice() else { panic!("{counted:?}") };
        assert!(counted.contains_key("accepted") && counted.contains_key("datagrams_up"), "{counted:?}");
        links.shut_down().await;
    }
}
