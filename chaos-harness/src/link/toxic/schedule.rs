//! What a shaper gives out, and when.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::{Ending, Mark, Shaper, Way};
use crate::link::absence::Manner;
use crate::link::counters::{Counter, Counters};

/// What travels one way through a connection.
#[derive(Clone, Debug)]
pub(in crate::link) enum Item {
    /// The wish to connect to the callee; the first item on the way up, and nowhere else.
    Open,
    /// Bytes, never empty.
    Data(Bytes),
    /// As many bytes, which lie in the lane's spool; only opaque shapers get to see it.
    Spooled(usize),
    /// The end of the stream (FIN); the other way goes on.
    Fin,
    /// The end of the connection (RST), both ways.
    Abort(Cut),
}

/// What bookkeeping an item costs besides its bytes, so that tiny chunks cannot exhaust the memory.
const OVERHEAD: usize = 128;

impl Item {
    /// Memory that it takes, in bytes.
    pub(in crate::link) fn cost(&self) -> usize {
        OVERHEAD + self.bytes()
    }

    pub(in crate::link) fn bytes(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Spooled(len) => *len,
            Self::Open | Self::Fin | Self::Abort(_) => 0,
        }
    }
}

/// Why a connection was cut, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::link) enum Cut {
    /// A toxic reset it.
    Reset,
    /// A toxic refused it.
    Refused,
    /// A toxic closed it: both streams end.
    Closed,
    /// Its budget was spent.
    Spent(Ending),
    /// There were too many.
    Full,
    /// A toxic let the end to which this way leads vanish, without a word to the other.
    Lost(Way),
    /// One end reset it, or the callee could not be reached.
    Peer,
    /// The callee could not be reached, and the caller is told by the end of its stream.
    HungUp,
    /// The link shut down.
    Shutdown(Manner),
}

impl Cut {
    /// Whether, where it is an item of the stream, what went before must have been sent first.
    pub(in crate::link) fn waits(self) -> bool {
        matches!(self, Self::Spent(_) | Self::Reset)
    }

    /// Whether it ends both streams rather than the connection.
    pub(in crate::link) fn is_orderly(self) -> bool {
        matches!(self, Self::Closed | Self::HungUp | Self::Spent(Ending::End))
    }
}

/// Where a shaper puts what it passes on: a queue that keeps the order.
pub(in crate::link) struct Schedule<'a> {
    queue: &'a mut VecDeque<Held>,
    cost: &'a mut usize,
    cut: &'a mut Option<Cut>,
    mark: &'a mut Mark,
    arrived: Instant,
    /// Whether what it is about is an abort that it did not make.
    passes_abort: bool,
    tally: Tally<'a>,
}

/// What a stage counts into: nothing, when items are only scheduled anew.
#[derive(Clone, Copy)]
pub(in crate::link) struct Tally<'a>(pub(in crate::link) Option<&'a Counters>);

impl Tally<'_> {
    /// Counts bytes that were lost on purpose.
    pub(in crate::link) fn dropped(&self, data: &Bytes) {
        if let Some(counters) = self.0 {
            counters.dropped_bytes.add(data.len() as u64);
        }
    }
}

impl Schedule<'_> {
    /// Lets `item` go at `due`, and not before those that went in earlier.
    pub(in crate::link) fn at(&mut self, due: Instant, item: Item) {
        if due > self.arrived {
            self.tell(|counters| counters.delayed(&item));
        }
        self.keep(Some(due), item);
    }

    /// Keeps `item`, and all behind it, until the toxic changes or goes.
    pub(in crate::link) fn hold(&mut self, item: Item) {
        let begins = self.queue.back().is_none_or(|held| held.due.is_some());
        self.tell(|counters| {
            counters.stalled_bytes.add(item.bytes() as u64);
            counters.stalls.add(u64::from(begins));
        });
        self.keep(None, item);
    }

    /// Keeps `item`, and all behind it, until it is [released](Self::release).
    pub(in crate::link) fn wait(&mut self, item: Item) {
        self.keep(None, item);
    }

    /// Lets the first `bytes` of what waits go at `due`, apart from the rest, with what carries no bytes behind them.
    pub(in crate::link) fn release(&mut self, due: Instant, mut bytes: usize) {
        let mut index = self.queue.iter().take_while(|held| held.due.is_some()).count();
        while let Some(held) = self.queue.get_mut(index) {
            match &mut held.item {
                Item::Data(data) if data.len() > bytes => {
                    if bytes > 0 {
                        let piece =
                            Held { arrived: held.arrived, due: Some(due), item: Item::Data(data.split_to(bytes)) };
                        *self.cost += OVERHEAD;
                        self.queue.insert(index, piece);
                    }
                    return;
                }
                item => bytes -= item.bytes(),
            }
            held.due = Some(due);
            index += 1;
        }
    }

    /// Loses `data` on purpose.
    pub(in crate::link) fn discard(&mut self, data: &Bytes) {
        self.count(|counters| &counters.dropped_bytes, data.len() as u64);
    }

    /// Adds `n` to a counter, of the link and of the toxic.
    pub(in crate::link) fn count(&mut self, counter: impl Fn(&Counters) -> &Counter, n: u64) {
        if n > 0 {
            self.tell(|counters| counter(counters).add(n));
        }
    }

    /// Tells the counters of the link and of the toxic.
    fn tell(&mut self, count: impl Fn(&Counters)) {
        if let Some(link) = self.tally.0 {
            self.mark.count(link, count);
        }
    }

    fn keep(&mut self, due: Option<Instant>, item: Item) {
        if let (Item::Abort(cut), false) = (&item, self.passes_abort) {
            self.mark.wants(*cut);
        }
        *self.cost += item.cost();
        self.queue.push_back(Held { arrived: self.arrived, due, item });
    }

    /// Ends the connection now, whatever is under way.
    pub(in crate::link) fn cut(&mut self, cut: Cut) {
        if !self.passes_abort {
            self.mark.wants(cut);
        }
        self.cut.get_or_insert(cut);
    }
}

