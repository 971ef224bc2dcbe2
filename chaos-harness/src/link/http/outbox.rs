//! What the codec gives out one way, and when.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::rules::Rule;
use crate::link::toxic::Item;

/// Up to so many bytes of small pieces are joined.
const JOINED: usize = 64 << 10;

/// Bytes that may have to wait for toxics.
pub(super) struct Held {
    pub(super) arrived: Instant,
    /// The toxics that delay it, by id. How long is asked when it matters, so that a change of them holds.
    pub(super) delays: Vec<u64>,
    pub(super) item: Item,
}

impl Held {
    fn due(&self, rules: &[Rule]) -> Instant {
        let of = |id: &u64| rules.iter().find(|rule| rule.id == *id).and_then(Rule::delay);
        self.arrived + self.delays.iter().filter_map(of).sum::<Duration>()
    }
}

/// Queues that keep their order: the main one, and one for each HTTP/2 stream that waits apart.
#[derive(Default)]
pub(super) struct Outbox {
    main: VecDeque<Held>,
    streams: BTreeMap<u32, VecDeque<Held>>,
    /// Goes when all else has gone.
    end: Option<(Instant, Item)>,
    ended: bool,
    cost: usize,
}

impl Outbox {
    /// Lets `data` go as soon as what is before it has gone.
    pub(super) fn pass(&mut self, now: Instant, data: Bytes) {
        self.hold(now, data, Vec::new());
    }

    /// Lets `data`, and all behind it, wait for the toxics `delays`.
    pub(super) fn hold(&mut self, now: Instant, data: Bytes, delays: Vec<u64>) {
        if let Some(held) = self.held(now, data, delays)
            && let Err(held) = self.join(held)
        {
            self.main.push_back(held);
        }
    }

    /// Puts small pieces that arrived together into one, which is written at once; gives others back.
    fn join(&mut self, held: Held) -> Result<(), Held> {
        let Some(last) = self.main.back_mut().filter(|last| last.arrived == held.arrived) else { return Err(held) };
        let before = last.item.cost() + held.item.cost();
        let (Item::Data(data), Item::Data(more)) = (&mut last.item, &held.item) else { return Err(held) };
        if !last.delays.is_empty() || !held.delays.is_empty() || data.len() + more.len() > JOINED {
            return Err(held);
        }
        let mut joined = std::mem::take(data).try_into_mut().unwrap_or_else(|data| {
            let mut joined = BytesMut::with_capacity(JOINED.min(4 * (data.len() + more.len())));
            joined.extend_from_slice(&data);
            joined
        });
        joined.extend_from_slice(more);
        last.item = Item::Data(joined.freeze());
        self.cost = self.cost + last.item.cost() - before;
        Ok(())
    }

    /// Lets `data` wait apart from other streams.
    pub(super) fn hold_stream(&mut self, stream: u32, now: Instant, data: Bytes, delays: Vec<u64>) {
        if let Some(held) = self.held(now, data, delays) {
            self.streams.entry(stream).or_default().push_back(held);
        }
    }

    fn held(&mut self, arrived: Instant, data: Bytes, delays: Vec<u64>) -> Option<Held> {
        if self.ended || data.is_empty() {
            return None;
        }
        let item = Item::Data(data);
        self.cost += item.cost();
        Some(Held { arrived, delays, item })
    }

    /// Passes what is no bytes to look at, such as the wish to connect.
    pub(super) fn pass_item(&mut self, now: Instant, item: Item) {
        self.cost += item.cost();
        self.main.push_back(Held { arrived: now, delays: Vec::new(), item });
    }

    /// Ends the way with `item`, once all else has gone; no bytes are taken any more.
    pub(super) fn end(&mut self, now: Instant, item: Item) {
        if !self.ended || matches!(item, Item::Abort(_)) {
            self.ended = true;
            self.end = Some((now, item));
        }
    }

    /// Forgets all, and takes nothing any more.
    pub(super) fn close(&mut self) {
        *self = Self { ended: true, ..Self::default() };
    }

    /// Whether a stream has something that waits apart.
    pub(super) fn waits(&self, stream: u32) -> bool {
        self.streams.contains_key(&stream)
    }

    /// Throws away what a stream has waiting; gives it back.
    pub(super) fn forget(&mut self, stream: u32) -> VecDeque<Held> {
        let gone = self.streams.remove(&stream).unwrap_or_default();
        self.cost -= gone.iter().map(|held| held.item.cost()).sum::<usize>();
        gone
    }

    /// What is due, and when it was.
    pub(super) fn next(&mut self, now: Instant, rules: &[Rule]) -> Option<(Instant, Item)> {
        let due = |held: &Held| Some(held.due(rules)).filter(|due| *due <= now);
        if let Some(due) = self.main.front().and_then(due) {
            return self.main.pop_front().map(|held| self.out(due, held));
        }
        let first = self.streams.iter().find_map(|(stream, queue)| Some((*stream, queue.front().and_then(due)?)));
        if let Some((stream, due)) = first {
            let queue = self.streams.get_mut(&stream)?;
            let held = queue.pop_front()?;
            if queue.is_empty() {
                self.streams.remove(&stream);
            }
            return Some(self.out(due, held));
        }
        if self.main.is_empty() && self.streams.is_empty() { self.end.take() } else { None }
    }

    fn out(&mut self, due: Instant, held: Held) -> (Instant, Item) {
        self.cost -= held.item.cost();
        (due, held.item)
    }

    /// When [`Self::next`] has something to give out.
    pub(super) fn deadline(&self, rules: &[Rule]) -> Option<Instant> {
        let streams = self.streams.values().filter_map(VecDeque::front);
        let held = self.main.front().into_iter().chain(streams).map(|held| held.due(rules)).min();
        held.or(self.end.as_ref().map(|(since, _)| *since))
    }

    /// Memory that it holds, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cost == 0 && self.end.is_none()
    }
}
