//! The one task of a link: it reads the sockets, moves what is due, and sends.
//!
//! Every turn runs under the link's lock and never waits, so a change of toxics, which takes the same lock, finds no
//! datagram between two places.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use parking_lot::MutexGuard;
use socket2::SockRef;
use tokio::net::UdpSocket;

use super::control::{Shared, State};
use super::counters::UdpCounters;
use super::sessions::{Sessions, receive};
use super::stage::Datagram;
use crate::link::Peers;
use crate::link::timer::Alarm;

/// Datagrams read from one socket in a turn, and sessions looked at, so that a change of toxics does not wait for long.
const ROUNDS: usize = 16;

/// More than the largest datagram, in bytes.
const BUFFER: usize = 1 << 16;

pub(super) struct Relay {
    shared: Arc<Shared>,
    listener: UdpSocket,
    peers: Peers,
    sessions: Sessions,
    alarm: Alarm,
    buffer: Vec<u8>,
}

impl Relay {
    pub(super) fn new(shared: Arc<Shared>, listener: UdpSocket, peers: Peers) -> Self {
        Self { shared, listener, peers, sessions: Sessions::default(), alarm: Alarm::new(), buffer: vec![0; BUFFER] }
    }

    /// Reads what callers sent; says whether there may be more.
    fn read_callers(&mut self, state: &mut State, counters: &UdpCounters, cx: &mut Context<'_>) -> bool {
        for _ in 0..ROUNDS {
            match self.listener.try_recv_from(&mut self.buffer) {
                Ok((_, caller)) if !self.peers.include(caller) => counters.refused_peers.add(1),
                Ok((n, caller)) => {
                    let datagram = Datagram { caller, data: self.buffer[..n].to_vec() };
                    state.up.push(Instant::now(), datagram, counters);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.listener.poll_recv_ready(cx).is_pending() {
                        return false;
                    }
                }
                Err(error) => tracing::debug!(%error, "reading from a caller"),
            }
        }
        true
    }

    /// Reads what the callee answered; says whether there may be more.
    fn read_callee(&mut self, state: &mut State, counters: &UdpCounters, cx: &mut Context<'_>) -> bool {
        for _ in 0..ROUNDS {
            let Poll::Ready((caller, socket)) = self.sessions.poll_news(cx) else { return false };
            self.read_session(caller, &socket, state, counters);
            self.sessions.wait(caller);
        }
        true
    }

    fn read_session(&mut self, caller: SocketAddr, socket: &UdpSocket, state: &mut State, counters: &UdpCounters) {
        for _ in 0..ROUNDS {
            match receive(socket, &mut self.buffer) {
                Ok(n) => {
                    self.sessions.touch(caller);
                    let datagram = Datagram { caller, data: self.buffer[..n].to_vec() };
                    state.down.push(Instant::now(), datagram, counters);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => counters.unreachable.add(1),
            }
        }
    }

    /// Sends the callee what has passed all toxics.
    fn send_to_callee(&mut self, state: &mut State, counters: &UdpCounters) {
        // Sent to itself, a datagram would go round for ever.
        let callee = state.upstream.filter(|callee| *callee != self.shared.addr);
        while let Some(Datagram { caller, data }) = state.up.pop() {
            match self.send_from(caller, callee, &data, counters) {
                Ok(n) => {
                    counters.datagrams_up.add(1);
                    counters.bytes_up.add(n as u64);
                }
                Err(error) => failed(&error, counters),
            }
        }
    }

    /// Sends the callers what has passed all toxics.
    fn send_to_callers(&self, state: &mut State, counters: &UdpCounters) {
        while let Some(Datagram { caller, data }) = state.down.pop() {
            match SockRef::from(&self.listener).send_to(&data, &caller.into()) {
                Ok(n) => {
                    counters.datagrams_down.add(1);
                    counters.bytes_down.add(n as u64);
                }
                Err(error) => failed(&error, counters),
            }
        }
    }

    fn send_from(
        &mut self,
        caller: SocketAddr,
        callee: Option<SocketAddr>,
        data: &[u8],
        counters: &UdpCounters,
    ) -> io::Result<usize> {
        let callee = callee.ok_or(io::ErrorKind::NotConnected)?;
        let socket = self.sessions.socket(caller, callee, counters)?;
        // Not tokio's own: that sends nothing before it has heard that there is room.
        let socket = SockRef::from(&*socket);
        socket.send(data).or_else(|error| {
            if !is_unreachable(&error) {
                return Err(error);
            }
            // The error tells of an earlier datagram; this one has not been sent yet.
            counters.unreachable.add(1);
            socket.send(data)
        })
    }
}

fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable, NotConnected};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable | NotConnected)
}

fn failed(error: &io::Error, counters: &UdpCounters) {
    if is_unreachable(error) { counters.unreachable.add(1) } else { counters.overflowed.add(1) }
}

impl Future for Relay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let shared = Arc::clone(&this.shared);
        shared.task.register(cx.waker());
        this.alarm.acknowledge();
        let mut state = shared.state.lock();
        let counters = &shared.counters;
        let more_up = this.read_callers(&mut state, counters, cx);
        state.up.advance(Instant::now(), counters);
        this.send_to_callee(&mut state, counters);
        // Behind the sending, which opens sessions: news of one is heard of only once it has been asked for.
        let more_down = this.read_callee(&mut state, counters, cx);
        let now = Instant::now();
        state.down.advance(now, counters);
        this.send_to_callers(&mut state, counters);
        this.sessions.expire(now, counters);
        let deadlines = [state.up.deadline(), state.down.deadline(), this.sessions.deadline()];
        this.alarm.set(deadlines.into_iter().flatten().min(), cx);
        if more_up || more_down {
            cx.waker().wake_by_ref();
        }
        // A change of toxics that waits for the lock gets it before this task's next turn.
        MutexGuard::unlock_fair(state);
        Poll::Pending
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.sessions.clear(&self.shared.counters);
    }
}
