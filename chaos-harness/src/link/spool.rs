//! Bytes on their way from socket to socket without a copy: `splice` through pipes, which keep their order.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::socket;

/// Size asked for, in bytes; the kernel may grant less to a user with many pipes.
const SIZE: usize = 1 << 20;

/// A kernel buffer between two sockets.
struct Pipe {
    entry: OwnedFd,
    exit: OwnedFd,
    held: usize,
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (exit, entry) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let _ = fcntl_setpipe_size(&entry, SIZE);
        Ok(Self { entry, exit, held: 0 })
    }

    fn fill(&mut self, source: &TcpStream) -> io::Result<usize> {
        let n = splice(source, None, &self.entry, None, SIZE, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?;
        self.held += n;
        Ok(n)
    }

    fn drain(&mut self, sink: &TcpStream, most: usize) -> io::Result<usize> {
        let most = most.min(self.held);
        let n = splice(&self.exit, None, sink, None, most, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?;
        self.held -= n;
        Ok(n)
    }
}

/// First in, first out; it grows by pipes.
#[derive(Default)]
pub(super) struct Spool {
    pipes: VecDeque<Pipe>,
    /// An empty one, to use again.
    spare: Option<Pipe>,
}

impl Spool {
    /// Takes in what has arrived at `source`; zero is the end of its stream. Urgent data has to be read by a copy:
    /// before it this ends with [`io::ErrorKind::Interrupted`].
    pub(super) fn poll_fill(&mut self, source: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            let fill = || match self.fill(source) {
                // To a splice it looks like the end of the stream, or like nothing.
                Ok(0) | Err(_) if socket::is_at_urgent(source) => Err(io::ErrorKind::Interrupted.into()),
                filled => filled,
            };
            match source.try_io(Interest::READABLE, fill) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(source.poll_read_ready(cx))?,
                result => return Poll::Ready(result),
            }
        }
    }

    fn fill(&mut self, source: &TcpStream) -> io::Result<usize> {
        if let Some(last) = self.pipes.back_mut() {
            match last.fill(source) {
                // Either the source has nothing to say or the pipe is full: an empty one tells.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && last.held > 0 => {}
                result => return result,
            }
        }
        let mut pipe = self.spare.take().map_or_else(Pipe::new, Ok)?;
        let result = pipe.fill(source);
        match result {
            Ok(n) if n > 0 => self.pipes.push_back(pipe),
            _ => self.spare = Some(pipe),
        }
        result
    }

    /// Gives to `sink` as much of the next `most` bytes as it has room for.
    pub(super) fn poll_drain(
        &mut self,
        sink: &TcpStream,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match sink.try_io(Interest::WRITABLE, || self.drain(sink, most)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(sink.poll_write_ready(cx))?,
                result => return Poll::Ready(result),
            }
        }
    }

    fn drain(&mut self, sink: &TcpStream, most: usize) -> io::Result<usize> {
        let first = self.pipes.front_mut().ok_or(io::ErrorKind::UnexpectedEof)?;
        let n = first.drain(sink, most)?;
        self.recycle();
        Ok(n)
    }

    /// The next `len` bytes, for those who want to see them.
    pub(super) fn read(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut read = 0;
        while read < len {
            let first = self.pipes.front_mut().ok_or(io::ErrorKind::UnexpectedEof)?;
            let n = rustix::io::read(&first.exit, &mut bytes[read..])?;
            first.held -= n;
            read += n;
            self.recycle();
        }
        Ok(bytes)
    }

    /// Puts a pipe that has run empty aside; the last one stays in use.
    fn recycle(&mut self) {
        if self.pipes.len() > 1 && self.pipes[0].held == 0 {
            self.spare = self.pipes.pop_front();
        }
    }
}

/// Whether the system has no pipe to give or cannot splice, so that bytes have to be copied.
pub(super) fn is_lacking(error: &io::Error) -> bool {
    let lacking = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INVAL, Errno::NOSYS, Errno::PERM];
    Errno::from_io_error(error).is_some_and(|errno| lacking.contains(&errno))
}
