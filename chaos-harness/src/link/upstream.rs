//! Where the callee is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// Where a link connects on to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Upstream {
    /// An address.
    Addr(SocketAddr),
    /// A name and a port, `db.internal:5432`, looked up anew for every connection.
    Name(Arc<str>),
}

impl Upstream {
    /// Where to connect, in the order in which to try.
    pub(super) async fn addrs(&self) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::Addr(addr) => Ok(vec![*addr]),
            Self::Name(name) => Ok(tokio::net::lookup_host(&**name).await?.collect()),
        }
    }
}

impl From<SocketAddr> for Upstream {
    fn from(addr: SocketAddr) -> Self {
        Self::Addr(addr)
    }
}

/// An address where the text is one, a name otherwise; a name that is none shows when it is dialled.
impl From<&str> for Upstream {
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.into()), Self::Addr)
    }
}
