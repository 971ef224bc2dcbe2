//! How a test writes a fault on the network: `network("order").peer("inventory").cut()`.

use std::time::Duration;

use super::{
    Cut, DnsDelay, DnsFailure, Losses, Mechanism, NetemFault, NetworkLoss, NetworkPlace, NetworkRate, Partition, Ways,
};
use crate::fault::{Injection, Instances};

/// The network of the service `name`, to apply a fault to: to all that it sends and receives, unless
/// [`peer`](NetworkRef::peer) names one other service.
///
/// These faults act in the kernel, on packets. They need containers, and `CAP_SYS_ADMIN` and `CAP_NET_ADMIN` or a
/// helper container, which is built when it is first needed (`CHAOS_NETWORK_HELPER_IMAGE` names another image).
///
/// ```
/// use chaos_harness::fault::network;
///
/// let lossy = network("order").peer("inventory").loss(0.1);
/// assert_eq!(lossy.fault.to_string(), "10% of packets lost on order <-> inventory");
/// ```
pub fn network(name: impl Into<String>) -> NetworkRef {
    let on = Instances { service: name.into(), instance: None };
    let place = NetworkPlace { on, peer: None, ways: Ways::Both };
    NetworkRef { place, mechanism: Mechanism::Auto }
}

/// The services fall into `groups` that cannot reach each other: no packet passes. Those in no group reach all.
///
/// ```
/// use chaos_harness::fault::partition;
///
/// let split = partition([vec!["order", "inventory"], vec!["product"]]);
/// assert_eq!(split.fault.to_string(), "partition order, inventory | product");
/// ```
pub fn partition<G, S>(groups: impl IntoIterator<Item = G>) -> Injection
where
    G: IntoIterator<Item = S>,
    S: Into<String>,
{
    let groups = groups.into_iter().map(|group| group.into_iter().map(Into::into).collect()).collect();
    Injection::new(Partition { groups, reject: false })
}

/// [`partition`](crate::fault::partition) as people draw it.
///
/// ```
/// use chaos_harness::prelude::*;
///
/// let split = partition! { order, inventory | product };
/// assert_eq!(split.fault.to_string(), "partition order, inventory | product");
/// ```
///
/// A single group is no partition:
///
/// ```compile_fail
/// use chaos_harness::prelude::*;
///
/// let whole = partition! { order, inventory };
/// ```
#[macro_export]
macro_rules! partition {
    ($($first:ident),+ | $($($other:ident),+)|+) => {
        $crate::fault::partition([
            ::std::vec![$(::core::stringify!($first)),+],
            $(::std::vec![$(::core::stringify!($other)),+]),+
        ])
    };
}

/// A network to apply a fault to; see [`network`].
#[derive(Clone, Debug)]
#[must_use = "a network by itself does nothing; name a fault, such as `.cut()`"]
pub struct NetworkRef {
    place: NetworkPlace,
    mechanism: Mechanism,
}

impl NetworkRef {
    /// Only the instance with this ordinal, from 1.
    pub fn instance(mut self, ordinal: u16) -> Self {
        self.place.on.instance = Some(ordinal);
        self
    }

    /// Only what passes between the service and `peer`: on the links between them, and past the links. For a service
    /// that no other one calls, it may be `users`.
    pub fn peer(mut self, peer: impl Into<String>) -> Self {
        self.place.peer = Some(peer.into());
        self
    }

    /// Only what the service sends.
    ///
    /// ```
    /// use chaos_harness::fault::network;
    ///
    /// let mute = network("order").peer("inventory").outbound().cut();
    /// assert_eq!(mute.fault.to_string(), "packets dropped on order -> inventory");
    /// ```
    pub fn outbound(mut self) -> Self {
        self.place.ways = Ways::Out;
        self
    }

    /// Only what the service receives.
    pub fn inbound(mut self) -> Self {
        self.place.ways = Ways::In;
        self
    }

    /// Latency is the kernel's or none; without this, a kernel that has no netem has the link proxy do it in its stead.
    pub fn in_kernel(mut self) -> Self {
        self.mechanism = Mechanism::Kernel;
        self
    }

