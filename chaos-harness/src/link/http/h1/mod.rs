//! HTTP/1.1: messages one after the other, both ways.

mod body;
mod head;

use std::collections::VecDeque;

use bytes::Bytes;

use self::body::Body;
use self::head::{HeadBuffer, ResponseInfo, Taken};
use super::codec::Scene;
use super::corrupt::BodyFilter;
use super::cursor::{Cursor, Piece, Place};
use super::message::Request;
use super::rules::Plan;
use super::unread::Unread;
use crate::link::toxic::{Item, Way};

/// Most requests that wait for their response at a time; with more, the connection is no longer read.
const PIPELINED: usize = 1 << 16;

/// One connection.
#[derive(Default)]
pub(super) struct H1 {
    up: Up,
    down: Down,
    /// Requests whose response is still to come or to end, in order.
    exchanges: VecDeque<Exchange>,
    /// A request has been read, so what follows is one as well.
    begun: bool,
    /// The link has ended the connection towards the caller; nothing matters any more.
    dead: bool,
}

enum Up {
    Head(HeadBuffer),
    /// In a body that passes, or is thrown away.
    Body(Body, bool),
    Raw,
}

enum Down {
    Head(HeadBuffer),
    Body(Body, BodyFilter, Vec<u64>),
    Raw,
}

impl Default for Up {
    fn default() -> Self {
        Self::Head(HeadBuffer::default())
    }
}

impl Default for Down {
    fn default() -> Self {
        Self::Head(HeadBuffer::default())
    }
}

/// A request and what becomes of it.
struct Exchange {
    asked: Asked,

    plan: Option<Box<Plan>>,
    /// It would have HTTP/2 be spoken from here on.
    h2c: bool,
}

/// What a request says of the answer that it wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    /// The connection ends behind the link's own answer.
    pub(super) closes: bool,
    /// The caller speaks HTTP/1.0 and wants to be told that the connection stays.
    pub(super) keeps: bool,
}

/// What a request says of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    /// Its response has no body.
    Head,
    /// A success makes a tunnel.
    Connect,
    /// Not a request: from here on nothing is understood.
    Raw,
}

impl Kind {
    /// The method, as far as it matters for the response.
    fn method(self) -> &'static str {
        match self {
            Self::Head => "HEAD",
            Self::Connect => "CONNECT",
            Self::Plain | Self::Raw => "",
        }
    }
}

impl Exchange {
    fn has_answer(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.answer.is_some())
    }
}

impl H1 {
    /// Whether nothing is looked at any more.
    pub(super) fn is_raw(&self) -> bool {
        matches!((&self.up, &self.down, self.dead), (Up::Raw, Down::Raw, false))
    }

    pub(super) fn feed(&mut self, way: Way, mut cursor: Cursor, scene: &mut Scene<'_>) {
        while !cursor.is_done() && !self.dead {
            match way {
                Way::Up => self.step_up(&mut cursor, scene),
                Way::Down => self.step_down(&mut cursor, scene),
            }
        }
        cursor.flush(scene.out(way));
        self.answer(scene);
    }

    /// A way ends: what was kept back goes.
    pub(super) fn finish(&mut self, way: Way, scene: &mut Scene<'_>) {
        let kept = match (way, &mut self.up, &mut self.down) {
            (Way::Up, Up::Head(buffer), _) | (Way::Down, _, Down::Head(buffer)) => buffer.flush(),
            _ => Bytes::new(),
        };
        scene.pass(way, kept);
    }

    fn step_up(&mut self, cursor: &mut Cursor, scene: &mut Scene<'_>) {
        match &mut self.up {
            Up::Raw => cursor.pass_all(scene.up),
            Up::Body(body, gone) => match body.step(cursor.rest()) {
                Ok(segment) => {
                    match gone {
                        true => drop(cursor.take(segment.len, scene.up)),
                        false => cursor.pass(segment.len),
                    }
                    if segment.last {
                        self.up = Up::default();
                    }
                }
                Err(_) => self.lose_request(Unread::Malformed, cursor, scene),
            },
            Up::Head(buffer) => match buffer.take(cursor, scene.up, scene.rules.is_empty(), head::begins_request) {
                Taken::Part => {}
                Taken::Head(head) => self.request(head, cursor, scene),
                Taken::Unread(why) => {
                    let why = if self.begun && why == Unread::Foreign { Unread::Malformed } else { why };
                    self.lose_request(why, cursor, scene);
                }
            },
        }
    }

