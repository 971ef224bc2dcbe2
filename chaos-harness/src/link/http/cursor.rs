//! A place in the bytes that have just arrived.

use std::time::Instant;

use bytes::Bytes;

use super::outbox::Outbox;

/// Walks over arrived bytes; what passes untouched goes out in as few pieces as possible.
pub(super) struct Cursor {
    data: Bytes,
    /// Where the bytes begin that are to pass and have not gone out yet.
    from: usize,
    at: usize,
    now: Instant,
}

impl Cursor {
    pub(super) fn new(data: Bytes, now: Instant) -> Self {
        Self { data, from: 0, at: 0, now }
    }

    /// What has not been looked at yet.
    pub(super) fn rest(&self) -> &[u8] {
        &self.data[self.at..]
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == self.data.len()
    }

    /// The next `n` bytes.
    pub(super) fn peek(&self, n: usize) -> Bytes {
        self.data.slice(self.at..self.at + n)
    }

    /// Lets the next `n` bytes pass.
    pub(super) fn pass(&mut self, n: usize) {
        self.at += n;
    }

    /// Takes the next `n` bytes out.
    pub(super) fn take(&mut self, n: usize, out: &mut Outbox) -> Bytes {
        self.flush(out);
        let taken = self.peek(n);
        self.at += n;
        self.from = self.at;
        taken
    }

    /// Lets all the rest pass.
    pub(super) fn pass_all(&mut self, out: &mut Outbox) {
        self.at = self.data.len();
        self.flush(out);
    }

    /// Gives out what is to pass, so that something else can follow it.
    pub(super) fn flush(&mut self, out: &mut Outbox) {
        if self.from < self.at {
            out.pass(self.now, self.data.slice(self.from..self.at));
            self.from = self.at;
        }
    }
}

/// A part of a message that is complete: a head, a frame.
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) place: Place,
}

/// Where a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Under the cursor.
    Ahead,
    /// Taken out of it.
    Kept,
    /// It has passed already.
    Passed,
}

impl Piece {
    /// Lets it pass.
    pub(super) fn pass(self, cursor: &mut Cursor, out: &mut Outbox) {
        match self.place {
            Place::Ahead => cursor.pass(self.bytes.len()),
            Place::Kept => {
                cursor.flush(out);
                out.pass(cursor.now, self.bytes);
            }
            Place::Passed => {}
        }
    }

    /// Takes it out of what passes.
    pub(super) fn lift(self, cursor: &mut Cursor, out: &mut Outbox) -> Bytes {
        match self.place {
            Place::Ahead => drop(cursor.take(self.bytes.len(), out)),
            Place::Kept | Place::Passed => cursor.flush(out),
        }
        self.bytes
    }

    /// Lets it go, once `delays` let it: as it is, or as `change`.
    pub(super) fn put(self, cursor: &mut Cursor, out: &mut Outbox, change: Option<Bytes>, delays: Vec<u64>) {
        if self.place == Place::Passed || change.is_none() && delays.is_empty() {
            return self.pass(cursor, out);
        }
        let bytes = self.lift(cursor, out);
        out.hold(cursor.now, change.unwrap_or(bytes), delays);
    }
}
