//! The link proxy: a declared dependency, caller to callee, in the harness's hands.
//!
//! The caller connects to [`LinkProxy::addr`], which stays the same while the callee comes and goes;
//! the proxy connects on to wherever the callee listens now. [`Toxics`] make the link slow, silent,
//! refusing or broken, while it works. It needs no privileges and runs in the test process.
//!
//! # Map, in the order in which a byte sees it
//!
//! | file | holds |
//! |---|---|
//! | `peers.rs` | whom the link serves |
//! | `gate.rs` | the listening socket, which can stop to listen and keep its port |
//! | `control.rs` | the toxics of the link and its connections; changes reach every one of them |
//! | `entry.rs` | a toxic of the link: on which connections it acts, when, and what it has counted |
//! | `clock.rs` | the task that makes toxics begin and end as their profiles say |
//! | `absence.rs` | a callee that is down: dialling it, closing the port, finding out when it is back |
//! | `connection.rs` | one connection: two sockets, a lane each way, one task |
//! | `pump.rs` | moves bytes from a socket through a lane to the other socket |
//! | `buffer.rs` | where reads go, without new memory for each |
//! | `spool.rs` | the way from socket to socket without a copy, where no toxic looks at the bytes |
//! | `lane.rs` | what is on its way: stages, one per toxic, and the output behind them |
//! | `urgent.rs` | which of the bytes are urgent data |
//! | `http/` | on a link declared HTTP: follows the messages, and does what HTTP toxics say |
//! | `toxic/` | the kinds of toxic, one file each; their queues, schedules and dice |
//! | `timer.rs` | alarms finer than the runtime's |
//! | `upstream.rs` | where the callee is, and connecting to it |
//! | `counters.rs`, `name.rs`, `socket.rs`, `error.rs` | what they say |
//! | `udp/` | the same for datagrams: [`udp::UdpLink`] |
//!
//! # Guarantees
//!
//! - Without a toxic the link is transparent: bytes, FIN (one way at a time) and RST come out as they
//!   went in. A callee that is down is seen as down: connections are refused, as soon as the link knows. Where only
//!   a refused connection shows it, that one caller sees a reset.
//! - Urgent data (`MSG_OOB`) stays urgent and in its place, except on a link whose HTTP messages are read. Of several
//!   urgent bytes that wait to be read the kernel tells of the last one only; the others arrive as bytes of the stream.
//! - No byte is lost, changed or reordered by a toxic that does not say so, nor by adding, changing
//!   or removing one.
//! - A change holds for every live and new connection when the call returns, and waits for no peer:
//!   bytes move under a lock per connection and without waiting, and the change takes the same lock.
//! - The same seed makes the same decisions: which connections a toxic affects, each jitter, each window.
//!   Connections count in the order of acceptance, toxics in the order of addition.
//! - Only the address asked for is bound, never all interfaces unless [`LinkProxy::bind_at`] is told to.
//! - Memory is bounded: 128 MiB held per lane, 256 MiB per link, then senders wait as TCP makes them.
//! - After [`LinkProxy::shutdown`] there is no task, connection or descriptor left; dropping the proxy does
//!   the same without waiting for it.
//!
//! # Adding a toxic
//!
//! One file in `toxic/` and one line in `toxic/mod.rs`; its documentation says how.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::runtime::Handle;

mod absence;
mod buffer;
mod clock;
mod connection;
mod control;
mod counters;
mod entry;
mod error;
mod gate;
pub mod http;
mod lane;
mod name;
#[cfg(not(target_os = "linux"))]
mod no_spool;
mod peers;
mod pump;
mod socket;
#[cfg(target_os = "linux")]
mod spool;
#[cfg(test)]
mod tests;
mod timer;
pub mod toxic;
pub mod udp;
mod upstream;
mod urgent;

pub use control::{Removed, Toxics};
pub(crate) use counters::is_level;
pub use counters::{CountersSnapshot, Received};
pub use error::LinkError;
pub use http::Touched;
#[doc(hidden)]
pub use http::fuzzing::fuzz_http;
pub use name::LinkName;
pub use peers::Peers;
pub use toxic::{Direction, Profile, Selection, Toxic, ToxicSpec};
pub use upstream::Upstream;

pub(crate) use absence::Manner;
use control::Link;
use gate::Gate;
#[cfg(not(target_os = "linux"))]
use no_spool as spool;

/// A TCP proxy that stands for one link.
pub struct LinkProxy {
    link: Arc<Link>,
}

