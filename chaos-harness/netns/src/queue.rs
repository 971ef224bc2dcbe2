//! Packets that wait until this process lets them go, in a queue of the kernel's (`nfnetlink_queue`).
//!
//! The queue ends with its socket: what waits then is lost, and what comes later passes by itself.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;

use crate::netlink::{ACK, Attributes, Message, Received, Socket, attribute};

const SUBSYSTEM: u16 = 3;
const PACKET: u16 = 0;
const VERDICT: u16 = 1;
const CONFIGURE: u16 = 2;
/// Queues are numbered by whoever wants one; few others begin here.
const FIRST: u16 = 0xca05;
const TRIES: u16 = 64;
/// So much of a packet is shown to this process, in bytes: all headers, and the longest question.
const SHOWN: u32 = 512;
/// So many packets may wait; what comes on top passes.
const MOST: u32 = 65_536;

/// A queue of the namespace in which it was made, by whatever thread it is used.
pub(crate) struct Queue {
    socket: Socket,
    number: u16,
}

/// A packet that waits.
pub(crate) struct Waiting {
    /// By which it is let go.
    pub(crate) id: u32,
    /// From its network header on, the beginning of it.
    pub(crate) packet: Vec<u8>,
}

impl Queue {
    /// A queue that nobody else has, in the namespace of the calling thread.
    pub(crate) fn make() -> io::Result<Self> {
        const BIND: [u8; 4] = [1, 0, 0, 0];
        let mut socket = Socket::netfilter()?;
        let mut refused = Errno::BUSY.into();
        for number in FIRST..FIRST + TRIES {
            let bind = Attributes::new().bytes(1, &BIND);
            match socket.transact(&[message(CONFIGURE, ACK, number, bind)]) {
                Ok(()) => {
                    socket.transact(&[message(CONFIGURE, ACK, number, settings())])?;
                    return Ok(Self { socket, number });
                }
                // It is somebody else's, or this process may have none.
                Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::BUSY | Errno::PERM)) => {
                    refused = error
                }
                // The kernel has no such queues.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => return Err(Errno::OPNOTSUPP.into()),
                Err(error) => return Err(error),
            }
        }
        Err(refused)
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// What has come since the last look.
    pub(crate) fn arrived(&mut self) -> io::Result<Vec<Waiting>> {
        match self.socket.heard() {
            // More came at once than the socket holds; those have passed.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => Ok(Vec::new()),
            heard => Ok(heard?.iter().filter_map(waiting).collect()),
        }
    }

    /// Lets a packet go.
    pub(crate) fn release(&mut self, id: u32) -> io::Result<()> {
        const ACCEPT: u32 = 1;
        let verdict = [ACCEPT.to_be_bytes(), id.to_be_bytes()].concat();
        self.socket.post(message(VERDICT, 0, self.number, Attributes::new().bytes(2, &verdict)))
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn message(kind: u16, flags: u16, queue: u16, attributes: Attributes) -> Message {
    let [high, low] = queue.to_be_bytes();
    Message::new(SUBSYSTEM << 8 | kind, flags, &[0, 0, high, low], attributes)
}

fn settings() -> Attributes {
    const COPY_PACKET: u8 = 2;
    /// What does not fit passes.
    const FAIL_OPEN: u32 = 1;
    let shown = [&SHOWN.to_be_bytes()[..], &[COPY_PACKET]].concat();
    Attributes::new().bytes(2, &shown).be32(3, MOST).be32(4, FAIL_OPEN).be32(5, FAIL_OPEN)
}

fn waiting(received: &Received) -> Option<Waiting> {
    const HEADER: u16 = 1;
    const PAYLOAD: u16 = 10;
    if received.kind != SUBSYSTEM << 8 | PACKET {
        return None;
    }
    let attributes = received.payload.get(4..)?;
    let id = u32::from_be_bytes(*attribute(attributes, HEADER)?.first_chunk()?);
    Some(Waiting { id, packet: attribute(attributes, PAYLOAD).unwrap_or_default().to_vec() })
}
