//! Where the system has no `splice`: bytes are copied instead.

use std::io;
use std::task::{Context, Poll};

use tokio::net::TcpStream;

#[derive(Default)]
pub(super) struct Spool;

impl Spool {
    pub(super) fn poll_fill(&mut self, _: &TcpStream, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    pub(super) fn poll_drain(&mut self, _: &TcpStream, _: usize, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    pub(super) fn read(&mut self, _: usize) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub(super) fn is_lacking(_: &io::Error) -> bool {
    true
}
