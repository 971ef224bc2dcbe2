//! Moves bytes between a lane and its two sockets, as far as they go without waiting.
//!
//! Every call runs under the connection's lock and never waits, so a change of toxics, which takes
//! the same lock, finds no byte between two places and is never kept waiting by a peer.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, Bytes};
use tokio::net::TcpStream;

use super::counters::Counter;
use super::lane::{Lane, Totals};
use super::socket;
use super::toxic::{Cut, Item, Way};

/// Size of one read, in bytes: large enough to make system calls cheap, small enough to stay in the cache.
const CHUNK: usize = 128 << 10;

/// Chunks moved before the task yields, so that a change of toxics waits for less than a millisecond.
const ROUNDS: usize = 8;

thread_local! {
    /// Where reads go first, so that idle connections own no buffer.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// How far a lane has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Until a socket, the alarm or a change wakes the task.
    Blocked,
    /// As far as one turn goes; there may be more to do.
    Yielded,
    /// To the caller's wish to connect.
    Dial,
    /// To a sink that does not take bytes any more.
    SinkBroke,
    /// To the end of the connection.
    Cut(Cut),
}

/// A lane with its sockets; there is no `upstream` before the callee has answered.
pub(super) struct Pump<'a> {
    pub(super) lane: &'a mut Lane,
    pub(super) source: Option<&'a TcpStream>,
    pub(super) sink: Option<&'a TcpStream>,
    pub(super) totals: &'a Totals,
}

impl Pump<'_> {
    /// Moves what can be moved.
    pub(super) fn run(&mut self, cx: &mut Context<'_>) -> Progress {
        for _ in 0..ROUNDS {
            let now = Instant::now();
            if let Some(cut) = self.lane.advance(now, &self.totals.counters) {
                return Progress::Cut(cut);
            }
            if let Some(progress) = self.flush(cx) {
                return progress;
            }
            match self.fill(cx, now) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Progress::SinkBroke,
                Poll::Pending => return Progress::Blocked,
            }
        }
        Progress::Yielded
    }

    /// Writes what has passed the stages, each item by itself, as a slicer wants it; `None` when it has done all it can.
    fn flush(&mut self, cx: &mut Context<'_>) -> Option<Progress> {
        loop {
            match (self.lane.front()?, self.sink) {
                (Item::Open, _) => {
                    self.lane.pop();
                    return Some(Progress::Dial);
                }
                (Item::Abort(cut), Some(sink)) if cut.waits() && socket::poll_sent(sink, cx).is_pending() => break,
                (Item::Abort(cut), _) => return Some(Progress::Cut(*cut)),
                (Item::Data(data), Some(sink)) => match socket::poll_write(sink, cx, data) {
                    Poll::Ready(Ok(n)) => self.count(n),
                    Poll::Ready(Err(_)) => return Some(Progress::SinkBroke),
                    Poll::Pending => break,
                },
                (Item::Fin, Some(sink)) => {
                    socket::finish(sink);
                    self.lane.pop();
                    self.lane.finish();
                }
                (_, None) => break,
            }
        }
        // An abort does not wait for a peer that takes nothing.
        self.lane.pending_abort().map(Progress::Cut)
    }

    /// Reads one chunk; `Pending` when there is none or no room, an error when the sink failed.
    fn fill(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<io::Result<()>> {
        let (Some(source), true) = (self.source, self.lane.wants_more(self.totals)) else { return Poll::Pending };
        SCRATCH.with_borrow_mut(|scratch| {
            match std::task::ready!(socket::poll_read(source, cx, scratch)) {
                Ok(0) => self.lane.end(now, &self.totals.counters),
                Ok(n) => return Poll::Ready(self.take(cx, now, &scratch[..n])),
                Err(_) => self.lane.abort(now, &self.totals.counters),
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Takes a chunk: straight to the sink where nothing is in the way, through the stages otherwise.
    fn take(&mut self, cx: &mut Context<'_>, now: Instant, mut chunk: &[u8]) -> io::Result<()> {
        self.received().add(chunk.len() as u64);
        if let (true, Some(sink)) = (self.lane.is_clear(), self.sink)
            && let Poll::Ready(written) = socket::poll_write(sink, cx, chunk)
        {
            let n = written?;
            self.bytes().add(n as u64);
            chunk = &chunk[n..];
        }
        if !chunk.is_empty() {
            self.lane.push(now, Item::Data(Bytes::copy_from_slice(chunk)), &self.totals.counters);
        }
        Ok(())
    }

    fn count(&mut self, n: usize) {
        self.bytes().add(n as u64);
        if let Some(Item::Data(data)) = self.lane.front() {
            data.advance(n);
            let empty = data.is_empty();
            self.lane.written(n);
            if empty {
                self.lane.pop();
            }
        }
    }

    fn received(&self) -> &Counter {
        match self.lane.way {
            Way::Up => &self.totals.received_up,
            Way::Down => &self.totals.received_down,
        }
    }

    fn bytes(&self) -> &Counter {
        match self.lane.way {
            Way::Up => &self.totals.counters.bytes_up,
            Way::Down => &self.totals.counters.bytes_down,
        }
    }
}
