//! Bodies and resets of HTTP/2, and the credit for bytes that one end never sees.
//!
//! Who sends bytes on a stream uses up the receiver's window. Bytes that the link throws away never reach the
//! receiver, who would give the credit back; so the link does, or the connection would come to stand.

use bytes::{Bytes, BytesMut};

use super::frame::{self, Header};
use super::hpack::Malformed;
use super::{Fate, H2, Stream};
use crate::link::http::codec::Scene;
use crate::link::http::cursor::{Cursor, Piece};
use crate::link::toxic::{Item, Way};

impl H2 {
    pub(super) fn data(
        &mut self,
        way: Way,
        header: Header,
        piece: Piece,
        cursor: &mut Cursor,
        scene: &mut Scene<'_>,
    ) -> Result<(), Malformed> {
        if let Some(fate) = self.cut.get(&header.stream).copied() {
            piece.lift(cursor, scene.out(way));
            give_back(way, header, fate, scene);
            return Ok(());
        }
        if way == Way::Up {
            piece.pass(cursor, scene.up);
            return Ok(());
        }
        self.body(header, piece, cursor, scene)
    }

    /// A piece of a response's body.
    fn body(
        &mut self,
        header: Header,
        piece: Piece,
        cursor: &mut Cursor,
        scene: &mut Scene<'_>,
    ) -> Result<(), Malformed> {
        let stream = header.stream;
        let content = frame::content(header, &piece.bytes)?;
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
        self.cut_off(stream, Fate::Reset);
        let unseen = header.len - data.len();
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
        let known = !self.cut.contains_key(&stream);
        if way == Way::Up {
            // The caller has given up: nobody waits for what is held back.
            let unseen = scene.down.forget(stream).iter().map(|held| data_in(&held.item)).sum();
            if unseen > 0 {
                cursor.flush(scene.up);
                scene.pass(Way::Up, frame::window_update(0, unseen));
            }
        }
        match known {
            true if scene.out(way).waits(stream) => {
                let frame = piece.lift(cursor, scene.out(way));
                scene.send(way, stream, frame, vec![]);
            }
            true => piece.pass(cursor, scene.out(way)),
            false => drop(piece.lift(cursor, scene.out(way))),
        }
    }
}

/// Gives the sender back what bytes that the link threw away have used up of the windows.
fn give_back(way: Way, header: Header, fate: Fate, scene: &mut Scene<'_>) {
    if header.len == 0 {
        return;
    }
    let back = match way {
        Way::Up => Way::Down,
        Way::Down => Way::Up,
    };
    scene.pass(back, frame::window_update(0, header.len));
    // A request that was answered early may end in its own time.
    if fate == Fate::Answered && !header.has(frame::END_STREAM) {
        scene.pass(back, frame::window_update(header.stream, header.len));
    }
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
