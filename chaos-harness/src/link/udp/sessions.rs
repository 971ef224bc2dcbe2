//! The table of callers, each with its own socket to the callee, as in a NAT.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::{AbortHandle, Abortable};
use futures::stream::FuturesUnordered;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::counters::UdpCounters;

/// Most sessions of a link; tests have few descriptors.
pub(super) const MAX_SESSIONS: usize = if cfg!(test) { 64 } else { 4096 };

/// A session ends after this long without a datagram of either way: what RFC 4787 recommends (REQ-5), and more than the
/// two minutes that it demands.
pub(super) const IDLE: Duration = Duration::from_secs(5 * 60);

/// What the kernel may hold for a socket, in bytes, as far as its own limit (`net.core.rmem_max`) allows.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Either something to read or an ICMP error.
const NEWS: Interest = Interest::READABLE.add(Interest::ERROR);

/// Binds `addr`, a free port where that is 0.
pub(super) fn listen(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(addr.ip())?;
    socket.bind(&addr.into())?;
    UdpSocket::from_std(socket.into())
}

fn socket(peer: IpAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(SocketAddr::new(peer, 0)), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // A smaller buffer only loses earlier.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    Ok(socket)
}

/// A socket that speaks with `callee` only, from the address that the system routes from.
fn connect(callee: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(callee.ip())?;
    socket.connect(&callee.into())?;
    // What came between getting a port and being connected can be from anybody.
    while (&socket).read(&mut [0]).is_ok() {}
    UdpSocket::from_std(socket.into())
}

#[derive(Default)]
pub(super) struct Sessions {
    by_caller: HashMap<SocketAddr, Session>,
    /// The least recently used first.
    by_use: BTreeMap<Use, SocketAddr>,
    next_use: u64,
    /// Each becomes ready when there is news from the callee.
    waiting: FuturesUnordered<Abortable<Pin<Box<dyn Future<Output = SocketAddr> + Send>>>>,
}

type Use = (Instant, u64);

struct Session {
    socket: Arc<UdpSocket>,
    callee: SocketAddr,
    used: Use,
    waiting: AbortHandle,
}

impl Sessions {
    /// The caller's socket to `callee`; the same port as long as the session lasts and the callee stays where it is.
    pub(super) fn socket(
        &mut self,
        caller: SocketAddr,
        callee: SocketAddr,
        counters: &UdpCounters,
    ) -> io::Result<Arc<UdpSocket>> {
        if self.by_caller.get(&caller).is_none_or(|session| session.callee != callee) {
            self.close(caller, counters);
            self.open(caller, callee, counters)?;
        }
        self.touch(caller);
        let session = self.by_caller.get(&caller).ok_or(io::ErrorKind::NotConnected)?;
        Ok(Arc::clone(&session.socket))
    }

    /// The next caller whose callee has something to say; wait for it again with [`Self::wait`].
    pub(super) fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<(SocketAddr, Arc<UdpSocket>)> {
        while let Poll::Ready(Some(news)) = self.waiting.poll_next_unpin(cx) {
            if let Ok(caller) = news
                && let Some(session) = self.by_caller.get(&caller)
            {
                return Poll::Ready((caller, Arc::clone(&session.socket)));
            }
        }
        Poll::Pending
    }

    /// Waits for the next news of a caller.
    pub(super) fn wait(&mut self, caller: SocketAddr) {
        let Some(session) = self.by_caller.get_mut(&caller) else { return };
        let socket = Arc::clone(&session.socket);
        let (handle, registration) = AbortHandle::new_pair();
        session.waiting = handle;
        let ready = async move {
            // An error shows up again in the reading.
            let _ = socket.ready(NEWS).await;
            caller
        };
        self.waiting.push(Abortable::new(Box::pin(ready), registration));
    }

    /// Notes that the session is in use.
    pub(super) fn touch(&mut self, caller: SocketAddr) {
        let Some(session) = self.by_caller.get_mut(&caller) else { return };
        self.by_use.remove(&session.used);
        session.used = (Instant::now(), self.next_use);
        self.next_use += 1;
        self.by_use.insert(session.used, caller);
    }

    /// Ends the sessions that have been silent for too long.
    pub(super) fn expire(&mut self, now: Instant, counters: &UdpCounters) {
        while let Some(caller) = self.oldest().filter(|_| self.deadline().is_some_and(|deadline| deadline <= now)) {
            self.close(caller, counters);
        }
    }

    /// When the next session ends if it stays silent.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.by_use.first_key_value().map(|((used, _), _)| *used + IDLE)
    }

    /// Ends all.
    pub(super) fn clear(&mut self, counters: &UdpCounters) {
        while let Some(caller) = self.oldest() {
            self.close(caller, counters);
        }
    }

    fn oldest(&self) -> Option<SocketAddr> {
        self.by_use.first_key_value().map(|(_, caller)| *caller)
    }

    fn open(&mut self, caller: SocketAddr, callee: SocketAddr, counters: &UdpCounters) -> io::Result<()> {
        if self.by_caller.len() >= MAX_SESSIONS {
            self.evict(counters);
        }
        let socket = connect(callee).or_else(|error| match lacks_descriptors(&error) && self.evict(counters) {
            true => connect(callee),
            false => Err(error),
        });
        let socket = Arc::new(socket?);
        let used = (Instant::now(), self.next_use);
        self.next_use += 1;
        self.by_use.insert(used, caller);
        self.by_caller.insert(caller, Session { socket, callee, used, waiting: AbortHandle::new_pair().0 });
        self.wait(caller);
        counters.sessions.add(1);
        counters.active_sessions.add(1);
        Ok(())
    }

    /// Makes room for a new session; says whether there was one to go.
    fn evict(&mut self, counters: &UdpCounters) -> bool {
        let oldest = self.oldest();
        if let Some(caller) = oldest {
            self.close(caller, counters);
            counters.evicted.add(1);
        }
        oldest.is_some()
    }

    fn close(&mut self, caller: SocketAddr, counters: &UdpCounters) {
        if let Some(session) = self.by_caller.remove(&caller) {
            session.waiting.abort();
            self.by_use.remove(&session.used);
            counters.active_sessions.subtract(1);
        }
    }
}

/// Whether the process or the system has no file descriptor to give.
fn lacks_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    Errno::from_io_error(error).is_some_and(|errno| [Errno::MFILE, Errno::NFILE].contains(&errno))
}

/// Reads one datagram, an ICMP error, or `WouldBlock`.
pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = |news| socket.try_io(news, || (&*SockRef::from(socket)).read(buffer));
    // One interest at a time, since tokio looks at no socket for two at once.
    match read(Interest::READABLE) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => read(Interest::ERROR),
        result => result,
    }
}
