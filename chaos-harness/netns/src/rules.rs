//! Rules for packets, as plain data.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The rules of one injection: a table of its own, so that they come and go together and leave others alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// The name of the table.
    pub table: String,
    /// Whether they hold on the loopback interface too.
    pub loopback: bool,
    /// Each is asked in turn; the first that takes a packet decides.
    pub rules: Vec<Rule>,
}

/// What happens to which packets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Seen from the namespace.
    pub way: Way,
    /// Which packets.
    pub packets: Packets,
    /// What happens to them.
    pub action: Action,
}

/// The way of a packet, seen from the namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// It arrives.
    In,
    /// It leaves.
    Out,
}

/// Which packets: those that have all that is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packets {
    /// The other side.
    pub remote: Option<IpAddr>,
    /// The port of the other side.
    pub remote_port: Option<(Transport, u16)>,
    /// The port on this side.
    pub local_port: Option<(Transport, u16)>,
}

/// What carries a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// A stream.
    Tcp,
    /// Datagrams.
    Udp,
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It vanishes.
    Drop,
    /// It is answered with a TCP reset, or with ICMP "port unreachable".
    Reject,
    /// This share of them vanishes, by the kernel's own dice.
    Lose(f64),
    /// Every `n`th of them vanishes.
    LoseEvery(u32),
    /// Those beyond so many bytes a second vanish. The bucket holds one second.
    Limit(u64),
}

impl Rules {
    /// Whether it takes the hooks of the network layer: nothing can be rejected at an interface, and what is local
    /// is easier met there.
    pub(crate) fn need_network_layer(&self) -> bool {
        self.loopback || self.rules.iter().any(|rule| rule.action == Action::Reject)
    }
}
