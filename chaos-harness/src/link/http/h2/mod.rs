//! HTTP/2: frames of many streams, both ways.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | one connection: from bytes to frames, and which of them pass |
//! | `headers.rs` | requests, responses and trailers |
//! | `data.rs` | bodies, resets, and the credit for bytes that one end never sees |
//! | `credit.rs` | bodies of the link's own answers, as far as the caller's windows let them go |
//! | `ids.rs` | the numbers of streams, where the callee sees requests in another order |
//! | `frame.rs`, `hpack/` | frames; header compression |

mod credit;
mod data;
mod frame;
mod headers;
mod hpack;
mod ids;

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};

use self::credit::Credit;
use self::frame::Header;
use self::headers::Block;
use self::hpack::Hpack;
use self::ids::Ids;
use super::codec::Scene;
use super::corrupt::BodyFilter;
use super::cursor::{Cursor, Piece, Place};
use super::outbox::Outbox;
use super::rules::Plan;
use super::unread::Unread;
use crate::link::toxic::{Cut, Item, Way};

/// What a caller begins with.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Most streams that toxics act on at a time, and most that are remembered as cut off.
const STREAMS: usize = 4096;

/// One connection.
pub(super) struct H2 {
    up: Side,
    down: Side,
    /// What the caller has said of the preface.
    preface: usize,
    /// The streams with a plan whose response is still to come or to end.
    streams: BTreeMap<u32, Stream>,
    /// Streams that the link answered or reset; what the ends still say on them passes no more.
    cut: BTreeSet<u32>,
    /// The latest stream that the caller began.
    latest: u32,
    /// The callee's settings have passed, which have to come first (RFC 9113, 3.4).
    settled: bool,
    /// What the link has to say to the caller before.
    early: Vec<Early>,
    /// What the caller takes of the link's own answers.
    credit: Credit,
    /// The streams' numbers towards the callee, once a request was delayed.
    ids: Option<Ids>,
    raw: bool,
}

/// Frames of a stream, and the toxics that delay them.
struct Early {
    stream: u32,
    frames: Bytes,
    delays: Vec<u64>,
}

/// One way of a connection.
struct Side {
    /// A frame of which a part has arrived.
    kept: BytesMut,
    /// Headers of which a part has arrived.
    block: Option<Block>,
    hpack: Hpack,
}

/// A stream on which toxics act.
struct Stream {
    plan: Plan,
    filter: BodyFilter,
}

/// Whether a callee that speaks first may be speaking HTTP/2: its settings come first.
pub(super) fn may_begin(data: &[u8]) -> bool {
    data.first() == Some(&0) && data.get(3).is_none_or(|kind| *kind == frame::SETTINGS)
}

impl H2 {
    /// A connection whose caller has said the first `preface` bytes of the preface.
    pub(super) fn new(preface: usize) -> Self {
        let side = || Side { kept: BytesMut::new(), block: None, hpack: Hpack::new() };
        Self {
            up: side(),
            down: side(),
            preface,
            streams: BTreeMap::new(),
            cut: BTreeSet::new(),
            latest: 0,
            settled: false,
            early: Vec::new(),
            credit: Credit::new(),
            ids: None,
            raw: false,
        }
    }

    /// Whether nothing is looked at any more.
    pub(super) fn is_raw(&self) -> bool {
        self.raw
    }

    pub(super) fn feed(&mut self, way: Way, mut cursor: Cursor, scene: &mut Scene<'_>) {
        while !cursor.is_done() && !self.raw {
            if let Err(why) = self.step(way, &mut cursor, scene) {
                cursor.flush(scene.out(way));
                self.lose(why, scene);
            }
        }
        match self.raw {
            true => cursor.pass_all(scene.out(way)),
            false => cursor.flush(scene.out(way)),
        }
    }

    /// A way ends: what was kept back goes.
    pub(super) fn finish(&mut self, way: Way, scene: &mut Scene<'_>) {
        let side = self.side(way);
        let block = side.block.take().map(|block| block.raw).unwrap_or_default();
        let kept = [block, side.kept.split()].concat();
        scene.pass(way, kept.into());
    }

