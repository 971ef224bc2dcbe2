//! The UDP link: a declared dependency over datagrams, in the harness's hands.
//!
//! The caller sends to [`UdpLink::addr`], which stays the same while the callee comes and goes; the link sends on from
//! one socket per caller address, as a NAT does, so that answers find back. [`UdpToxics`] lose, delay, duplicate,
//! reorder, corrupt or throttle datagrams while it works. It needs no privileges and runs in the test process.
//!
//! # Map, in the order in which a datagram sees it
//!
//! | file | holds |
//! |---|---|
//! | `relay.rs` | the one task of a link: reads the sockets, moves what is due, sends |
//! | `path.rs` | one way through the link: a stage per toxic, and what has passed them |
//! | `stage.rs` | one toxic on one way: its dice, and what it holds back |
//! | `toxic/` | the kinds of toxic, one file each |
//! | `sessions.rs` | the table of callers, each with its socket to the callee |
//! | `control.rs` | what the task and the handles share; changes of toxics |
//!
//! # Guarantees
//!
//! - Without a toxic each datagram that is read is sent once, unchanged, in order, empty ones too; the kernel may drop
//!   what comes faster than it is read, as anywhere.
//! - A change of toxics holds for every datagram when the call returns, those that are held back included, and waits
//!   for nobody.
//! - The same seed makes the same decisions for the same sequence of datagrams: each toxic draws once per datagram that
//!   reaches it, per way, over all sessions of the link. Toxics count in the order of addition.
//! - Delays are exact to a fraction of a millisecond: they use the alarms of `link/timer.rs`.
//! - A session lasts until nothing has gone either way for five minutes (RFC 4787).
//! - Bounded: 4,096 sessions, each with a descriptor. Beyond that, or when there is no descriptor left, the least recently
//!   used goes for each new one and is counted as evicted: an answer to it is lost, and its next datagram leaves from
//!   another port. 32 MiB held per way, what comes on top is lost and counted, as in a router.
//! - Only the address asked for is bound. Datagrams go to the callee, and to callers in answer, to nobody else.
//! - After [`UdpLink::shutdown`] there is no task or descriptor left; dropping the link does the same without waiting.
//!
//! # What a caller cannot see
//!
//! When nobody listens at the callee, its host answers with an ICMP error, which only the kernel can send. So through
//! the link a callee that is down looks like one that is silent; the error is counted as `unreachable`.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

mod control;
mod counters;
mod path;
mod relay;
mod sessions;
mod stage;
#[cfg(test)]
mod tests;
pub mod toxic;

pub use control::UdpToxics;
pub use counters::UdpCountersSnapshot;
pub use toxic::{UdpToxic, UdpToxicSpec};

use super::{LinkError, Peers};
use control::Shared;
use relay::Relay;

/// A UDP proxy that stands for one link.
pub struct UdpLink {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl UdpLink {
    /// Binds a free port of `addr`; the callee is down until [`Self::set_upstream`].
    ///
    /// # Errors
    /// `addr` stands for all interfaces or is not this machine's, or there is no tokio runtime.
    pub fn bind(addr: IpAddr, seed: u64) -> Result<Self, LinkError> {
        if addr.is_unspecified() {
            return Err(LinkError::Unspecified(addr));
        }
        Self::bind_at(SocketAddr::new(addr, 0), seed)
    }

    /// Binds exactly `addr`, as where a link over TCP listens; port 0 stands for a free one.
    ///
    /// # Errors
    /// The port is in use, the address is not this machine's, or there is no tokio runtime.
    pub fn bind_at(addr: SocketAddr, seed: u64) -> Result<Self, LinkError> {
        Self::bind_for(addr, seed, Peers::Anybody)
    }

    /// The same, for `peers` alone: the datagrams of others are dropped and counted.
    ///
    /// # Errors
    /// As for [`Self::bind_at`].
    pub fn bind_for(addr: SocketAddr, seed: u64, peers: Peers) -> Result<Self, LinkError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => LinkError::PortInUse(addr),
            _ => LinkError::Bind { addr: addr.ip(), source },
        };
        let runtime = Handle::try_current().map_err(|_| LinkError::NoRuntime)?;
        let listener = sessions::listen(addr).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::new(bound, seed));
        let task = runtime.spawn(Relay::new(Arc::clone(&shared), listener, peers));
        Ok(Self { shared, task })
    }

    /// Where the caller sends; the same for as long as the link lives.
    pub fn addr(&self) -> SocketAddr {
        self.shared.addr
    }

    /// Sets where the callee listens, or that it is down. Every datagram goes to where the callee is when it leaves.
    pub fn set_upstream(&self, upstream: Option<SocketAddr>) {
        self.shared.state.lock().upstream = upstream;
    }

    /// The handle to change toxics with.
    pub fn toxics(&self) -> UdpToxics {
        UdpToxics { shared: Arc::clone(&self.shared) }
    }

    /// What the link has counted up to now.
    pub fn counters(&self) -> UdpCountersSnapshot {
        self.shared.counters.snapshot()
    }

    /// Closes every socket, and returns when nothing of the link is left. What it held back is lost.
    pub async fn shutdown(mut self) {
        self.close();
        // An error says that it was cancelled, as it should be.
        let _ = (&mut self.task).await;
    }

    fn close(&self) {
        self.shared.close();
        self.task.abort();
    }
}

impl fmt::Debug for UdpLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpLink").field("addr", &self.addr()).field("toxics", &self.toxics()).finish()
    }
}

impl Drop for UdpLink {
    fn drop(&mut self) {
        self.close();
    }
}
