//! Entering a network namespace, on a thread that is thrown away afterwards.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::fresh::leave_network;

/// A network namespace, which lives at least as long as this handle.
#[derive(Debug)]
pub struct Namespace(File);

impl Namespace {
    /// The namespace of process `pid`.
    ///
    /// # Errors
    /// When the process is gone, or this one may not look at it.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        File::open(format!("/proc/{pid}/ns/net")).map(Self)
    }

    /// A new namespace with nothing but a loopback interface, which is down.
    ///
    /// # Errors
    /// Without `CAP_SYS_ADMIN`, or when no thread can be started.
    pub fn fresh() -> io::Result<Self> {
        on_a_thread(|| {
            leave_network()?;
            File::open("/proc/thread-self/ns/net").map(Self)
        })?
    }

    /// Which one it is: no other one of this machine has the same number while this one is there.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn inode(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.ino())
    }

    /// Runs `work` in this namespace and returns what it returns.
    ///
    /// # Errors
    /// Without `CAP_SYS_ADMIN`, or when no thread can be started; `work` is then not run.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        on_a_thread(|| {
            move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        })?
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A thread of its own, since a thread that changed its namespace must do nothing else.
fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("chaos-netns".to_owned()).spawn_scoped(scope, work)?;
        thread.join().or_else(|panic| std::panic::resume_unwind(panic))
    })
}