    fn request(&mut self, head: Piece, cursor: &mut Cursor, scene: &mut Scene<'_>) {
        // On a request whose head has passed already no toxic acts any more.
        let rules = if head.place == Place::Passed { &[] } else { scene.rules };
        let (requests, now, counters) = (scene.requests, scene.now, scene.counters);
        let decide = |request: &Request<'_>| requests.decide(rules, request, now, counters);
        let room = if self.exchanges.len() < PIPELINED { Ok(()) } else { Err(Unread::TooLarge) };
        let (info, plan) = match room.and_then(|()| head::read_request(&head.bytes, decide)) {
            Ok(read) => read,
            Err(why) => {
                head.put(cursor, scene.up, None, vec![]);
                return self.lose_request(why, cursor, scene);
            }
        };
        self.begun = true;
        let change = match &plan {
            Some(Plan { answer: Some(_), .. }) => Some(Bytes::new()),
            Some(Plan { request, .. }) if !request.is_empty() => Some(head::rewrite(&head.bytes, request)),
            _ => None,
        };
        if change.as_ref().is_some_and(|change| !change.is_empty()) {
            scene.counters.http_rewritten.add(1);
        }
        let gone = change.as_ref().is_some_and(Bytes::is_empty);
        let mut plan = plan;
        let delays =
            plan.as_mut().filter(|_| !gone).map(|plan| std::mem::take(&mut plan.hold_request)).unwrap_or_default();
        scene.counters.http_delayed.add(u64::from(!delays.is_empty()));
        head.put(cursor, scene.up, change, delays);
        self.exchanges.push_back(Exchange { asked: info.asked, plan: plan.map(Box::new), h2c: info.h2c });
        self.up = if info.body.is_empty() { Up::default() } else { Up::Body(info.body, gone) };
    }

    fn step_down(&mut self, cursor: &mut Cursor, scene: &mut Scene<'_>) {
        if self.owes_answer() {
            cursor.flush(scene.down);
            return self.answer(scene);
        }
        match &mut self.down {
            Down::Raw => cursor.pass_all(scene.down),
            Down::Body(..) => self.response_body(cursor, scene),
            Down::Head(buffer) => {
                let Some(exchange) = self.exchanges.front() else {
                    return self.lose_response(Unread::Malformed, cursor, scene);
                };
                match buffer.take(cursor, scene.down, exchange.plan.is_none(), head::begins_response) {
                    Taken::Part => {}
                    Taken::Head(head) => self.response(head, cursor, scene),
                    Taken::Unread(Unread::Foreign) => self.lose_response(Unread::Malformed, cursor, scene),
                    Taken::Unread(why) => self.lose_response(why, cursor, scene),
                }
            }
        }
    }

    fn response(&mut self, head: Piece, cursor: &mut Cursor, scene: &mut Scene<'_>) {
        let (Ok(ResponseInfo { status, body }), Some(exchange)) =
            (head::read_response(&head.bytes), self.exchanges.front_mut())
        else {
            head.put(cursor, scene.down, None, vec![]);
            return self.lose_response(Unread::Malformed, cursor, scene);
        };
        let kind = exchange.asked.kind;
        let switches = status == 101 || kind == Kind::Connect && (200..300).contains(&status);
        if status < 200 && !switches {
            return head.put(cursor, scene.down, None, vec![]);
        }
        let mut plan = exchange.plan.take().unwrap_or_default();
        let change = (!plan.response.is_empty()).then(|| head::rewrite(&head.bytes, &plan.response));
        scene.counters.http_rewritten.add(u64::from(change.is_some()));
        scene.counters.http_delayed.add(u64::from(!plan.hold_head.is_empty()));
        let why = if status == 101 && exchange.h2c { Unread::H2c } else { Unread::Upgraded };
        let bodiless = kind == Kind::Head || matches!(status, 204 | 304);
        head.put(cursor, scene.down, change, std::mem::take(&mut plan.hold_head));
        if switches {
            return self.lose_response(why, cursor, scene);
        }
        if bodiless || body.is_empty() {
            self.exchanges.pop_front();
        } else {
            self.down = Down::Body(body, BodyFilter::of(&mut plan), plan.hold_body);
        }
    }

