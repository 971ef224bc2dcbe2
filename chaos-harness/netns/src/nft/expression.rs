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
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
/// The loopback interface is the first of every namespace.
const LOOPBACK: u32 = 1;
const NF_DROP: u32 = 0;
/// The flag of a queue that lets packets pass while nobody has it.
const BYPASS: u16 = 1;
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

    pub(super) fn counter(self) -> Self {
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

    /// A rule for TCP, and one for the rest. What leaves to reject something else is let through: TCP resets, and ICMP.
    fn reject(self, way: Way) -> Vec<Self> {
        const UNREACHABLE: u32 = 2;
        const RESET: u32 = 1;
        const NO_PORT: u8 = 1;
        let rejected = |kind: u32| Attributes::new().be32(1, kind);
        let mut tcp = self.clone().transport(Transport::Tcp);
        let mut rest = self.meta(META_L4).compare(Is::Unequal, &[TCP]);
        if way == Way::Out {
            const FLAGS: u32 = 13;
            tcp = tcp.payload(TRANSPORT_HEADER, FLAGS, 1).masked(0x04).compare(Is::Equal, &[0]);
            rest = rest.meta(META_L4).compare(Is::Unequal, &[ICMP]).meta(META_L4).compare(Is::Unequal, &[ICMP6]);
        }
        let unreachable = rejected(UNREACHABLE).bytes(2, &[NO_PORT]);
        vec![tcp.counter().with("reject", rejected(RESET)), rest.counter().with("reject", unreachable)]
    }

    fn masked(self, mask: u8) -> Self {
        let value = |byte: u8| Attributes::new().bytes(1, &[byte]);
        let data = Attributes::new().be32(1, REGISTER).be32(2, REGISTER).be32(3, 1);
        self.with("bitwise", data.nested(4, value(mask)).nested(5, value(0)))
    }

    fn drop(self) -> Self {
        let verdict = Attributes::new().nested(2, Attributes::new().be32(1, NF_DROP));
        self.with("immediate", Attributes::new().be32(1, VERDICT_REGISTER).nested(2, verdict))
    }

    /// Has the packet wait in queue `number`; it goes on while nobody has that queue.
    pub(super) fn queue(self, number: u16) -> Self {
        let [number, queues] = [number, 1].map(u16::to_be_bytes);
        self.with("queue", Attributes::new().bytes(1, &number).bytes(2, &queues).bytes(3, &BYPASS.to_be_bytes()))
    }

    /// The same by the target of iptables, for a kernel that lacks the expression.
    pub(super) fn queue_by_target(self, number: u16) -> Self {
        const REVISION: u32 = 3;
        // `struct xt_NFQ_info_v3`, aligned.
        let options: Vec<u8> = [number, 1, BYPASS, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.with("target", Attributes::new().text(1, "NFQUEUE").be32(2, REVISION).bytes(3, &options))
    }

    /// What happens to the packets, each rule counting what it meets and then what it takes.
    pub(super) fn rules(self, way: Way, action: Action) -> Vec<Self> {
        match action {
            Action::Reject => self.reject(way),
            Action::Drop => vec![self.counter().drop()],
            _ => vec![self.counter().chosen(action).counter().drop()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `nft --debug=mnl add rule inet t o queue num 7 bypass`: kernels without the expression cannot tell.
    #[test]
    fn a_queue_is_written_as_nft_writes_it() {
        let expected = b"\x2c\x00\x01\x80\x0a\x00\x01\x00queue\x00\x00\x00\x1c\x00\x02\x80\
            \x06\x00\x01\x00\x00\x07\x00\x00\x06\x00\x02\x00\x00\x01\x00\x00\x06\x00\x03\x00\x00\x01\x00\x00";
        assert_eq!(Expressions::default().queue(7).list().written(), expected);
    }
}
