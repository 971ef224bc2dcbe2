//! Bodies of the link's own answers, as far as the caller's windows let them go: RFC 9113, 5.2.
//!
//! The callee knows nothing of these bytes. So what the caller gives back for them is kept from the callee, which would
//! otherwise send more than the caller takes.

use bytes::{Bytes, BytesMut};

use super::frame;

/// The window of the connection, and of each stream unless settings say otherwise.
const WINDOW: i64 = 65_535;

/// Most that one frame carries here.
const PIECE: i64 = 16_384;

/// What the caller takes at the moment.
#[derive(Debug)]
pub(super) struct Credit {
    connection: i64,
    /// Of a new stream.
    stream: i64,
    /// What the link has used of the connection's window.
    debt: u32,
    bodies: Vec<Body>,
}

/// A body of which a part is still to go.
#[derive(Debug)]
struct Body {
    stream: u32,
    rest: Bytes,
    credit: i64,
    /// What follows it.
    behind: Bytes,
}

impl Credit {
    pub(super) fn new() -> Self {
        Self { connection: WINDOW, stream: WINDOW, debt: 0, bodies: Vec::new() }
    }

    /// The callee's own bytes have used up `n`; less than nothing if they did not go on.
    pub(super) fn sent(&mut self, n: i64) {
        self.connection -= n;
    }

    /// The caller's settings have a window for each stream.
    pub(super) fn set(&mut self, window: u32) {
        let change = i64::from(window) - self.stream;
        self.stream += change;
        self.bodies.iter_mut().for_each(|body| body.credit += change);
    }

    /// The caller takes `n` more bytes; how many of them the callee may send.
    pub(super) fn update(&mut self, stream: u32, n: u32) -> u32 {
        if stream == 0 {
            self.connection += i64::from(n);
            let kept = self.debt.min(n);
            self.debt -= kept;
            return n - kept;
        }
        let own = self.bodies.iter_mut().filter(|body| body.stream == stream);
        own.for_each(|body| body.credit += i64::from(n));
        n
    }

    /// A body, and what is to follow it.
    pub(super) fn add(&mut self, stream: u32, rest: Bytes, behind: Bytes) {
        self.bodies.push(Body { stream, rest, credit: self.stream, behind });
    }

    /// Nobody wants the body any more.
    pub(super) fn forget(&mut self, stream: u32) {
        self.bodies.retain(|body| body.stream != stream);
    }

    /// The next frames that may go, and their stream.
    pub(super) fn take(&mut self) -> Option<(u32, Bytes)> {
        let connection = self.connection;
        let index = self.bodies.iter().position(|body| body.credit.min(connection) > 0)?;
        let body = &mut self.bodies[index];
        let n = body.credit.min(connection).min(PIECE).min(body.rest.len() as i64);
        let piece = body.rest.split_to(n as usize);
        (body.credit, self.connection, self.debt) = (body.credit - n, connection - n, self.debt + n as u32);
        let (stream, ends) = (body.stream, body.rest.is_empty());
        let flags = if ends { frame::END_STREAM } else { 0 };
        let mut frames = BytesMut::from(&frame::frame(frame::DATA, flags, stream, &piece)[..]);
        if ends {
            frames.extend_from_slice(&self.bodies.remove(index).behind);
        }
        Some((stream, frames.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(credit: &mut Credit) -> Vec<(u32, usize)> {
        std::iter::from_fn(|| credit.take().map(|(stream, frames)| (stream, frames.len() - frame::HEADER))).collect()
    }

    #[test]
    fn a_body_goes_as_far_as_both_windows_let_it() {
        let mut credit = Credit::new();
        credit.set(5);
        credit.add(1, vec![0; 20].into(), Bytes::new());
        credit.add(3, vec![0; 4].into(), Bytes::from_static(b"end"));
        assert_eq!(lengths(&mut credit), [(1, 5), (3, 7)]);
        credit.update(1, 3);
        assert_eq!(lengths(&mut credit), [(1, 3)]);
        credit.set(10);
        assert_eq!(lengths(&mut credit), [(1, 5)]);
        credit.sent(WINDOW - 17);
        credit.update(1, 100);
        assert_eq!(lengths(&mut credit), [], "the connection's window is used up");
        assert_eq!(credit.update(0, 20), 3, "17 were the link's own");
        assert_eq!(lengths(&mut credit), [(1, 7)]);
        assert_eq!((credit.update(0, 5), credit.update(0, 5)), (0, 3));
    }
}
