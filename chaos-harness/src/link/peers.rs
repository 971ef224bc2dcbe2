//! Who may use a link.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// Whom a link serves; everybody else is refused before anything reaches the callee.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Peers {
    /// Whoever reaches it.
    #[default]
    Anybody,
    /// Those on an environment's own networks, but not this machine, whose address there is the gateway.
    On {
        /// The subnets of the networks.
        subnets: Vec<IpNet>,
        /// This machine's address on them, at which links are bound.
        gateway: IpAddr,
    },
}

impl Peers {
    /// Whether the link serves a peer.
    pub(super) fn include(&self, peer: SocketAddr) -> bool {
        let Self::On { subnets, gateway } = self else { return true };
        // An IPv4 peer of a socket for both families has an address of IPv6.
        let peer = peer.ip().to_canonical();
        peer != *gateway && subnets.iter().any(|subnet| subnet.contains(&peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_on_the_networks_are_served() {
        let subnets = ["172.18.0.0/16", "fd00:1::/64"].map(|subnet| subnet.parse().unwrap()).to_vec();
        let own = Peers::On { subnets, gateway: [172, 18, 0, 1].into() };
        let serves = |peer: &str| own.include(SocketAddr::new(peer.parse().unwrap(), 1));
        for served in ["172.18.0.2", "172.18.255.254", "fd00:1::2", "::ffff:172.18.0.2"] {
            assert!(serves(served), "{served}");
        }
        let outside = ["172.19.0.2", "172.17.0.2", "192.0.2.2", "fd00:2::2", "::ffff:172.19.0.2"];
        let local = ["172.18.0.1", "::ffff:172.18.0.1", "127.0.0.1", "::1"];
        for stranger in outside.into_iter().chain(local) {
            assert!(!serves(stranger), "{stranger}");
        }
        assert!(Peers::Anybody.include(SocketAddr::new([127, 0, 0, 1].into(), 1)));
    }
}
