//! A question to a name server, as it is seen in a packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is asked, and whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) server: IpAddr,
    /// Name, type and class, as they are on the wire.
    pub(crate) asked: Vec<u8>,
}

impl Question {
    /// The first question in a UDP packet that begins with its network header; `None` when it has none.
    pub(crate) fn read(packet: &[u8]) -> Option<Self> {
        const UDP_HEADER: usize = 8;
        const DNS_HEADER: usize = 12;
        let (server, header) = server(packet)?;
        let question = packet.get(header + UDP_HEADER + DNS_HEADER..)?;
        let mut end = 0;
        while *question.get(end)? > 0 {
            end += 1 + usize::from(question[end]);
        }
        const TYPE_AND_CLASS: usize = 4;
        Some(Self { server, asked: question.get(..end + 1 + TYPE_AND_CLASS)?.to_vec() })
    }
}

/// Where a packet goes, and how long its network header is. One of IPv6 is taken to have no extensions.
fn server(packet: &[u8]) -> Option<(IpAddr, usize)> {
    match packet.first()? >> 4 {
        4 => {
            let address = Ipv4Addr::from(*packet.get(16..)?.first_chunk::<4>()?);
            Some((address.into(), usize::from(packet[0] & 15) * 4))
        }
        6 => Some((Ipv6Addr::from(*packet.get(24..)?.first_chunk::<16>()?).into(), 40)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &[u8] = b"\x09localhost\x00\x00\x01\x00\x01";

    fn packet(server: [u8; 4], asked: &[u8]) -> Vec<u8> {
        let ip = [&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1][..], &server].concat();
        [&ip[..], &[0; 8], &[0; 12], asked].concat()
    }

    #[test]
    fn a_question_is_read_and_nothing_else() {
        let found = Question::read(&packet([127, 0, 0, 11], &[ASKED, b"and more"].concat())).unwrap();
        assert_eq!(found, Question { server: Ipv4Addr::new(127, 0, 0, 11).into(), asked: ASKED.to_vec() });
        let whole = packet([127, 0, 0, 11], ASKED);
        for length in 0..whole.len() {
            assert_eq!(Question::read(&whole[..length]), None, "{length}");
        }
        assert_eq!(Question::read(&packet([127, 0, 0, 11], &[0xff; 40])), None);
    }
}
