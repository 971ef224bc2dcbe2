//! The listening socket, which can stop to listen and keep its address.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::socket;
use crate::shortage;

/// Connections that may wait for the accept loop; the kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4096;

/// How long to wait after a failed accept, for instance when the process is out of descriptors.
const PAUSE: Duration = Duration::from_millis(5);

/// A bound socket: while open it listens; while closed the kernel refuses connections, and nobody else can get the port.
pub(super) struct Gate {
    socket: Socket,
    addr: SocketAddr,
    runtime: Handle,
    accept_loop: Option<JoinHandle<()>>,
}

impl Gate {
    /// Binds `addr`, a free port where that is 0; the gate starts closed.
    pub(super) fn bind(addr: SocketAddr, runtime: Handle) -> io::Result<Self> {
        let socket = if addr.port() == 0 { free_port(addr)? } else { bound(addr, true)? };
        socket.set_reuse_address(false)?;
        let addr = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { socket, addr, runtime, accept_loop: None })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(super) fn is_open(&self) -> bool {
        self.accept_loop.is_some()
    }

    /// Listens, and gives each connection to `accept`.
    pub(super) fn open(&mut self, accept: impl Fn(TcpStream) + Send + 'static) -> io::Result<()> {
        // To listen again among its own old connections it must share the port; to keep others off it must not.
        self.socket.set_reuse_address(true)?;
        self.socket.listen(BACKLOG)?;
        let _runtime = self.runtime.enter();
        // A copy of the descriptor per opening: the runtime would see the last closing on the old one forever.
        let listener = TcpListener::from_std(self.socket.try_clone()?.into())?;
        self.accept_loop = Some(self.runtime.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => accept(stream),
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) => {
                        shortage::note(&error, "attempts of links to take connections");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }));
        Ok(())
    }

    /// Runs `task` beside the accept loop.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.runtime.spawn(task)
    }

    /// Refuses from now on, those too who wait to be accepted; the task it returns is about to end.
    pub(super) fn close(&mut self) -> Option<JoinHandle<()>> {
        let accept_loop = self.accept_loop.take()?;
        // On a listening socket this ends the listening but not the binding.
        let _ = self.socket.shutdown(Shutdown::Both);
        let _ = self.socket.set_reuse_address(false);
        accept_loop.abort();
        Some(accept_loop)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.close();
    }
}

/// A socket on a free port.
///
/// The kernel gives back a port that it chose itself when the listening ends. So a first socket finds a free
/// one, and a second asks for it by number before the first lets go.
fn free_port(addr: SocketAddr) -> io::Result<Socket> {
    let finder = bound(addr, false)?;
    finder.set_reuse_address(true)?;
    bound(finder.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?, true)
}

fn bound(addr: SocketAddr, reuse: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(reuse)?;
    // Accepted connections inherit it.
    socket::prepare(&socket);
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        // Every interface, in both families, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    socket.bind(&addr.into())?;
    Ok(socket)
}
