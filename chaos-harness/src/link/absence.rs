//! A callee that is down: its link stops listening, so that callers are refused as the callee's own system would.
//!
//! That a callee is down is told by whoever runs it ([`LinkProxy::set_upstream`](super::LinkProxy::set_upstream)), or
//! shown by a connection to it that is refused. That one caller has been accepted already and sees a reset; then the
//! port is closed, and the link tries to connect until the callee listens again. The connection that shows it is handed
//! to the next caller, so a callee that counts its connections counts no more than there are callers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use tokio::net::TcpStream;

use super::control::{Link, PAUSE};
use super::upstream::Upstream;

/// Time between two attempts to reach a callee that refuses.
const RETRY: Duration = Duration::from_millis(10);

/// How long the connection that found the callee listening waits for a caller.
const KEPT: Duration = Duration::from_millis(250);

/// What callers see of a callee that is down, and of the end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// What the callee's own system would show them: refused and reset connections.
    Transparent,
    /// What toxiproxy shows them: connections that are accepted and closed.
    #[cfg_attr(not(feature = "toxiproxy"), allow(dead_code, reason = "for `chaos-proxy` alone"))]
    Toxiproxy,
}

impl Link {
    pub(super) fn upstream(&self) -> Option<Upstream> {
        self.upstream.lock().clone()
    }

    /// Sets where the callee is, or that it is down, and opens or closes the port.
    pub(super) fn set_upstream(self: &Arc<Self>, upstream: Option<Upstream>) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut *self.upstream.lock(), upstream.clone()) == upstream {
            return;
        }
        self.stop_watching();
        state.refused = false;
        if self.update_gate(&mut state).is_err() {
            self.watch(self.runtime.spawn(Arc::clone(self).reopen()));
        }
    }

    /// Connects to the callee; what a refusal shows holds for the next callers.
    pub(super) async fn dial(self: Arc<Self>) -> io::Result<TcpStream> {
        let upstream = self.upstream().ok_or(io::ErrorKind::NotConnected)?;
        if let Some(stream) = self.spare.lock().take().filter(is_alive) {
            return Ok(stream);
        }
        let dialled = upstream.connect().await;
        if self.manner == Manner::Transparent && is_refusal(&dialled) {
            self.refused_again.notify_waiters();
            let mut watch = self.watch.lock();
            if watch.as_ref().is_none_or(tokio::task::JoinHandle::is_finished) {
                *watch = Some(self.runtime.spawn(Arc::clone(&self).follow(upstream)));
            }
        }
        dialled
    }

    /// Keeps the port closed for as long as the callee refuses.
    async fn follow(self: Arc<Self>, upstream: Upstream) {
        loop {
            if !self.set_refused(&upstream, true).unwrap_or(false) {
                return;
            }
            let dialled = loop {
                tokio::time::sleep(RETRY).await;
                let dialled = upstream.connect().await;
                if !is_refusal(&dialled) {
                    break dialled;
                }
            };
            *self.spare.lock() = dialled.ok();
            while self.set_refused(&upstream, false).is_err() {
                tokio::time::sleep(PAUSE).await;
            }
            let again = tokio::time::timeout(KEPT, self.refused_again.notified()).await;
            drop(self.spare.lock().take());
            if again.is_err() {
                return;
            }
        }
    }

    /// Notes whether the callee at `upstream` refuses; says whether it is still there that the link leads.
    fn set_refused(self: &Arc<Self>, upstream: &Upstream, refused: bool) -> Result<bool, super::LinkError> {
        let mut state = self.state.lock();
        if self.upstream.lock().as_ref() != Some(upstream) {
            return Ok(false);
        }
        state.refused = refused;
        self.update_gate(&mut state).map(|()| true)
    }

    /// Opens the port as soon as the system lets it.
    async fn reopen(self: Arc<Self>) {
        loop {
            tokio::time::sleep(PAUSE).await;
            let mut state = self.state.lock();
            if self.update_gate(&mut state).is_ok() {
                return;
            }
        }
    }

    fn watch(&self, task: tokio::task::JoinHandle<()>) {
        *self.watch.lock() = Some(task);
    }

    /// Ends the task that watches the callee.
    pub(super) fn stop_watching(&self) -> Option<tokio::task::JoinHandle<()>> {
        drop(self.spare.lock().take());
        self.watch.lock().take().inspect(tokio::task::JoinHandle::abort)
    }
}

fn is_refusal(dialled: &io::Result<TcpStream>) -> bool {
    matches!(dialled, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Whether the other end has neither closed nor reset the connection meanwhile.
fn is_alive(stream: &TcpStream) -> bool {
    match recv(stream, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, read)) => read > 0,
        Err(error) => error == rustix::io::Errno::WOULDBLOCK,
    }
}
