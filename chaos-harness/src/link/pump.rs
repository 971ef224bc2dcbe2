//! Moves bytes between a lane and its two sockets, as far as they go without waiting.
//!
//! Every call runs under the connection's lock and never waits, so a change of toxics, which takes
//! the same lock, finds no byte between two places and is never kept waiting by a peer.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Buf;
use tokio::net::TcpStream;

use super::buffer::{self, CHUNK, Chunk};
use super::counters::Counter;
use super::lane::{Lane, Totals};
use super::socket::{self, Arrived};
use super::spool;
use super::toxic::{Cut, Item, Way};

/// Below this many bytes at a time a copy is cheaper than none.
const FEW: usize = 16 << 10;

/// Chunks moved before the task yields, so that a change of toxics waits for less than a millisecond.
const ROUNDS: usize = 8;

/// The same as time, for toxics that make many small writes of a chunk. The runtime looks at its sockets and timers once
/// in some sixty turns only.
const TURN: Duration = Duration::from_micros(200);

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
    pub(super) fn run(&mut self, mut now: Instant, cx: &mut Context<'_>) -> Progress {
        let begin = now;
        for round in 0..ROUNDS {
            // Without a toxic nobody looks at the time.
            if round > 0 && !self.lane.is_clear() {
                now = Instant::now();
                if now > begin + TURN {
                    break;
                }
            }
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
            let ahead = self.lane.urgent.ahead();
            match (self.lane.front()?, self.sink) {
                (Item::Open, _) => {
                    self.lane.pop();
                    return Some(Progress::Dial);
                }
                (Item::Abort(cut), Some(sink)) if cut.waits() && socket::poll_sent(sink, cx).is_pending() => break,
                (Item::Abort(cut), _) => return Some(Progress::Cut(*cut)),
                (Item::Data(data), Some(sink)) => match write(sink, cx, data, ahead) {
                    Poll::Ready(Ok(n)) => self.count(n),
                    Poll::Ready(Err(_)) => return Some(Progress::SinkBroke),
                    Poll::Pending => break,
                },
                (Item::Spooled(len), Some(sink)) => {
                    let most = *len;
                    match self.lane.spool.poll_drain(sink, most, cx) {
                        Poll::Ready(Ok(n)) => self.count_spliced(n),
                        Poll::Ready(Err(_)) => return Some(Progress::SinkBroke),
                        Poll::Pending => break,
                    }
                }
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
        if self.lane.splices() {
            return self.splice(source, cx, now).map(Ok);
        }
        buffer::with(|scratch| {
            match ready!(socket::poll_read(source, cx, scratch.space())) {
                Ok(Arrived { bytes: 0, .. }) => self.lane.end(now, &self.totals.counters),
                Ok(Arrived { bytes, urgent }) => {
                    if urgent {
                        self.lane.mark_urgent();
                    }
                    return Poll::Ready(self.take(cx, now, scratch.filled(bytes)));
                }
                Err(_) => self.lane.abort(now, &self.totals.counters),
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Takes in what has arrived without a copy.
    fn splice(&mut self, source: &TcpStream, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        match ready!(self.lane.spool.poll_fill(source, cx)) {
            Ok(0) => self.lane.end(now, &self.totals.counters),
            Ok(n) => {
                self.received().add(n as u64);
                self.lane.urgent.taken(n);
                self.lane.is_bulk(n >= FEW);
                self.lane.push(now, Item::Spooled(n), &self.totals.counters);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.lane.is_bulk(false),
            Err(error) if spool::is_lacking(&error) => self.lane.copy_from_now_on(),
            Err(_) => self.lane.abort(now, &self.totals.counters),
        }
        Poll::Ready(())
    }

    /// Takes a chunk: straight to the sink where nothing is in the way, through the stages otherwise.
    fn take(&mut self, cx: &mut Context<'_>, now: Instant, chunk: Chunk<'_>) -> io::Result<()> {
        self.received().add(chunk.as_slice().len() as u64);
        self.lane.is_bulk(chunk.as_slice().len() == CHUNK);
        self.lane.urgent.taken(chunk.as_slice().len());
        let mut written = 0;
        if let (true, Some(sink)) = (self.lane.is_clear(), self.sink)
            && let Poll::Ready(result) = socket::poll_write(sink, cx, chunk.as_slice())
        {
            written = result?;
            self.bytes().add(written as u64);
            self.lane.urgent.given(written);
        }
        if written < chunk.as_slice().len() {
            self.lane.push(now, Item::Data(chunk.keep(written)), &self.totals.counters);
        }
        Ok(())
    }

    fn count_spliced(&mut self, n: usize) {
        self.bytes().add(n as u64);
        self.lane.urgent.given(n);
        self.totals.counters.bytes_spliced.add(n as u64);
        if let Some(Item::Spooled(len)) = self.lane.front() {
            *len -= n;
            let empty = *len == 0;
            self.lane.written(n);
            if empty {
                self.lane.pop();
            }
        }
    }

    fn count(&mut self, n: usize) {
        self.bytes().add(n as u64);
        self.lane.urgent.given(n);
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

/// Writes `data`, up to the urgent byte that has so many bytes `ahead` of it, or that byte alone.
fn write(sink: &TcpStream, cx: &mut Context<'_>, data: &[u8], ahead: Option<u64>) -> Poll<io::Result<usize>> {
    match ahead.map(|ahead| usize::try_from(ahead).unwrap_or(usize::MAX)) {
        None => socket::poll_write(sink, cx, data),
        Some(0) => socket::poll_write_urgent(sink, cx, data[0]),
        Some(ahead) => socket::poll_write(sink, cx, &data[..data.len().min(ahead)]),
    }
}
