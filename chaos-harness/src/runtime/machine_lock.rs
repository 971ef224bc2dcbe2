//! A name that one process of this machine has at a time, whichever user it runs as.

use std::io::{Error, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// A name, given back when this is dropped, at the latest by the kernel when the process ends.
///
/// It is that of a socket without a file (unix(7), abstract sockets): there is nothing that could be planted, followed,
/// emptied or left behind. It is one name for a network namespace.
#[derive(Debug)]
pub(crate) struct MachineLock {
    _socket: UnixDatagram,
}

impl MachineLock {
    /// `None` when another process has the name.
    pub(crate) fn take(name: &str) -> Result<Option<Self>, Error> {
        let address = SocketAddr::from_abstract_name(format!("chaos-harness/{name}"))?;
        match UnixDatagram::bind_addr(&address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
            other => Ok(Some(Self { _socket: other? })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_until_it_is_given_back() {
        let name = format!("test-{}", std::process::id());
        let first = MachineLock::take(&name).unwrap().unwrap();
        assert!(MachineLock::take(&name).unwrap().is_none());
        assert!(MachineLock::take(&format!("{name}-other")).unwrap().is_some());
        drop(first);
        assert!(MachineLock::take(&name).unwrap().is_some());
    }
}
