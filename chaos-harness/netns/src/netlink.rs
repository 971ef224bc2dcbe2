//! As much of netlink as it takes: messages of nested attributes, answers, dumps.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size, set_socket_timeout};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// The kernel answers at once; this only keeps a mistake from becoming a hang.
const PATIENCE: Duration = Duration::from_secs(5);
const HEADER: usize = 16;
const NESTED: u16 = 1 << 15;
const KIND_MASK: u16 = !(3 << 14);

const ERROR: u16 = 2;
const DONE: u16 = 3;

/// Flags of a message.
pub(crate) const REQUEST: u16 = 1;
pub(crate) const ACK: u16 = 4;
pub(crate) const DUMP: u16 = 0x300;
pub(crate) const REPLACE: u16 = 0x100;
pub(crate) const CREATE: u16 = 0x400;

/// A list of attributes, to be written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Begins with a fixed structure, as some kernel interfaces have it.
    pub(crate) fn after(structure: &[u8]) -> Self {
        Self(structure.to_vec())
    }

    pub(crate) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat())
    }

    #[cfg(test)]
    pub(crate) fn written(&self) -> &[u8] {
        &self.0
    }

    /// A number in network order, as netfilter has them.
    pub(crate) fn be32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn be64(self, kind: u16, value: u64) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn nested(self, kind: u16, inner: Self) -> Self {
        self.bytes(kind | NESTED, &inner.0)
    }
}

/// One message; its number is given when it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    pub(crate) fn new(kind: u16, flags: u16, structure: &[u8], attributes: Attributes) -> Self {
        let length = HEADER + structure.len() + attributes.0.len();
        let mut bytes = Vec::with_capacity(length);
        bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags | REQUEST).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(structure);
        bytes.extend(attributes.0);
        Self(bytes)
    }

    fn wants_answer(&self) -> bool {
        u16::from_ne_bytes([self.0[6], self.0[7]]) & ACK != 0
    }
}

/// A message that was received.
pub(crate) struct Received {
    pub(crate) kind: u16,
    number: u32,
    pub(crate) payload: Vec<u8>,
}

/// A socket to the kernel, in the network namespace of the thread that opened it.
pub(crate) struct Socket {
    socket: OwnedFd,
    next: u32,
}

impl Socket {
    /// To what knows interfaces and queueing disciplines.
    pub(crate) fn route() -> io::Result<Self> {
        // It is protocol number 0, which is also no protocol.
        Self::open(None)
    }

    /// To what knows rules for packets.
    pub(crate) fn netfilter() -> io::Result<Self> {
        Self::open(Some(netlink::NETFILTER))
    }

    fn open(protocol: Option<Protocol>) -> io::Result<Self> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        // Every message of a batch is answered with a copy of itself.
        set_socket_recv_buffer_size(&socket, 1 << 20)?;
        Ok(Self { socket, next: 1 })
    }

    /// Sends `messages` in one piece and waits for the answer to each that asks for one.
    pub(crate) fn transact(&mut self, messages: &[Message]) -> io::Result<()> {
        let first = self.next;
        let mut awaited: BTreeSet<u32> = self.send(messages)?;
        let mut refused = None;
        while !awaited.is_empty() {
            for received in self.receive(RecvFlags::empty())? {
                let Some(errno) = received.errno() else { continue };
                awaited.remove(&received.number);
                if let Err(error) = errno {
                    refused = refused.or(Some(error));
                    // A batch that is refused as a whole is answered at its first message alone.
                    if received.number == first {
                        awaited.clear();
                    }
                }
            }
        }
        refused.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Sends a request and returns the payloads of all answers.
    pub(crate) fn dump(&mut self, request: Message) -> io::Result<Vec<Vec<u8>>> {
        self.send(&[request])?;
        let mut payloads = Vec::new();
        loop {
            for received in self.receive(RecvFlags::empty())? {
                match received.errno() {
                    Some(Err(error)) => return Err(error.into()),
                    Some(Ok(())) => return Ok(payloads),
                    None => payloads.push(received.payload),
                }
            }
        }
    }

    /// Sends a message that is not answered.
    pub(crate) fn post(&mut self, message: Message) -> io::Result<()> {
        self.send(&[message]).map(drop)
    }

    /// What the kernel has sent by itself; nothing when there is nothing.
    pub(crate) fn heard(&mut self) -> io::Result<Vec<Received>> {
        match self.receive(RecvFlags::DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
            other => other,
        }
    }

    /// The numbers of those that ask for an answer.
    fn send(&mut self, messages: &[Message]) -> io::Result<BTreeSet<u32>> {
        let (mut bytes, mut awaited) = (Vec::new(), BTreeSet::new());
        for message in messages {
            let at = bytes.len();
            bytes.extend(&message.0);
            bytes[at + 8..at + 12].copy_from_slice(&self.next.to_ne_bytes());
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            if message.wants_answer() {
                awaited.insert(self.next);
            }
            self.next += 1;
        }
        sendto(&self.socket, &bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        Ok(awaited)
    }

    fn receive(&mut self, flags: RecvFlags) -> io::Result<Vec<Received>> {
        let mut buffer = vec![0; 1 << 18];
        let (length, _) = loop {
            match recv(&self.socket, &mut buffer[..], flags) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        Ok(messages(&buffer[..length]))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Received {
    /// `None` for a message with content; else whether the request, or the dump, went well.
    fn errno(&self) -> Option<Result<(), Errno>> {
        if self.kind != ERROR && self.kind != DONE {
            return None;
        }
        let code = number(&self.payload).unwrap_or(0);
        Some(if code == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(code.wrapping_neg())) })
    }
}

fn number(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes))
}

fn messages(mut bytes: &[u8]) -> Vec<Received> {
    let mut messages = Vec::new();
    while let Some(header) = bytes.first_chunk::<HEADER>() {
        let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let length = word(0) as usize;
        if length < HEADER || length > bytes.len() {
            break;
        }
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        messages.push(Received { kind, number: word(8), payload: bytes[HEADER..length].to_vec() });
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    messages
}

/// The attributes in `bytes`, by kind.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = bytes.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & KIND_MASK;
        let value = bytes.get(4..length)?;
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
        Some((kind, value))
    })
}

/// The first attribute of `kind`.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}
