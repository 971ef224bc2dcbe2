//! A network namespace of nobody's, to try things in.
#![allow(unsafe_code, reason = "leaving a namespace is a system call that rustix marks unsafe")]

use std::io;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves the calling thread into a new network namespace.
pub(crate) fn leave_network() -> io::Result<()> {
    // SAFETY: what is unsafe about it are file descriptor tables, which NEWNET leaves shared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.map_err(io::Error::from)
}