struct Held {
    arrived: Instant,
    /// `None` when it is held for good.
    due: Option<Instant>,
    item: Item,
}

/// One toxic on one way of one connection: the shaper and the queue behind it.
pub(in crate::link) struct Stage {
    /// Identity of the toxic.
    pub(in crate::link) toxic: u64,
    /// Which of the toxic's updates it has followed.
    pub(in crate::link) revision: u64,
    mark: Mark,
    shaper: Box<dyn Shaper>,
    queue: VecDeque<Held>,
    cost: usize,
    cut: Option<Cut>,
}

impl Stage {
    pub(in crate::link) fn new(toxic: u64, revision: u64, mark: Mark, shaper: Box<dyn Shaper>) -> Self {
        Self { toxic, revision, mark, shaper, queue: VecDeque::new(), cost: 0, cut: None }
    }

    pub(in crate::link) fn push(&mut self, now: Instant, item: Item, tally: Tally<'_>) {
        let Self { queue, cost, cut, mark, .. } = self;
        let passes_abort = matches!(item, Item::Abort(_));
        let mut schedule = Schedule { queue, cost, cut, mark, arrived: now, passes_abort, tally };
        self.shaper.shape(now, item, &mut schedule);
    }

    /// The next item that is due, and when it was.
    pub(in crate::link) fn pop(&mut self, now: Instant) -> Option<(Instant, Item)> {
        let due = self.queue.front()?.due?;
        if due > now {
            return None;
        }
        let item = self.queue.pop_front()?.item;
        self.cost -= item.cost();
        Some((due, item))
    }

    /// Lets the shaper act if its time has come; says whether it cut the connection.
    pub(in crate::link) fn expire(&mut self, now: Instant, tally: Tally<'_>) -> Option<Cut> {
        if self.shaper.deadline().is_some_and(|deadline| deadline <= now) {
            let Self { queue, cost, cut, mark, .. } = self;
            let mut schedule = Schedule { queue, cost, cut, mark, arrived: now, passes_abort: false, tally };
            self.shaper.expire(now, &mut schedule);
        }
        self.cut.take()
    }

    /// When it has to be looked at again, if nothing else happens.
    pub(in crate::link) fn deadline(&self) -> Option<Instant> {
        let due = self.queue.front().and_then(|held| held.due);
        [due, self.shaper.deadline()].into_iter().flatten().min()
    }

    /// Goes on as another stage, for which what is held counts as having arrived when it did.
    ///
    /// What was due has been shaped, and only waits for the next stage to take it.
    pub(in crate::link) fn reshape(&mut self, new: Self, now: Instant) {
        let mut was_due = true;
        for held in std::mem::replace(self, new).queue {
            was_due &= held.due.is_some_and(|due| due <= now);
            match was_due {
                true => {
                    self.cost += held.item.cost();
                    self.queue.push_back(held);
                }
                false => self.push(held.arrived, held.item, Tally(None)),
            }
        }
    }

    /// Whether its bytes may stay where they are.
    pub(in crate::link) fn is_opaque(&self) -> bool {
        self.shaper.is_opaque()
    }

    /// All that it holds, in order.
    pub(in crate::link) fn items_mut(&mut self) -> impl Iterator<Item = &mut Item> {
        self.queue.iter_mut().map(|held| &mut held.item)
    }

    /// All that it held, in order.
    pub(in crate::link) fn into_items(self) -> impl Iterator<Item = Item> {
        self.queue.into_iter().map(|held| held.item)
    }

    /// Whether it holds as much as it wants to.
    pub(in crate::link) fn is_full(&self) -> bool {
        self.cost >= self.shaper.appetite()
    }

    /// Memory that it holds, in bytes.
    pub(in crate::link) fn cost(&self) -> usize {
        self.cost
    }
}
