//! A runtime that the caller's runtime can neither delay nor be hurt by.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime with threads of its own. Dropped, it ends without waiting for its tasks, so that it may be
/// dropped inside another runtime.
#[derive(Debug)]
pub(super) struct OwnRuntime(Option<Runtime>, Handle);

impl OwnRuntime {
    /// Starts `workers` threads.
    pub(super) fn start(name: &str, workers: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(workers).thread_name(name).enable_all().build()?;
        let handle = runtime.handle().clone();
        Ok(Self(Some(runtime), handle))
    }

    /// For spawning.
    pub(super) fn handle(&self) -> &Handle {
        &self.1
    }
}

impl OwnRuntime {
    /// Drops every task, without waiting for that; what is spawned afterwards is dropped at once.
    pub(super) fn end(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        self.end();
    }
}
