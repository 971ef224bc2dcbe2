//! Bodies and resets of HTTP/2, and the credit for bytes that one end never sees.
//!
//! Who sends bytes on a stream uses up the receiver's window. Bytes that the link throws away never reach the
//! receiver, who would give the credit back; so the link does, or the connection would come to stand.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::frame::{self, Header};
use super::{H2, Stream};
use crate::link::http::Unread;
use crate::link::http::codec::Scene;
use crate::link::http::cursor::{Cursor, Piece};
use crate::link::http::outbox::Held;
use crate::link::toxic::{Item, Way};

impl H2 {
    pub(super) fn data(
        &mut self,
        way: Way,
        header: Header,
        piece: Piece,
        cursor: &mut Cursor,
        scene: &mut Scene<'_>,
    ) -> Result<(), Unread> {
        if self.cut.contains(&header.stream) {
            piece.lift(cursor, scene.out(way));
            // What the link throws away has used up the sender's window of the connection.
            match way {
                Way::Up => self.give(header.len, scene),
                Way::Down if header.len > 0 => scene.pass(Way::Up, frame::window_update(0, header.len)),
                Way::Down => {}
            }
            return Ok(());
        }
        if way == Way::Up {
            self.go(way, header.stream, piece, cursor, scene);
            return Ok(());
        }
        self.body(header, piece, cursor, scene)
    }

    /// A piece of a response's body.
    fn body(&mut self, header: Header, piece: Piece, cursor: &mut Cursor, scene: &mut Scene<'_>) -> Result<(), Unread> {
        let stream = header.stream;
        let content = frame::content(header, &piece.bytes)?;
        self.credit.sent(header.len as i64);
        if let Some(ids) = self.ids.as_mut().filter(|_| header.has(frame::END_STREAM)) {
            ids.end(stream);
        }
        let mut delays = Vec::new();
        let (mut change, mut cut) = (None, false);
        if let Some(Stream { plan, filter }) = self.streams.get_mut(&stream) {
            delays = std::mem::take(&mut plan.hold_body);
            if !filter.is_idle() && !content.is_empty() {
                let (data, cut_here) = filter.apply(piece.bytes.slice(content.clone()), scene.counters);
                cut = cut_here;
                change = Some(data);
            }
            if header.has(frame::END_STREAM) {
                self.streams.remove(&stream);
            }
        }
        scene.counters.http_delayed.add(u64::from(!delays.is_empty()));
        let whole = piece.bytes.clone();
        match change {
            None if delays.is_empty() && !scene.down.waits(stream) => piece.pass(cursor, scene.down),
            None => {
                piece.lift(cursor, scene.down);
                scene.send(Way::Down, stream, whole, delays);
            }
            Some(data) if !cut => {
                piece.lift(cursor, scene.down);
                let mut frame = BytesMut::from(&whole[..]);
                frame[content].copy_from_slice(&data);
                scene.send(Way::Down, stream, frame.freeze(), delays);
            }
            Some(data) => {
                piece.lift(cursor, scene.down);
                self.break_off(header, data, delays, scene);
            }
        }
        Ok(())
    }

    /// The body ends with `data`: the stream is reset towards both ends.
    fn break_off(&mut self, header: Header, data: Bytes, delays: Vec<u64>, scene: &mut Scene<'_>) {
        let stream = header.stream;
        self.cut_off(stream);
        let unseen = header.len - data.len();
        self.credit.sent(-(unseen as i64));
        if !data.is_empty() {
            scene.send(Way::Down, stream, frame::frame(frame::DATA, 0, stream, &data), delays);
        }
        scene.send(Way::Down, stream, frame::reset(stream, frame::INTERNAL_ERROR), vec![]);
        scene.pass(Way::Up, frame::reset(stream, frame::CANCEL));
        scene.pass(Way::Up, frame::window_update(0, unseen));
    }

    pub(super) fn reset(&mut self, way: Way, header: Header, piece: Piece, cursor: &mut Cursor, scene: &mut Scene<'_>) {
        let stream = header.stream;
        self.streams.remove(&stream);
        if let Some(ids) = self.ids.as_mut().filter(|_| way == Way::Down) {
            ids.end(stream);
        }
        let known = !self.cut.contains(&stream);
        if way == Way::Up {
            // The caller has given up: nobody waits for what is held back.
            self.credit.forget(stream);
            self.early.retain(|early| early.stream != stream);
            let unseen = unseen_of(scene.down.forget(stream));
            self.credit.sent(-(unseen as i64));
            if unseen > 0 {
                cursor.flush(scene.up);
                scene.pass(Way::Up, frame::window_update(0, unseen));
            }
            if scene.up.waits(stream) {
                piece.lift(cursor, scene.up);
                let unseen = unseen_of(scene.up.forget(stream));
                self.cut_off(stream);
                self.give(unseen, scene);
                return;
            }
        }
        match known {
            true => self.go(way, stream, piece, cursor, scene),
            false => drop(piece.lift(cursor, scene.out(way))),
        }
    }

    /// The caller takes more bytes.
    pub(super) fn window(
        &mut self,
        header: Header,
        piece: Piece,
        cursor: &mut Cursor,
        scene: &mut Scene<'_>,
    ) -> Result<(), Unread> {
        let stream = header.stream;
        let n = frame::window(&piece.bytes).ok_or(Unread::Malformed)?;
        let left = self.credit.update(stream, n);
        match left {
            _ if self.cut.contains(&stream) => drop(piece.lift(cursor, scene.up)),
            left if left == n => self.go(Way::Up, stream, piece, cursor, scene),
            left => {
                piece.lift(cursor, scene.up);
                if left > 0 {
                    scene.pass(Way::Up, frame::window_update(stream, left as usize));
                }
            }
        }
        self.send_bodies(scene);
        Ok(())
    }

    /// Sends of the link's own bodies what may go.
    pub(super) fn send_bodies(&mut self, scene: &mut Scene<'_>) {
        while let Some((stream, frames)) = self.credit.take() {
            self.say(stream, frames, vec![], scene);
        }
    }

    /// Lets a frame of a stream go on, behind what waits of the stream.
    pub(super) fn go(&self, way: Way, stream: u32, piece: Piece, cursor: &mut Cursor, scene: &mut Scene<'_>) {
        if !scene.out(way).waits(stream) {
            return piece.pass(cursor, scene.out(way));
        }
        let frame = piece.lift(cursor, scene.out(way));
        scene.send(way, stream, frame, vec![]);
    }

    /// Lets the caller send so many more bytes on the connection.
    fn give(&mut self, n: usize, scene: &mut Scene<'_>) {
        if n > 0 {
            self.say(0, frame::window_update(0, n), vec![], scene);
        }
    }
}

/// How many bytes of the windows the frames in `items` have used up.
fn unseen_of(items: VecDeque<Held>) -> usize {
    items.iter().map(|held| data_in(&held.item)).sum()
}

/// How many bytes of the windows the frames in `item` have used up.
fn data_in(item: &Item) -> usize {
    let Item::Data(frames) = item else { return 0 };
    let (mut rest, mut sum) = (&frames[..], 0);
    while let Some(header) = Header::read(rest) {
        sum += if header.kind == frame::DATA { header.len } else { 0 };
        rest = rest.get(frame::HEADER + header.len..).unwrap_or_default();
    }
    sum
}
