//! Requests, responses and trailers of HTTP/2.

use bytes::{Bytes, BytesMut};

use super::frame::{self, Header};
use super::hpack::{Field, Headers, plain};
use super::ids::Ids;
use super::{H2, STREAMS, Stream};
use crate::link::http::Unread;
use crate::link::http::answer::Answer;
use crate::link::http::codec::Scene;
use crate::link::http::corrupt::BodyFilter;
use crate::link::http::cursor::{Cursor, Piece, Place};
use crate::link::http::message::{Edit, Request};
use crate::link::http::rules::{Plan, reads};
use crate::link::toxic::Way;

/// Most that a header block may take, in bytes, over all its frames, and these as well.
const BLOCK: usize = 1 << 20;

/// A header block: the frame that began it and those that went on with it.
pub(super) struct Block {
    first: Header,
    /// What is in the first frame before the block: a priority, or the stream that is promised.
    prefix: Bytes,
    /// What the first frame has of the block, and all of it once there are more.
    fragment: Bytes,
    fragments: BytesMut,
    /// The frames as they came, when there is more than one.
    pub(super) raw: BytesMut,
}

/// What becomes of a block.
enum Outcome {
    /// It passes.
    Pass,
    /// It goes on with these changes, once these toxics let it.
    Change(Vec<Edit>, Vec<u64>),
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
    ) -> Result<(), Unread> {
        let side = self.side(way);
        let mut block = match side.block.take() {
            Some(mut block) if block.first.stream == header.stream => {
                if block.fragments.is_empty() {
                    block.fragments.extend_from_slice(&block.fragment);
                }
                block.fragments.extend_from_slice(&piece.bytes[frame::HEADER..]);
                block
            }
            Some(block) => {
                side.block = Some(block);
                return Err(Unread::Malformed);
            }
            None => Block::begin(header, &piece.bytes)?,
        };
        if block.fragments.len().max(block.raw.len()) > BLOCK {
            side.block = Some(block);
            return Err(Unread::TooLarge);
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
        if !block.fragments.is_empty() {
            block.fragment = block.fragments.split().freeze();
        }
        self.block(way, &block, piece, cursor, scene);
        Ok(())
    }

    /// A block is complete.
    fn block(&mut self, way: Way, block: &Block, piece: Piece, cursor: &mut Cursor, scene: &mut Scene<'_>) {
        let fields = match self.side(way).hpack.read(&block.fragment) {
            Ok(fields) => fields,
            Err(why) => {
                piece.pass(cursor, scene.out(way));
                cursor.flush(scene.out(way));
                return self.lose(why, scene);
            }
        };
        let outcome = match way {
            _ if self.cut.contains(&block.first.stream) => Outcome::Drop,
            _ if block.first.kind == frame::PUSH_PROMISE => Outcome::Pass,
            Way::Up if block.first.stream > self.latest => self.request(block, &fields, scene),
            Way::Up => Outcome::Pass,
            Way::Down => self.response(block, &fields, scene),
        };
        let stream = block.first.stream;
        let waits = scene.out(way).waits(stream);
        let hpack = &mut self.side(way).hpack;
        let (edits, delays) = match outcome {
            Outcome::Drop => {
                hpack.kept(&fields);
                drop(piece.lift(cursor, scene.out(way)));
                return;
            }
            Outcome::Pass if hpack.may_pass() && !waits => {
                hpack.passed(fields);
                return piece.pass(cursor, scene.out(way));
            }
            Outcome::Pass => (vec![], vec![]),
            Outcome::Change(edits, delays) => (edits, delays),
        };
        let encoded = match delays.is_empty() && !waits {
            true => hpack.write(&fields, &edits),
            false => hpack.write_apart(&fields, &edits),
        };
        let Header { kind, flags, .. } = block.first;
        piece.lift(cursor, scene.out(way));
        let frames = frame::header_frames(kind, flags, stream, &block.prefix, &encoded);
        scene.send(way, stream, frames, delays);
    }

    fn request(&mut self, block: &Block, fields: &[Field], scene: &mut Scene<'_>) -> Outcome {
        let stream = block.first.stream;
        let before = std::mem::replace(&mut self.latest, stream);
        if scene.rules.is_empty() || self.streams.len() >= STREAMS {
            scene.counters.http_requests.add(1);
            return Outcome::Pass;
        }
        let Ok(headers) = Headers::of(fields, |name| name.starts_with(b":") || reads(scene.rules, name)) else {
            return Outcome::Pass;
        };
        let request = request_of(&headers);
        let tunnel = request.method == "CONNECT";
        let Some(mut plan) = scene.requests.decide(scene.rules, &request, scene.now, scene.counters) else {
            return Outcome::Pass;
        };
        if let Some(answer) = plan.answer.take() {
            self.answer(block.first, &answer, &request, plan, scene);
            return Outcome::Drop;
        }
        let edits = std::mem::take(&mut plan.request);
        let delays = std::mem::take(&mut plan.hold_request);
        let filter = BodyFilter::of(&mut plan);
        let filter = if tunnel { BodyFilter::default() } else { filter };
        self.streams.insert(stream, Stream { plan, filter });
        if !delays.is_empty() {
            self.ids.get_or_insert_with(|| Ids::new(before));
            scene.counters.http_delayed.add(1);
        }
        scene.counters.http_rewritten.add(u64::from(!edits.is_empty()));
        match edits.is_empty() && delays.is_empty() {
            true => Outcome::Pass,
            false => Outcome::Change(edits, delays),
        }
    }

    /// Answers in place of the callee, which does not hear of the stream.
    fn answer(&mut self, first: Header, answer: &Answer, request: &Request<'_>, plan: Plan, scene: &mut Scene<'_>) {
        let stream = first.stream;
        self.cut_off(stream);
        let status = answer.status.to_string();
        let mut headers = vec![(":status".to_owned(), status)];
        headers.extend(answer.headers(request.method));
        let headers = edited(headers, &plan.response);
        let fields = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        // What waits may arrive at any time, so it tells nothing of the table.
        let block = match plan.hold_head.is_empty() {
            true => self.down.hpack.write_own(fields),
            false => plain(fields),
        };
        let body = answer.body(request.method);
        // The caller need not go on with its own body: RFC 9113, 8.1.
        let ended = first.has(frame::END_STREAM);
        let behind = if ended { Bytes::new() } else { frame::reset(stream, frame::NO_ERROR) };
        let end = if body.is_empty() { frame::END_STREAM } else { 0 };
        let mut frames = BytesMut::from(&frame::header_frames(frame::HEADERS, end, stream, &[], &block)[..]);
        if body.is_empty() {
            frames.extend_from_slice(&behind);
        } else {
            self.credit.add(stream, body, behind);
        }
        scene.counters.http_delayed.add(u64::from(!plan.hold_head.is_empty()));
        self.say(stream, frames.freeze(), plan.hold_head, scene);
        self.send_bodies(scene);
    }

    fn response(&mut self, block: &Block, fields: &[Field], scene: &mut Scene<'_>) -> Outcome {
        let stream = block.first.stream;
        let ends = block.first.has(frame::END_STREAM);
        if let Some(ids) = self.ids.as_mut().filter(|_| ends) {
            ids.end(stream);
        }
        let Some(Stream { plan, .. }) = self.streams.get_mut(&stream) else { return Outcome::Pass };
        let informs = Headers::of(fields, |name| name == b":status")
            .is_ok_and(|headers| headers.iter().any(|(name, value)| name == b":status" && value.starts_with(b"1")));
        let delays = if informs { vec![] } else { std::mem::take(&mut plan.hold_head) };
        let edits = if informs { vec![] } else { std::mem::take(&mut plan.response) };
        if ends {
            self.streams.remove(&stream);
        }
        if delays.is_empty() && edits.is_empty() {
            return Outcome::Pass;
        }
        scene.counters.http_delayed.add(u64::from(!delays.is_empty()));
        scene.counters.http_rewritten.add(u64::from(!edits.is_empty()));
        Outcome::Change(edits, delays)
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
    fn begin(first: Header, frame: &Bytes) -> Result<Self, Unread> {
        let content = frame::content(first, frame)?;
        let before = match first.kind {
            frame::PUSH_PROMISE => 4,
            _ if first.has(frame::PRIORITY) => 5,
            _ => 0,
        };
        if content.len() < before {
            return Err(Unread::Malformed);
        }
        let mut fragment = frame.slice(content);
        let prefix = fragment.split_to(before);
        Ok(Self { first, prefix, fragment, fragments: BytesMut::new(), raw: BytesMut::new() })
    }
}

fn request_of(headers: &Headers) -> Request<'_> {
    let pseudo = |wanted: &[u8]| {
        let value = headers.iter().find(|(name, _)| *name == wanted).map_or(&[][..], |(_, value)| value);
        std::str::from_utf8(value).unwrap_or_default()
    };
    let (method, target) = (pseudo(b":method"), pseudo(b":path"));
    let fields = headers.iter().filter_map(|(name, value)| match name {
        b":authority" => Some((&b"host"[..], value)),
        name if name.starts_with(b":") => None,
        name => Some((name, value)),
    });
    Request { method, target, headers: fields.collect() }
}

/// The headers of the link's own answer, with `edits` made.
fn edited(mut headers: Vec<(String, String)>, edits: &[Edit]) -> Vec<(String, String)> {
    for edit in edits {
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(edit.name()));
        headers.extend(edit.header().map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    headers
}
