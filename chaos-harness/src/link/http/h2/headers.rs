//! Requests, responses and trailers of HTTP/2.

use bytes::{Bytes, BytesMut};

use super::frame::{self, Header};
use super::hpack::{Field, Malformed, literal};
use super::{Fate, H2, STREAMS, Stream};
use crate::link::http::codec::Scene;
use crate::link::http::corrupt::BodyFilter;
use crate::link::http::cursor::{Cursor, Piece, Place};
use crate::link::http::message::{Answer, Edit, Request};
use crate::link::http::rules::Plan;
use crate::link::toxic::Way;

/// Most that a header block may take, in bytes, over all its frames, and these as well.
const BLOCK: usize = 256 << 10;

/// A header block: the frame that began it and those that went on with it.
pub(super) struct Block {
    first: Header,
    /// What is in the first frame before the block: a priority, or the stream that is promised.
    prefix: Bytes,
    fragment: BytesMut,
    /// The frames as they came, when there is more than one.
    pub(super) raw: BytesMut,
}

/// What becomes of a block.
enum Outcome {
    /// It passes.
    Pass,
    /// It goes on with other fields, or later.
    Change(Vec<Field>, Vec<u64>),
    /// It does not go on.
    Drop,
}

impl H2 {
    pub(super) fn headers(
        &mut self,
        way: Way,
        header: Header,
        piece: Piece,
        cursor: &mut Cursor,
        scene: &mut Scene<'_>,
    ) -> Result<(), Malformed> {
        let side = self.side(way);
        let mut block = match side.block.take() {
            Some(mut block) if block.first.stream == header.stream => {
                block.fragment.extend_from_slice(&piece.bytes[frame::HEADER..]);
                block
            }
            Some(block) => {
                side.block = Some(block);
                return Err(Malformed);
            }
            None => Block::begin(header, &piece.bytes)?,
        };
        if block.fragment.len().max(block.raw.len()) > BLOCK {
            side.block = Some(block);
            return Err(Malformed);
        }
        if !header.has(frame::END_HEADERS) {
            block.raw.extend_from_slice(&piece.lift(cursor, scene.out(way)));
            side.block = Some(block);
            return Ok(());
        }
        let piece = if block.raw.is_empty() {
            piece
        } else {
            block.raw.extend_from_slice(&piece.lift(cursor, scene.out(way)));
            Piece { bytes: block.raw.split().freeze(), place: Place::Kept }
        };
        self.block(way, &block, piece, cursor, scene);
        Ok(())
    }

    /// A block is complete.
    fn block(&mut self, way: Way, block: &Block, piece: Piece, cursor: &mut Cursor, scene: &mut Scene<'_>) {
        let Ok(fields) = self.side(way).hpack.decode(&block.fragment) else {
            piece.pass(cursor, scene.out(way));
            cursor.flush(scene.out(way));
            return self.lose(scene);
        };
        let outcome = match way {
            _ if self.cut.contains_key(&block.first.stream) => Outcome::Drop,
            _ if block.first.kind == frame::PUSH_PROMISE => Outcome::Pass,
            Way::Up if block.first.stream > self.latest => self.request(block, &fields, scene),
            Way::Up => Outcome::Pass,
            Way::Down => self.response(block, &fields, scene),
        };
        let stream = block.first.stream;
        let hpack = &mut self.side(way).hpack;
        let (fields, delays) = match outcome {
            Outcome::Drop => {
                hpack.leave();
                drop(piece.lift(cursor, scene.out(way)));
                return;
            }
            Outcome::Pass if !hpack.is_literal() && !scene.out(way).waits(stream) => {
                hpack.passed();
                return piece.pass(cursor, scene.out(way));
            }
            Outcome::Pass => (fields, vec![]),
            Outcome::Change(fields, delays) => (fields, delays),
        };
        let encoded = hpack.encode(&fields);
        let Header { kind, flags, .. } = block.first;
        piece.lift(cursor, scene.out(way));
        let frames = frame::header_frames(kind, flags, stream, &block.prefix, &encoded);
        scene.send(way, stream, frames, delays);
    }

