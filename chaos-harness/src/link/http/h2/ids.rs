//! The numbers of streams, where requests reach the callee in another order than the caller sent them.
//!
//! A stream with a lower number cannot begin behind one with a higher number (RFC 9113, 5.1.1). So from the first
//! request that is delayed on, streams get numbers of their own towards the callee, in the order in which they reach it.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use super::frame::{self, Header};

/// So many streams that have ended are remembered, for what is still said of them.
const ENDED: usize = 1024;

/// The numbers on one connection.
#[derive(Debug)]
pub(super) struct Ids {
    /// Streams up to this one have the same number at both ends.
    same: u32,
    next: u32,
    to_callee: BTreeMap<u32, u32>,
    to_caller: BTreeMap<u32, u32>,
    ended: VecDeque<u32>,
}

impl Ids {
    /// Numbers the streams behind `latest`.
    pub(super) fn new(latest: u32) -> Self {
        let next = if latest == 0 { 1 } else { latest + 2 };
        Self { same: latest, next, to_callee: BTreeMap::new(), to_caller: BTreeMap::new(), ended: VecDeque::new() }
    }

    /// Whether the caller begins streams like this, as opposed to the callee or nobody.
    fn is_own(&self, stream: u32) -> bool {
        stream % 2 == 1 && stream > self.same
    }

    /// The caller's number of what the callee calls `stream`; `None` when that is forgotten.
    pub(super) fn to_caller(&self, stream: u32) -> Option<u32> {
        if self.is_own(stream) { self.to_caller.get(&stream).copied() } else { Some(stream) }
    }

    fn to_callee(&self, stream: u32) -> Option<u32> {
        if self.is_own(stream) { self.to_callee.get(&stream).copied() } else { Some(stream) }
    }

    /// The last stream, in the caller's numbers, that a callee may have dealt with which says so of `stream`.
    pub(super) fn last(&self, stream: u32) -> u32 {
        let dealt_with = self.to_caller.range(..=stream).map(|(_, caller)| *caller).max();
        if stream == u32::MAX >> 1 { stream } else { dealt_with.unwrap_or(0).max(stream.min(self.same)) }
    }

    /// The stream has ended, in the caller's numbers.
    pub(super) fn end(&mut self, stream: u32) {
        if !self.is_own(stream) {
            return;
        }
        self.ended.push_back(stream);
        if self.ended.len() > ENDED
            && let Some(oldest) = self.ended.pop_front()
            && let Some(callee) = self.to_callee.remove(&oldest)
        {
            self.to_caller.remove(&callee);
        }
    }

    /// The frames in `data`, which go to the callee next, in its numbers; without those of forgotten streams.
    pub(super) fn translate(&mut self, data: &Bytes) -> Bytes {
        let mut out = BytesMut::with_capacity(data.len());
        let mut rest = &data[..];
        while let Some(header) = Header::read(rest) {
            let (frame, behind) = rest.split_at(rest.len().min(frame::HEADER + header.len));
            rest = behind;
            self.frame(header, frame, &mut out);
        }
        out.extend_from_slice(rest);
        out.freeze()
    }

    fn frame(&mut self, header: Header, frame: &[u8], out: &mut BytesMut) {
        let stream = header.stream;
        if header.kind == frame::HEADERS && self.is_own(stream) && !self.to_callee.contains_key(&stream) {
            self.to_callee.insert(stream, self.next);
            self.to_caller.insert(self.next, stream);
            self.next += 2;
        }
        let Some(number) = self.to_callee(stream) else { return };
        let from = out.len();
        out.extend_from_slice(frame);
        let own = &mut out[from..];
        frame::set_stream(own, number);
        let other = match header.kind {
            frame::PRIORITY_FRAME | frame::PRIORITY_UPDATE => Some(frame::HEADER),
            frame::HEADERS if header.has(frame::PRIORITY) => {
                Some(frame::HEADER + usize::from(header.has(frame::PADDED)))
            }
            _ => None,
        };
        // What another stream depends on, or the stream that it is about.
        if let Some(place) = other.and_then(|at| own.get_mut(at..at + 4))
            && let Some(named) = place.first_chunk().map(|word| u32::from_be_bytes(*word))
        {
            let number = self.to_callee(named & frame::STREAM).unwrap_or(0);
            place.copy_from_slice(&(named & !frame::STREAM | number).to_be_bytes());
        }
        if header.kind == frame::RST_STREAM {
            self.end(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(ids: &mut Ids, frame: Bytes) -> Option<u32> {
        Header::read(&ids.translate(&frame)).map(|header| header.stream)
    }

    #[test]
    fn streams_are_numbered_in_the_order_in_which_they_go() {
        let mut ids = Ids::new(5);
        let headers = |stream| frame::frame(frame::HEADERS, 0, stream, b"");
        let numbers = [3, 9, 7, 9, 11].map(|stream| sent(&mut ids, headers(stream)));
        assert_eq!(numbers, [Some(3), Some(7), Some(9), Some(7), Some(11)]);
        assert_eq!([3, 7, 9, 11, 13].map(|stream| ids.to_caller(stream)), [Some(3), Some(9), Some(7), Some(11), None]);
        assert_eq!([5, 7, 9, u32::MAX >> 1].map(|stream| ids.last(stream)), [5, 9, 9, u32::MAX >> 1]);
        assert_eq!(sent(&mut ids, frame::window_update(0, 5)), Some(0));
        assert_eq!(sent(&mut ids, frame::window_update(13, 5)), None, "nobody has heard of it");
    }

    #[test]
    fn streams_that_ended_long_ago_are_forgotten() {
        let mut ids = Ids::new(0);
        for stream in (1..5000).step_by(2) {
            sent(&mut ids, frame::frame(frame::HEADERS, 0, stream, b""));
            ids.end(stream);
        }
        assert!(ids.to_callee.len() == ENDED && ids.to_caller.len() == ENDED);
    }
}
