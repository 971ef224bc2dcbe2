//! The network interfaces of a namespace.

use std::io;

use crate::netlink::{Attributes, DUMP, Message, Socket, attribute};

const RTM_GETLINK: u16 = 18;
const IFLA_IFNAME: u16 = 3;
const IFF_LOOPBACK: u32 = 8;
/// `struct ifinfomsg`.
const STRUCTURE: usize = 16;

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) index: i32,
    pub(crate) name: String,
    pub(crate) is_loopback: bool,
}

/// Those of the calling thread's namespace.
pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    let request = Message::new(RTM_GETLINK, DUMP, &[0; STRUCTURE], Attributes::new());
    let found = Socket::route()?.dump(request)?;
    Ok(found.iter().filter_map(|payload| read(payload)).collect())
}

fn read(payload: &[u8]) -> Option<Interface> {
    let (structure, rest) = payload.split_first_chunk::<STRUCTURE>()?;
    let word = |at: usize| [structure[at], structure[at + 1], structure[at + 2], structure[at + 3]];
    let name = attribute(rest, IFLA_IFNAME)?.split(|byte| *byte == 0).next()?;
    Some(Interface {
        index: i32::from_ne_bytes(word(4)),
        name: String::from_utf8_lossy(name).into_owned(),
        is_loopback: u32::from_ne_bytes(word(8)) & IFF_LOOPBACK != 0,
    })
}