    fn side(&mut self, way: Way) -> &mut Side {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    fn step(&mut self, way: Way, cursor: &mut Cursor, scene: &mut Scene<'_>) -> Result<(), Unread> {
        if way == Way::Up && self.preface < PREFACE.len() {
            let common = PREFACE[self.preface..].iter().zip(cursor.rest()).take_while(|(a, b)| a == b).count();
            let enough = common == cursor.rest().len() || self.preface + common == PREFACE.len();
            cursor.pass(common);
            self.preface += common;
            return if enough { Ok(()) } else { Err(Unread::Malformed) };
        }
        let side = self.side(way);
        let Some(piece) = side.next(cursor, scene.out(way)) else { return Ok(()) };
        let (header, piece) = self.translate(way, piece, cursor, scene)?;
        let Some(header) = header else { return Ok(()) };
        let kept = if piece.place == Place::Kept { piece.bytes.clone() } else { Bytes::new() };
        let result = self.frame(way, header, piece, cursor, scene);
        if result.is_err() {
            self.side(way).kept = kept.into();
        }
        result
    }

    /// The header of a frame, in the caller's numbers; none when the stream is forgotten, and the frame with it.
    fn translate(
        &self,
        way: Way,
        piece: Piece,
        cursor: &mut Cursor,
        scene: &mut Scene<'_>,
    ) -> Result<(Option<Header>, Piece), Unread> {
        let header = Header::read(&piece.bytes).ok_or(Unread::Malformed)?;
        let Some(ids) = self.ids.as_ref().filter(|_| way == Way::Down) else { return Ok((Some(header), piece)) };
        let mut frame = BytesMut::from(&piece.lift(cursor, scene.down)[..]);
        let stream = ids.to_caller(header.stream);
        frame::set_stream(&mut frame, stream.unwrap_or(0));
        if header.kind == frame::GOAWAY
            && let Some(last) = frame.get_mut(frame::HEADER..frame::HEADER + 4)
            && let Some(stream) = last.first_chunk().map(|word| u32::from_be_bytes(*word))
        {
            last.copy_from_slice(&ids.last(stream & frame::STREAM).to_be_bytes());
        }
        let piece = Piece { bytes: frame.freeze(), place: Place::Kept };
        Ok((stream.map(|stream| Header { stream, ..header }), piece))
    }

    /// What goes to the callee next, in its numbers of the streams.
    pub(super) fn outgoing(&mut self, data: Bytes) -> Bytes {
        match &mut self.ids {
            Some(ids) if !self.raw => ids.translate(&data),
            _ => data,
        }
    }

    /// Says something of the link's own to the caller, once the callee has said who it is.
    fn say(&mut self, stream: u32, frames: Bytes, delays: Vec<u64>, scene: &mut Scene<'_>) {
        match self.settled {
            true => scene.send(Way::Down, stream, frames, delays),
            false => self.early.push(Early { stream, frames, delays }),
        }
    }

    fn settings(&mut self, way: Way, header: Header, piece: Piece, cursor: &mut Cursor, scene: &mut Scene<'_>) {
        let receiver = match way {
            Way::Up => &mut self.down.hpack,
            Way::Down => &mut self.up.hpack,
        };
        match frame::setting(&piece.bytes, frame::HEADER_TABLE_SIZE) {
            Some(size) if !header.has(frame::ACK) => receiver.limit(size),
            _ => {}
        }
        if header.has(frame::ACK) {
            self.side(way).hpack.acknowledged();
        } else if let (Way::Up, Some(window)) = (way, frame::setting(&piece.bytes, frame::INITIAL_WINDOW_SIZE)) {
            self.credit.set(window);
        }
        piece.pass(cursor, scene.out(way));
        if way == Way::Down && !std::mem::replace(&mut self.settled, true) {
            cursor.flush(scene.down);
            for Early { stream, frames, delays } in std::mem::take(&mut self.early) {
                scene.send(way, stream, frames, delays);
            }
        }
    }

    /// Deals with a frame; an error leaves it where it was.
    fn frame(
        &mut self,
        way: Way,
        header: Header,
        piece: Piece,
        cursor: &mut Cursor,
        scene: &mut Scene<'_>,
    ) -> Result<(), Unread> {
        let assembling = self.side(way).block.is_some();
        match header.kind {
            frame::HEADERS | frame::PUSH_PROMISE if !assembling => self.headers(way, header, piece, cursor, scene),
            frame::CONTINUATION if assembling => self.headers(way, header, piece, cursor, scene),
            frame::CONTINUATION => Err(Unread::Malformed),
            _ if assembling => Err(Unread::Malformed),
            frame::DATA => self.data(way, header, piece, cursor, scene),
            frame::RST_STREAM => {
                self.reset(way, header, piece, cursor, scene);
                Ok(())
            }
            frame::WINDOW_UPDATE if way == Way::Up => self.window(header, piece, cursor, scene),
            frame::SETTINGS => {
                self.settings(way, header, piece, cursor, scene);
                Ok(())
            }
            _ => {
                match self.cut.contains(&header.stream) {
                    true => drop(piece.lift(cursor, scene.out(way))),
                    false => self.go(way, header.stream, piece, cursor, scene),
                }
                Ok(())
            }
        }
    }

    /// Cuts a stream off.
    fn cut_off(&mut self, stream: u32) {
        self.streams.remove(&stream);
        if self.cut.len() == STREAMS {
            self.cut.pop_first();
        }
        self.cut.insert(stream);
    }

    /// What is said is not, or no longer, understood: it passes, unless the ends know different things already.
    fn lose(&mut self, why: Unread, scene: &mut Scene<'_>) {
        self.raw = true;
        why.count(scene.counters);
        for way in [Way::Up, Way::Down] {
            self.finish(way, scene);
        }
        let same = self.up.hpack.is_same() && self.down.hpack.is_same();
        if !same || !self.early.is_empty() || self.ids.is_some() {
            scene.up.end(scene.now, Item::Abort(Cut::Reset));
            scene.down.end(scene.now, Item::Abort(Cut::Reset));
        }
    }
}

impl Side {
    /// The next frame, once it is complete.
    fn next(&mut self, cursor: &mut Cursor, out: &mut Outbox) -> Option<Piece> {
        let whole = |data: &[u8]| Header::read(data).map_or(frame::HEADER, |header| frame::HEADER + header.len);
        if self.kept.is_empty() && cursor.rest().len() >= whole(cursor.rest()) {
            return Some(Piece { bytes: cursor.peek(whole(cursor.rest())), place: Place::Ahead });
        }
        while self.kept.len() < whole(&self.kept) && !cursor.is_done() {
            let n = (whole(&self.kept) - self.kept.len()).min(cursor.rest().len());
            let part = cursor.take(n, out);
            self.kept.extend_from_slice(&part);
        }
        let complete = self.kept.len() >= frame::HEADER && self.kept.len() == whole(&self.kept);
        complete.then(|| Piece { bytes: self.kept.split().freeze(), place: Place::Kept })
    }
}