impl LinkProxy {
    /// Binds a free port of `addr`; the callee is down, and connections are refused, until [`Self::set_upstream`].
    ///
    /// # Errors
    /// `addr` stands for all interfaces or is not this machine's, or there is no tokio runtime.
    pub fn bind(addr: IpAddr, seed: u64) -> Result<Self, LinkError> {
        Self::bind_for(addr, seed, false, Peers::Anybody)
    }

    /// The same for a link on which HTTP/1.1 or HTTP/2 is spoken in the clear, so that it takes HTTP toxics.
    ///
    /// Whatever else is spoken on it passes all the same; see [`CountersSnapshot::http_opaque`].
    ///
    /// # Errors
    /// As for [`Self::bind`].
    pub fn bind_http(addr: IpAddr, seed: u64) -> Result<Self, LinkError> {
        Self::bind_for(addr, seed, true, Peers::Anybody)
    }

    /// The same, declared HTTP or not, for `peers` alone: the connections of others are reset, counted and not
    /// forwarded.
    ///
    /// # Errors
    /// As for [`Self::bind`].
    pub fn bind_for(addr: IpAddr, seed: u64, http: bool, peers: Peers) -> Result<Self, LinkError> {
        if addr.is_unspecified() {
            return Err(LinkError::Unspecified(addr));
        }
        let runtime = Handle::try_current().map_err(|_| LinkError::NoRuntime)?;
        let gate = Gate::bind(SocketAddr::new(addr, 0), runtime).map_err(|source| LinkError::Bind { addr, source })?;
        Ok(Self { link: Link::start(gate, None, seed, http, Manner::Transparent, peers)? })
    }

    /// Binds exactly `addr` and listens, for the callee at `upstream`. Port 0 stands for a free one, and an
    /// unspecified address for every interface: whoever names the address means it.
    ///
    /// # Errors
    /// The port is in use, the address is not this machine's, or there is no tokio runtime.
    pub fn bind_at(addr: SocketAddr, upstream: impl Into<Upstream>, seed: u64) -> Result<Self, LinkError> {
        Self::bind_with(addr, upstream.into(), seed, Manner::Transparent)
    }

    pub(crate) fn bind_with(
        addr: SocketAddr,
        upstream: Upstream,
        seed: u64,
        manner: Manner,
    ) -> Result<Self, LinkError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => LinkError::PortInUse(addr),
            _ => LinkError::Listen { addr, source },
        };
        let runtime = Handle::try_current().map_err(|_| LinkError::NoRuntime)?;
        let gate = Gate::bind(addr, runtime).map_err(failed)?;
        match Link::start(gate, Some(upstream), seed, false, manner, Peers::Anybody) {
            Err(LinkError::Listen { source, .. }) => Err(failed(source)),
            started => Ok(Self { link: started? }),
        }
    }

    /// Where the caller connects; the same for as long as the link lives.
    pub fn addr(&self) -> SocketAddr {
        self.link.addr
    }

    /// Sets where the callee listens, or that it is down. New connections go there, or are refused; live ones stay
    /// with the old one and die with it.
    pub fn set_upstream(&self, upstream: Option<SocketAddr>) {
        self.link.set_upstream(upstream.map(Upstream::Addr));
    }

    /// The handle to change toxics with.
    pub fn toxics(&self) -> Toxics {
        Toxics { link: Arc::clone(&self.link) }
    }

    /// What the link has counted up to now.
    pub fn counters(&self) -> CountersSnapshot {
        self.link.totals.counters.snapshot()
    }

    /// What has been read from both ends up to now, in bytes; the counters tell what was written to them.
    pub fn received(&self) -> Received {
        let totals = &self.link.totals;
        Received { up: totals.received_up.get(), down: totals.received_down.get() }
    }

    /// The requests that HTTP toxics acted upon, in order: the latest 4096. None on a link that is not declared HTTP.
    pub fn touched(&self) -> Vec<Touched> {
        self.link.http.as_ref().map(|requests| requests.touched()).unwrap_or_default()
    }

    /// Stops listening, resets every connection, and returns when nothing of them is left.
    pub async fn shutdown(self) {
        self.link.shutdown().await;
    }
}

impl fmt::Debug for LinkProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkProxy").field("addr", &self.addr()).field("toxics", &self.toxics()).finish()
    }
}

impl Drop for LinkProxy {
    fn drop(&mut self) {
        self.link.close();
    }
}
