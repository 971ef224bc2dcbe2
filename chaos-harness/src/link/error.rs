//! What can be wrong with a link.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::link::toxic::InvalidField;

/// Why a link proxy did not do what it was asked to; nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The address stands for all interfaces.
    #[error("{0} stands for every interface: bind the one address where the caller can reach the link")]
    Unspecified(IpAddr),
    /// The address cannot be bound.
    #[error("cannot bind a port of {addr}: {source}; check that it is an address of this machine")]
    Bind {
        /// The address asked for.
        addr: IpAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Somebody else has the port.
    #[error("port {} of {} is in use: choose another, or 0 for a free one", .0.port(), .0.ip())]
    PortInUse(SocketAddr),
    /// The port cannot be listened on, or no longer.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The link's address.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no tokio runtime to run the link.
    #[error("no tokio runtime: create the link within one that has I/O and time enabled")]
    NoRuntime,
    /// A toxic of that name is there already.
    #[error("toxic `{0}` exists already: update it, or choose another name")]
    Duplicate(String),
    /// There is no toxic of that name.
    #[error("no toxic `{name}` on this link (there is: {known})")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A value of the toxic makes no sense.
    #[error("toxic `{name}`: {source}")]
    Invalid {
        /// Name of the toxic.
        name: String,
        /// The field, and what is wrong with it.
        source: InvalidField,
    },
    /// The toxic acts on HTTP messages, of which the link knows nothing.
    #[error(
        "toxic `{name}` acts on HTTP requests, but the link {addr} is not declared HTTP: bind it with `bind_http`, or declare its protocol in the topology"
    )]
    NotHttp {
        /// Name of the toxic.
        name: String,
        /// The link's address.
        addr: SocketAddr,
    },
    /// The link has been shut down.
    #[error("the link {0} has been shut down")]
    Closed(SocketAddr),
}
