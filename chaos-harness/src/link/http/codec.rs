//! Follows the messages of one connection both ways, and does what the toxics say.
//!
//! It is a machine without sockets and without a clock: items in, items out, each with its moment.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::cursor::Cursor;
use super::h1::H1;
use super::h2::{self, H2};
use super::outbox::Outbox;
use super::rules::{Requests, Rule};
use super::unread::Unread;
use crate::link::counters::Counters;
use crate::link::toxic::{Item, Way};

/// The type of the record with which a TLS connection begins.
const TLS_HANDSHAKE: u8 = 22;

/// One connection.
pub(in crate::link) struct Codec {
    requests: Arc<Requests>,
    rules: Vec<Rule>,
    wire: Wire,
    up: Outbox,
    down: Outbox,
}

/// What is spoken.
enum Wire {
    /// Not known yet: what the caller said first, not enough to tell.
    New(BytesMut),
    H1(Box<H1>),
    H2(Box<H2>),
    /// Something else, which passes.
    Opaque,
}

/// What surrounds a connection while it looks at bytes.
pub(super) struct Scene<'a> {
    pub(super) now: Instant,
    pub(super) rules: &'a [Rule],
    pub(super) requests: &'a Requests,
    pub(super) counters: &'a Counters,
    pub(super) up: &'a mut Outbox,
    pub(super) down: &'a mut Outbox,
}

impl Scene<'_> {
    /// Where what goes `way` is put.
    pub(super) fn out(&mut self, way: Way) -> &mut Outbox {
        match way {
            Way::Up => self.up,
            Way::Down => self.down,
        }
    }

    /// Lets `data` go `way` as it is.
    pub(super) fn pass(&mut self, way: Way, data: Bytes) {
        let now = self.now;
        self.out(way).pass(now, data);
    }
}

impl Codec {
    pub(in crate::link) fn new(requests: Arc<Requests>) -> Self {
        let (up, down) = (Outbox::default(), Outbox::default());
        Self { requests, rules: Vec::new(), wire: Wire::New(BytesMut::new()), up, down }
    }

    /// Puts a rule in force, in the place of the one with its id if there is one.
    pub(in crate::link) fn set_rule(&mut self, rule: Rule) {
        match self.rules.iter_mut().find(|old| old.id == rule.id) {
            Some(old) => *old = rule,
            None => self.rules.push(rule),
        }
    }

    /// Takes rules away; what waits for one of them alone is due.
    pub(in crate::link) fn retain_rules(&mut self, keep: impl Fn(u64) -> bool) {
        self.rules.retain(|rule| keep(rule.id));
    }

    /// Takes in what a peer sent.
    pub(in crate::link) fn feed(&mut self, way: Way, now: Instant, item: Item, counters: &Counters) {
        match item {
            Item::Data(data) => self.feed_data(way, now, data, counters),
            // Bytes that nobody can look at come only where all pass the codec by.
            Item::Open | Item::Spooled(_) => self.out_mut(way).pass_item(now, item),
            Item::Fin | Item::Abort(_) => self.finish(way, now, item, counters),
        }
    }

    /// What goes on `way` by `now`, and since when it might have.
    pub(in crate::link) fn next(&mut self, way: Way, now: Instant) -> Option<(Instant, Item)> {
        let Self { rules, wire, up, down, .. } = self;
        let out = match way {
            Way::Up => up,
            Way::Down => return down.next(now, rules),
        };
        loop {
            let (due, item) = out.next(now, rules)?;
            match (&mut *wire, item) {
                (Wire::H2(h2), Item::Data(data)) => match h2.outgoing(data) {
                    data if data.is_empty() => {}
                    data => return Some((due, Item::Data(data))),
                },
                (_, item) => return Some((due, item)),
            }
        }
    }

    /// When there is something to go on `way`.
    pub(in crate::link) fn deadline(&self, way: Way) -> Option<Instant> {
        self.out(way).deadline(&self.rules)
    }

    /// Memory that what goes `way` takes, in bytes, but for a head or frame of which a part has arrived.
    pub(in crate::link) fn cost(&self, way: Way) -> usize {
        self.out(way).cost()
    }

    /// Whether all bytes pass, from now on, without a look at them.
    pub(in crate::link) fn is_transparent(&self) -> bool {
        let opaque = match &self.wire {
            Wire::New(_) | Wire::H2(_) => false,
            Wire::H1(h1) => h1.is_raw(),
            Wire::Opaque => true,
        };
        opaque && self.up.is_empty() && self.down.is_empty()
    }

    /// Forgets all that waits to go `way`, where nothing goes any more.
    pub(in crate::link) fn clear(&mut self, way: Way) {
        self.out_mut(way).close();
    }

    fn out(&self, way: Way) -> &Outbox {
        match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        }
    }

    fn out_mut(&mut self, way: Way) -> &mut Outbox {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    fn feed_data(&mut self, way: Way, now: Instant, data: Bytes, counters: &Counters) {
        let Self { requests, rules, wire, up, down } = self;
        let mut scene = Scene { now, rules, requests, counters, up, down };
        let data = match wire {
            Wire::New(kept) => {
                let Some((recognised, data)) = recognise(kept, way, data, &mut scene) else { return };
                *wire = recognised;
                data
            }
            _ => data,
        };
        match wire {
            Wire::H1(h1) => h1.feed(way, Cursor::new(data, now), &mut scene),
            Wire::H2(h2) => h2.feed(way, Cursor::new(data, now), &mut scene),
            Wire::Opaque | Wire::New(_) => scene.pass(way, data),
        }
        if let Wire::H2(h2) = wire
            && h2.is_raw()
        {
            *wire = Wire::Opaque;
        }
    }

    /// A way ends: what was not understood yet goes as it is, then the end.
    fn finish(&mut self, way: Way, now: Instant, item: Item, counters: &Counters) {
        let Self { requests, rules, wire, up, down } = self;
        let mut scene = Scene { now, rules, requests, counters, up, down };
        match wire {
            Wire::New(kept) if way == Way::Up => scene.pass(way, kept.split().freeze()),
            Wire::H1(h1) => h1.finish(way, &mut scene),
            Wire::H2(h2) => h2.finish(way, &mut scene),
            Wire::New(_) | Wire::Opaque => {}
        }
        scene.out(way).end(now, item);
    }
}

/// Tells by the first bytes what is spoken, once there are enough; gives back those to go on with.
fn recognise(kept: &mut BytesMut, way: Way, data: Bytes, scene: &mut Scene<'_>) -> Option<(Wire, Bytes)> {
    if way == Way::Down {
        // Where the callee speaks first it is HTTP/2, if at all; the rest of the caller's preface will tell.
        let preface = kept.len();
        scene.pass(Way::Up, kept.split().freeze());
        if h2::may_begin(&data) {
            return Some((Wire::H2(Box::new(H2::new(preface))), data));
        }
        Unread::Foreign.count(scene.counters);
        return Some((Wire::Opaque, data));
    }
    let data = if kept.is_empty() { data } else { [&kept.split()[..], &data].concat().into() };
    let common = h2::PREFACE.iter().zip(&data).take_while(|(a, b)| a == b).count();
    if common == h2::PREFACE.len() {
        return Some((Wire::H2(Box::new(H2::new(0))), data));
    }
    if common == data.len() {
        kept.extend_from_slice(&data);
        return None;
    }
    if data.starts_with(&[TLS_HANDSHAKE]) {
        Unread::Tls.count(scene.counters);
        return Some((Wire::Opaque, data));
    }
    Some((Wire::H1(Box::default()), data))
}
