//! Socket operations that tokio leaves out.

use std::io;
use std::net::Shutdown;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Reads what has arrived, or registers the task for when something does.
pub(super) fn poll_read(stream: &TcpStream, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
    loop {
        match stream.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(stream.poll_read_ready(cx))?,
            result => return Poll::Ready(result),
        }
    }
}

/// Writes what there is room for, or registers the task for when there is some.
pub(super) fn poll_write(stream: &TcpStream, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        match stream.try_write(data) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(stream.poll_write_ready(cx))?,
            result => return Poll::Ready(result),
        }
    }
}

/// Whether the kernel has sent all that was written, or registers the task for when it has.
///
/// An RST would overtake what has not been sent yet.
pub(super) fn poll_sent(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<()> {
    #[cfg(target_os = "linux")]
    {
        // From now on the socket counts as writable only when nothing waits to be sent.
        let _ = SockRef::from(stream).set_tcp_notsent_lowat(1);
        while let Err(error) = stream.try_io(Interest::WRITABLE, || is_writable(stream)) {
            if error.kind() != io::ErrorKind::WouldBlock || ready!(stream.poll_write_ready(cx)).is_err() {
                break;
            }
        }
    }
    Poll::Ready(())
}

#[cfg(target_os = "linux")]
fn is_writable(stream: &TcpStream) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(stream, PollFlags::OUT)];
    match poll(&mut fds, Some(&Timespec::default()))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// Sends the FIN.
pub(super) fn finish(stream: &TcpStream) {
    // Fails only when the connection is gone already, which the other way finds out.
    let _ = SockRef::from(stream).shutdown(Shutdown::Write);
}

/// Sends an RST and discards what is under way.
///
/// Where the system can dissolve a connection (`connect` to `AF_UNSPEC`) this is done on return,
/// elsewhere when the socket is closed.
pub(super) fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
    #[cfg(target_os = "linux")]
    let _ = rustix::net::connect_unspec(stream);
}
