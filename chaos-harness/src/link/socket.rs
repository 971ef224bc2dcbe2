//! Socket operations that tokio leaves out.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// What a read brought.
pub(super) struct Arrived {
    pub(super) bytes: usize,
    /// The first byte was sent as urgent data (`MSG_OOB`).
    pub(super) urgent: bool,
}

/// Reads what has arrived, or registers the task for when something does.
///
/// A read that does not fill the buffer has emptied the socket, so the next one waits without asking the kernel; unless
/// it has ended before urgent data, which the kernel never puts behind other bytes.
pub(super) fn poll_read(stream: &TcpStream, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Arrived>> {
    loop {
        let mut short = None;
        let read = stream.try_io(Interest::READABLE, || {
            let urgent = is_at_urgent(stream);
            match recv(stream, &mut *buffer, RecvFlags::empty())? {
                (_, bytes) if bytes > 0 && bytes < buffer.len() && !is_at_urgent(stream) => {
                    short = Some(Arrived { bytes, urgent });
                    // Told from within, so that what arrives meanwhile is not forgotten.
                    Err(io::ErrorKind::WouldBlock.into())
                }
                (_, bytes) => Ok(Arrived { bytes, urgent }),
            }
        });
        match (read, short) {
            (_, Some(arrived)) => return Poll::Ready(Ok(arrived)),
            (Err(error), None) if error.kind() == io::ErrorKind::WouldBlock => ready!(stream.poll_read_ready(cx))?,
            (read, None) => return Poll::Ready(read),
        }
    }
}

/// Whether the next byte to read was sent as urgent data. For this to show, it has to be read in line.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(super) fn is_at_urgent(stream: impl AsFd) -> bool {
    use std::ffi::c_int;

    use rustix::ioctl::{Getter, Opcode, ioctl};
    const SIOCATMARK: Opcode = 0x8905;
    // SAFETY: `SIOCATMARK` is a getter opcode that gets a `c_int`.
    let at_mark = unsafe { ioctl(stream, Getter::<SIOCATMARK, c_int>::new()) };
    at_mark.is_ok_and(|at_mark| at_mark != 0)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_at_urgent(_: impl AsFd) -> bool {
    false
}

/// Sends one byte as urgent data, or registers the task for when there is room.
pub(super) fn poll_write_urgent(stream: &TcpStream, cx: &mut Context<'_>, byte: u8) -> Poll<io::Result<usize>> {
    loop {
        match stream.try_io(Interest::WRITABLE, || Ok(send(stream, &[byte], SendFlags::OOB)?)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(stream.poll_write_ready(cx))?,
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

/// Makes a new socket ready for a link: it sends as soon as the window allows, and reads urgent data in line.
///
/// On one machine there is no congestion to control, and a default such as BBR paces what need not wait. Reno is what
/// every system has; where it cannot be set, the default costs speed alone.
pub(super) fn prepare(socket: &impl AsFd) {
    // Without it urgent bytes would be missing in the stream; it only fails on what is no TCP socket.
    let _ = rustix::net::sockopt::set_socket_oobinline(socket, true);
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_congestion(socket, "reno");
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