    fn request(&mut self, block: &Block, fields: &[Field], scene: &mut Scene<'_>) -> Outcome {
        let stream = block.first.stream;
        self.latest = stream;
        let rules = if self.streams.len() < STREAMS { scene.rules } else { &[] };
        let request = request_of(fields);
        let tunnel = request.method == "CONNECT";
        let Some(mut plan) = scene.requests.decide(rules, &request, scene.now, scene.counters) else {
            return Outcome::Pass;
        };
        if let Some(answer) = plan.answer.take() {
            self.answer(stream, &answer, plan, scene);
            return Outcome::Drop;
        }
        let edits = std::mem::take(&mut plan.request);
        let filter = BodyFilter::of(&mut plan);
        let filter = if tunnel { BodyFilter::default() } else { filter };
        self.streams.insert(stream, Stream { plan, filter });
        if edits.is_empty() {
            return Outcome::Pass;
        }
        scene.counters.http_rewritten.add(1);
        Outcome::Change(edited(fields.to_vec(), &edits), vec![])
    }

    /// Answers in place of the callee, which does not hear of the stream.
    fn answer(&mut self, stream: u32, answer: &Answer, plan: Plan, scene: &mut Scene<'_>) {
        self.cut_off(stream, Fate::Answered);
        let mut fields = vec![(b":status".to_vec(), answer.status.to_string().into_bytes())];
        fields
            .extend(answer.headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.clone().into_bytes())));
        let fields = edited(fields, &plan.response);
        let block = literal(fields.iter().map(|(name, value)| (&name[..], &value[..])));
        let frames = frame::header_frames(frame::HEADERS, frame::END_STREAM, stream, &[], &block);
        scene.counters.http_delayed.add(u64::from(!plan.hold_head.is_empty()));
        scene.send(Way::Down, stream, frames, plan.hold_head);
    }

    fn response(&mut self, block: &Block, fields: &[Field], scene: &mut Scene<'_>) -> Outcome {
        let stream = block.first.stream;
        let Some(Stream { plan, .. }) = self.streams.get_mut(&stream) else { return Outcome::Pass };
        let status = fields.iter().find(|(name, _)| name == b":status").map(|(_, value)| &value[..]);
        let informs = status.is_some_and(|status| status.starts_with(b"1"));
        let delays = if informs { vec![] } else { std::mem::take(&mut plan.hold_head) };
        let edits = if informs { vec![] } else { std::mem::take(&mut plan.response) };
        if block.first.has(frame::END_STREAM) {
            self.streams.remove(&stream);
        }
        if delays.is_empty() && edits.is_empty() {
            return Outcome::Pass;
        }
        scene.counters.http_delayed.add(u64::from(!delays.is_empty()));
        scene.counters.http_rewritten.add(u64::from(!edits.is_empty()));
        Outcome::Change(edited(fields.to_vec(), &edits), delays)
    }
}

impl Scene<'_> {
    /// Sends a stream's frame, once `delays` let it and behind what waits of the stream.
    pub(super) fn send(&mut self, way: Way, stream: u32, frame: Bytes, delays: Vec<u64>) {
        let now = self.now;
        let out = self.out(way);
        match delays.is_empty() && !out.waits(stream) {
            true => out.pass(now, frame),
            false => out.hold_stream(stream, now, frame, delays),
        }
    }
}

impl Block {
    fn begin(first: Header, frame: &[u8]) -> Result<Self, Malformed> {
        let content = frame::content(first, frame)?;
        let before = match first.kind {
            frame::PUSH_PROMISE => 4,
            _ if first.has(frame::PRIORITY) => 5,
            _ => 0,
        };
        if content.len() < before {
            return Err(Malformed);
        }
        let (prefix, fragment) = frame[content].split_at(before);
        let (prefix, fragment) = (Bytes::copy_from_slice(prefix), BytesMut::from(fragment));
        Ok(Self { first, prefix, fragment, raw: BytesMut::new() })
    }
}

fn request_of(fields: &[Field]) -> Request<'_> {
    let pseudo = |wanted: &[u8]| {
        let value = fields.iter().find(|(name, _)| name == wanted).map_or(&[][..], |(_, value)| value);
        std::str::from_utf8(value).unwrap_or_default()
    };
    let (method, target) = (pseudo(b":method"), pseudo(b":path"));
    let headers = fields.iter().filter_map(|(name, value)| match &name[..] {
        b":authority" => Some((&b"host"[..], &value[..])),
        name if name.starts_with(b":") => None,
        name => Some((name, &value[..])),
    });
    Request { method, target, headers: headers.collect() }
}

fn edited(mut fields: Vec<Field>, edits: &[Edit]) -> Vec<Field> {
    for edit in edits {
        fields.retain(|(name, _)| !name.eq_ignore_ascii_case(edit.name().as_bytes()));
        fields.extend(edit.header().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())));
    }
    fields
}