    /// No packet passes, and nobody is told: connections hang.
    pub fn cut(self) -> Injection {
        Injection::new(Cut { place: self.place, reject: false })
    }

    /// No packet passes, and the sender is told at once: connections are refused.
    ///
    /// ```
    /// use chaos_harness::fault::network;
    ///
    /// assert_eq!(network("order").reject().fault.to_string(), "packets rejected on order");
    /// ```
    pub fn reject(self) -> Injection {
        Injection::new(Cut { place: self.place, reject: true })
    }

    /// This share of the packets is lost, above 0 and at most 1.
    pub fn loss(self, share: f64) -> Injection {
        Injection::new(NetworkLoss { place: self.place, losses: Losses::Share(share) })
    }

    /// Every `n`th packet is lost.
    ///
    /// ```
    /// use chaos_harness::fault::network;
    ///
    /// assert_eq!(network("order").loss_every(10).fault.to_string(), "1 in 10 packets lost on order");
    /// ```
    pub fn loss_every(self, n: u32) -> Injection {
        Injection::new(NetworkLoss { place: self.place, losses: Losses::Every(n) })
    }

    /// Packets beyond `rate` bytes per second are dropped, each way by itself.
    ///
    /// ```
    /// use chaos_harness::fault::network;
    ///
    /// assert_eq!(network("order").rate(64_000).fault.to_string(), "packets beyond 64000 B/s dropped on order");
    /// ```
    pub fn rate(self, rate: u64) -> Injection {
        Injection::new(NetworkRate { place: self.place, rate })
    }

    /// What the service sends arrives later by `latency`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use chaos_harness::fault::network;
    ///
    /// let slow = network("order").peer("inventory").latency(Duration::from_millis(100));
    /// assert_eq!(slow.fault.to_string(), "packets delayed by 100ms on order -> inventory");
    /// ```
    pub fn latency(self, latency: Duration) -> Injection {
        self.jittery_latency(latency, Duration::ZERO)
    }

    /// What the service sends arrives later by `latency`, give or take up to `jitter`.
    pub fn jittery_latency(self, latency: Duration, jitter: Duration) -> Injection {
        self.netem(|fault| NetemFault { latency, jitter, ..fault })
    }

    /// This share of what the service sends arrives twice, from 0 to 1.
    pub fn duplicate(self, share: f64) -> Injection {
        self.netem(|fault| NetemFault { duplicate: share, ..fault })
    }

    /// This share of what the service sends overtakes the rest, which arrives later by `latency`.
    pub fn reorder(self, share: f64, latency: Duration) -> Injection {
        self.netem(|fault| NetemFault { reorder: share, latency, ..fault })
    }

    /// In this share of what the service sends one bit is flipped. The receiver's kernel throws most of it away.
    pub fn corrupt(self, share: f64) -> Injection {
        self.netem(|fault| NetemFault { corrupt: share, ..fault })
    }

    /// No name is found: questions to name servers time out.
    ///
    /// ```
    /// use chaos_harness::fault::network;
    ///
    /// assert_eq!(network("order").dns_silent().fault.to_string(), "names not answered on order");
    /// ```
    pub fn dns_silent(self) -> Injection {
        Injection::new(DnsFailure { on: self.place.on, reject: false })
    }

    /// No name is found: questions to name servers are refused at once.
    pub fn dns_refused(self) -> Injection {
        Injection::new(DnsFailure { on: self.place.on, reject: true })
    }

    /// Names are found later by `delay`: questions to name servers wait, those over UDP.
    ///
    /// ```
    /// use std::time::Duration;
    /// use chaos_harness::fault::network;
    ///
    /// let slow = network("order").dns_delay(Duration::from_secs(2));
    /// assert_eq!(slow.fault.to_string(), "names answered 2s later on order");
    /// ```
    pub fn dns_delay(self, delay: Duration) -> Injection {
        Injection::new(DnsDelay { on: self.place.on, delay })
    }

    fn netem(self, with: impl FnOnce(NetemFault) -> NetemFault) -> Injection {
        let mut place = self.place;
        if place.ways == Ways::Both {
            place.ways = Ways::Out;
        }
        Injection::new(with(NetemFault { place, mechanism: self.mechanism, ..NetemFault::default() }))
    }
}
