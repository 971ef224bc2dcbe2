//! Where the callee is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

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
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        match self {
            Self::Addr(addr) => TcpStream::connect(addr).await,
            Self::Name(name) => TcpStream::connect(&**name).await,
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
