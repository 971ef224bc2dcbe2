//! HTTP/2: frames of many streams, both ways.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | one connection: from bytes to frames, and which of them pass |
//! | `headers.rs` | requests, responses and trailers |
//! | `data.rs` | bodies, resets, and the credit for bytes that one end never sees |
//! | `frame.rs`, `hpack.rs` | frames; header compression |

mod data;
mod frame;
mod headers;
mod hpack;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use self::frame::Header;
use self::headers::Block;
use self::hpack::{Hpack, Malformed};
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
    /// Streams cut off by the link; what the ends still say on them passes no more.
    cut: BTreeMap<u32, Fate>,
    /// The latest stream that the caller began.
    latest: u32,
    raw: bool,
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

/// How a stream was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The link answered; the callee has never heard of it.
    Answered,
    /// The link reset it towards both ends.
    Reset,
}

/// Whether a callee that speaks first may be speaking HTTP/2: its settings come first.
pub(super) fn may_begin(data: &[u8]) -> bool {
    data.first() == Some(&0) && data.get(3).is_none_or(|kind| *kind == frame::SETTINGS)
}

impl H2 {
    /// A connection whose caller has said the first `preface` bytes of the preface.
    pub(super) fn new(preface: usize) -> Self {
        let side = || Side { kept: BytesMut::new(), block: None, hpack: Hpack::new() };
        let (streams, cut) = (BTreeMap::new(), BTreeMap::new());
        Self { up: side(), down: side(), preface, streams, cut, latest: 0, raw: false }
    }

    /// Whether nothing is looked at any more.
    pub(super) fn is_raw(&self) -> bool {
        self.raw
    }

    pub(super) fn feed(&mut self, way: Way, mut cursor: Cursor, scene: &mut Scene<'_>) {
        while !cursor.is_done() && !self.raw {
            if self.step(way, &mut cursor, scene).is_err() {
                cursor.flush(scene.out(way));
                self.lose(scene);
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

    fn step(&mut self, way: Way, cursor: &mut Cursor, scene: &mut Scene<'_>) -> Result<(), Malformed> {
        if way == Way::Up && self.preface < PREFACE.len() {
            let common = PREFACE[self.preface..].iter().zip(cursor.rest()).take_while(|(a, b)| a == b).count();
            let enough = common == cursor.rest().len() || self.preface + common == PREFACE.len();
            cursor.pass(common);
            self.preface += common;
            return if enough { Ok(()) } else { Err(Malformed) };
        }
        let side = self.side(way);
        let Some(piece) = side.next(cursor, scene.out(way)) else { return Ok(()) };
        let header = Header::read(&piece.bytes).ok_or(Malformed)?;
        let kept = if piece.place == Place::Kept { piece.bytes.clone() } else { Bytes::new() };
        let result = self.frame(way, header, piece, cursor, scene);
        if result.is_err() {
            self.side(way).kept = kept.into();
        }
        result
    }

    /// Deals with a frame; an error leaves it where it was.
    fn frame(
        &mut self,
        way: Way,
        header: Header,
        piece: Piece,
        cursor: &mut Cursor,
        scene: &mut Scene<'_>,
    ) -> Result<(), Malformed> {
        let assembling = self.side(way).block.is_some();
        match header.kind {
            frame::HEADERS | frame::PUSH_PROMISE if !assembling => self.headers(way, header, piece, cursor, scene),
            frame::CONTINUATION if assembling => self.headers(way, header, piece, cursor, scene),
            frame::CONTINUATION => Err(Malformed),
            _ if assembling => Err(Malformed),
            frame::DATA => self.data(way, header, piece, cursor, scene),
            frame::RST_STREAM => {
                self.reset(way, header, piece, cursor, scene);
                Ok(())
            }
            _ => {
                match self.cut.contains_key(&header.stream) {
                    true => drop(piece.lift(cursor, scene.out(way))),
                    false => piece.pass(cursor, scene.out(way)),
                }
                Ok(())
            }
        }
    }

    /// Cuts a stream off.
    fn cut_off(&mut self, stream: u32, fate: Fate) {
        self.streams.remove(&stream);
        if self.cut.len() == STREAMS {
            self.cut.pop_first();
        }
        self.cut.insert(stream, fate);
    }

    /// What is said is not, or no longer, understood: it passes, unless the ends know different things already.
    fn lose(&mut self, scene: &mut Scene<'_>) {
        self.raw = true;
        Unread::Malformed.count(scene.counters);
        for way in [Way::Up, Way::Down] {
            self.finish(way, scene);
        }
        if self.up.hpack.is_literal() || self.down.hpack.is_literal() {
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