    fn response_body(&mut self, cursor: &mut Cursor, scene: &mut Scene<'_>) {
        let Down::Body(body, filter, delays) = &mut self.down else { return };
        let Ok(segment) = body.step(cursor.rest()) else {
            return self.lose_response(Unread::Malformed, cursor, scene);
        };
        let mut cut = false;
        if delays.is_empty() && (filter.is_idle() || !segment.content) {
            cursor.pass(segment.len);
        } else {
            let mut piece = cursor.take(segment.len, scene.down);
            if segment.content {
                (piece, cut) = filter.apply(piece, scene.counters);
            }
            scene.counters.http_delayed.add(u64::from(!delays.is_empty()));
            scene.down.hold(scene.now, piece, std::mem::take(delays));
        }
        if segment.last {
            self.exchanges.pop_front();
            self.down = Down::default();
        }
        if cut {
            self.die(scene);
        }
    }

    /// Whether the next response is the link's own.
    fn owes_answer(&self) -> bool {
        let next = self.exchanges.front().is_some_and(|next| next.asked.kind == Kind::Raw || next.has_answer());
        next && matches!(&self.down, Down::Head(buffer) if buffer.is_empty())
    }

    /// Gives the link's own answers whose turn it is.
    fn answer(&mut self, scene: &mut Scene<'_>) {
        while self.owes_answer() && !self.dead {
            let Some(exchange) = self.exchanges.pop_front() else { return };
            let Some(Plan { answer: Some(answer), response, hold_head, .. }) = exchange.plan.map(|plan| *plan) else {
                self.down = Down::Raw;
                return;
            };
            let method = exchange.asked.kind.method();
            let head = head::rewrite(&answer.head(method, exchange.asked), &response);
            scene.counters.http_delayed.add(u64::from(!hold_head.is_empty()));
            scene.down.hold(scene.now, head, hold_head);
            scene.pass(Way::Down, answer.body(method));
            if exchange.asked.closes {
                self.die(scene);
            }
        }
    }

    /// What the caller sends is not, or no longer, understood; responses are, up to this point.
    fn lose_request(&mut self, why: Unread, cursor: &mut Cursor, scene: &mut Scene<'_>) {
        match &mut self.up {
            // Nobody can say where the request ends that was kept from the callee.
            Up::Body(_, true) => return self.die(scene),
            Up::Head(buffer) => {
                cursor.flush(scene.up);
                scene.pass(Way::Up, buffer.flush());
            }
            Up::Body(..) | Up::Raw => {}
        }
        self.up = Up::Raw;
        let asked = Asked { kind: Kind::Raw, closes: false, keeps: false };
        self.exchanges.push_back(Exchange { asked, plan: None, h2c: false });
        why.count(scene.counters);
    }

    /// What the callee sends is not, or no longer, understood: then nothing is.
    fn lose_response(&mut self, why: Unread, cursor: &mut Cursor, scene: &mut Scene<'_>) {
        if let Down::Head(buffer) = &mut self.down {
            cursor.flush(scene.down);
            scene.pass(Way::Down, buffer.flush());
        }
        self.down = Down::Raw;
        // An answer of the link has no place among what is not understood.
        if matches!(self.up, Up::Body(_, true)) || self.exchanges.iter().any(Exchange::has_answer) {
            return self.die(scene);
        }
        self.exchanges.clear();
        match std::mem::replace(&mut self.up, Up::Raw) {
            Up::Raw => return,
            Up::Head(mut buffer) => scene.pass(Way::Up, buffer.flush()),
            Up::Body(..) => {}
        }
        why.count(scene.counters);
    }

    /// Ends the connection towards the caller, as a broken callee does.
    fn die(&mut self, scene: &mut Scene<'_>) {
        self.dead = true;
        scene.down.end(scene.now, Item::Fin);
    }
}
