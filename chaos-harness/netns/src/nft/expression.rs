//! The expressions of nftables that rules are made of, as the kernel's `nf_tables.h` numbers them.

use std::net::IpAddr;

use crate::netlink::Attributes;
use crate::rules::{Action, Packets, Transport, Way};

const REGISTER: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
const META_PROTOCOL: u32 = 1;
const META_IN: u32 = 4;
const META_OUT: u32 = 5;
const META_L4: u32 = 16;
const ETHERTYPE_IP: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IP6: [u8; 2] = [0x86, 0xdd];
const TCP: u8 = 6;
const UDP: u8 = 17;
/// The loopback interface is the first of every namespace.
const LOOPBACK: u32 = 1;
const NF_DROP: u32 = 0;
/// What shares are counted in.
const PARTS: u32 = 1_000_000_000;

/// How two values are compared.
#[derive(Clone, Copy)]
enum Is {
    Equal = 0,
    Unequal = 1,
    Less = 2,
}

/// The expressions of one rule, in order.
#[derive(Clone, Default)]
pub(super) struct Expressions(Attributes);

impl Expressions {
    pub(super) fn list(self) -> Attributes {
        self.0
    }

    fn with(self, name: &str, data: Attributes) -> Self {
        const ELEMENT: u16 = 1;
        Self(self.0.nested(ELEMENT, Attributes::new().text(1, name).nested(2, data)))
    }

    fn meta(self, key: u32) -> Self {
        self.with("meta", Attributes::new().be32(1, REGISTER).be32(2, key))
    }

    fn payload(self, header: u32, offset: u32, length: u32) -> Self {
        let data = Attributes::new().be32(1, REGISTER).be32(2, header).be32(3, offset).be32(4, length);
        self.with("payload", data)
    }

    fn compare(self, is: Is, value: &[u8]) -> Self {
        let data = Attributes::new().be32(1, REGISTER).be32(2, is as u32);
        self.with("cmp", data.nested(3, Attributes::new().bytes(1, value)))
    }

    /// Goes on unless the packet is on the loopback interface.
    fn off_loopback(self, way: Way) -> Self {
        let key = if way == Way::In { META_IN } else { META_OUT };
        self.meta(key).compare(Is::Unequal, &LOOPBACK.to_ne_bytes())
    }

    fn remote(self, way: Way, remote: IpAddr) -> Self {
        let arrives = way == Way::In;
        match remote {
            IpAddr::V4(address) => {
                let offset = if arrives { 12 } else { 16 };
                let packet = self.meta(META_PROTOCOL).compare(Is::Equal, &ETHERTYPE_IP);
                packet.payload(NETWORK_HEADER, offset, 4).compare(Is::Equal, &address.octets())
            }
            IpAddr::V6(address) => {
                let offset = if arrives { 8 } else { 24 };
                let packet = self.meta(META_PROTOCOL).compare(Is::Equal, &ETHERTYPE_IP6);
                packet.payload(NETWORK_HEADER, offset, 16).compare(Is::Equal, &address.octets())
            }
        }
    }

    fn transport(self, transport: Transport) -> Self {
        let number = if transport == Transport::Tcp { TCP } else { UDP };
        self.meta(META_L4).compare(Is::Equal, &[number])
    }

    fn port(self, is_source: bool, (transport, port): (Transport, u16)) -> Self {
        let offset = if is_source { 0 } else { 2 };
        self.transport(transport).payload(TRANSPORT_HEADER, offset, 2).compare(Is::Equal, &port.to_be_bytes())
    }

    /// Goes on with `packets` alone. Who speaks to whom is found out over ARP, which is left alone: a fault that is
    /// over would else be felt until the next question.
    pub(super) fn packets(mut self, way: Way, packets: &Packets, loopback: bool) -> Self {
        if !loopback {
            self = self.off_loopback(way);
        }
        self = match packets.remote {
            Some(remote) => self.remote(way, remote),
            None => self.meta(META_PROTOCOL).compare(Is::Unequal, &ETHERTYPE_ARP),
        };
        if let Some(port) = packets.remote_port {
            self = self.port(way == Way::In, port);
        }
        match packets.local_port {
            Some(port) => self.port(way == Way::Out, port),
            None => self,
        }
    }

    fn counter(self) -> Self {
        self.with("counter", Attributes::new())
    }

    /// Goes on with every packet for which the kernel's dice, or its count, say so.
    fn chosen(self, action: Action) -> Self {
        let number = |self_: Self, modulus: u32, random: u32| {
            self_.with("numgen", Attributes::new().be32(1, REGISTER).be32(2, modulus).be32(3, random))
        };
        match action {
            Action::Lose(share) => {
                // Comparing goes byte by byte, so the number is put into network order first.
                let order = Attributes::new().be32(1, REGISTER).be32(2, REGISTER).be32(3, 1).be32(4, 4).be32(5, 4);
                let below = (share.clamp(0.0, 1.0) * f64::from(PARTS)).round() as u32;
                number(self, PARTS, 1).with("byteorder", order).compare(Is::Less, &below.to_be_bytes())
            }
            Action::LoseEvery(n) => {
                let last = n.saturating_sub(1);
                number(self, n.max(1), 0).compare(Is::Equal, &last.to_ne_bytes())
            }
            Action::Limit(bytes_per_second) => {
                const BYTES: u32 = 1;
                const BEYOND: u32 = 1;
                let limit = Attributes::new().be64(1, bytes_per_second).be64(2, 1).be32(3, 0).be32(4, BYTES);
                self.with("limit", limit.be32(5, BEYOND))
            }
            Action::Drop | Action::Reject => self,
        }
    }

    fn drop(self) -> Self {
        let verdict = Attributes::new().nested(2, Attributes::new().be32(1, NF_DROP));
        self.with("immediate", Attributes::new().be32(1, VERDICT_REGISTER).nested(2, verdict))
    }

    /// What happens to the packets, each rule counting what it meets and then what it takes.
    pub(super) fn rules(self, action: Action) -> Vec<Self> {
        const UNREACHABLE: u32 = 2;
        const RESET: u32 = 1;
        const NO_PORT: u8 = 1;
        match action {
            Action::Reject => {
                let reject = |kind: u32| Attributes::new().be32(1, kind);
                let reset = self.clone().transport(Transport::Tcp).counter().with("reject", reject(RESET));
                let unreachable = self.counter().with("reject", reject(UNREACHABLE).bytes(2, &[NO_PORT]));
                vec![reset, unreachable]
            }
            Action::Drop => vec![self.counter().drop()],
            _ => vec![self.counter().chosen(action).counter().drop()],
        }
    }
}
