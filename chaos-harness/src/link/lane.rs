//! One way through one connection: the items on their way, and what happens to them.

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use super::counters::{Counter, Counters};
use super::http::Tap;
use super::spool::Spool;
use super::toxic::{Cut, Item, Stage, Tally, Way};
use super::urgent::Urgent;

/// Most that one lane holds, in bytes: a second of latency at 128 MiB/s, 50 ms at 2.5 GiB/s.
const LANE_LIMIT: usize = 128 << 20;

/// Most that all lanes of a link hold together, in bytes. A lane that holds nothing may always read, so none starves.
const LINK_LIMIT: u64 = 256 << 20;

/// Most that waits for a sink with no room, in bytes, before the lane stops to read.
const OUT_LIMIT: usize = 1 << 20;

/// What the lanes of a link count together.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) counters: Counters,
    /// Memory held by all lanes, in bytes.
    held: Counter,
    pub(super) received_up: Counter,
    pub(super) received_down: Counter,
}

/// Items come in from the source, pass the stages, one per toxic, and wait in `out` for the sink.
///
/// The pump (`pump.rs`) moves them between here and the sockets.
pub(super) struct Lane {
    pub(super) way: Way,
    /// Looks at what comes in before the stages do, on a link that is declared HTTP.
    tap: Option<Tap>,
    stages: Vec<Stage>,
    out: VecDeque<Item>,
    out_cost: usize,
    /// Holds the bytes of the items that have none themselves, in their order.
    pub(super) spool: Spool,
    /// Which of the bytes are urgent data.
    pub(super) urgent: Urgent,
    /// So much arrives at a time that it is worth not to copy it.
    bulk: bool,
    /// The system does not let bytes pass without a copy.
    copies: bool,
    /// What `Totals::held` knows of this lane.
    reported: usize,
    /// The source has nothing more to say.
    ended: bool,
    /// The source reset the connection.
    aborted: bool,
    /// A write to the source's socket failed, so that its stream ends with an abort, even if it reads as an end.
    source_broken: bool,
    /// The sink takes no more: its FIN is sent, or it is gone.
    finished: bool,
    /// A toxic ended the stream: until then the source may end too, and what it sends is lost.
    closing: Option<Instant>,
    /// The sink has vanished, and the source is not told.
    lost: bool,
    /// The wish to connect has passed all stages.
    opened: bool,
}

impl Lane {
    pub(super) fn new(way: Way, tap: Option<Tap>) -> Self {
        Self {
            way,
            tap,
            stages: Vec::new(),
            out: VecDeque::new(),
            out_cost: 0,
            spool: Spool::default(),
            urgent: Urgent::default(),
            bulk: false,
            copies: false,
            reported: 0,
            ended: false,
            aborted: false,
            source_broken: false,
            finished: false,
            closing: None,
            lost: false,
            opened: false,
        }
    }

    /// Whether both its ends are done.
    pub(super) fn is_done(&self) -> bool {
        self.ended && self.finished
    }

    /// Whether the source has ended its stream, but may still reset the connection.
    pub(super) fn is_half_closed(&self) -> bool {
        self.ended && !self.aborted
    }

    /// Whether bytes may go from socket to socket without a look at them.
    pub(super) fn is_clear(&self) -> bool {
        let flows = self.closing.is_none() && !self.lost && self.urgent.is_none();
        flows && self.stages.is_empty() && self.out.is_empty() && self.tap.as_ref().is_none_or(Tap::is_transparent)
    }

    /// Whether it waits for nothing but new bytes.
    pub(super) fn is_idle(&self) -> bool {
        self.held() == 0 && self.deadline().is_none()
    }

    /// Whether the source should be read.
    pub(super) fn wants_more(&self, totals: &Totals) -> bool {
        let held = self.held();
        let room = held < LANE_LIMIT && self.out_cost < OUT_LIMIT && (held == 0 || totals.held.get() < LINK_LIMIT);
        // Without stages nothing needs to be held to keep the stream going.
        let room = room && !self.stages.iter().any(Stage::is_full);
        !self.ended && room && (self.out.is_empty() || !self.stages.is_empty())
    }

    /// The next byte to come in is urgent data. Messages that are read are written anew, so there it is a byte as any.
    pub(super) fn mark_urgent(&mut self) {
        if self.held() == 0 {
            self.urgent.settle();
        }
        if self.tap.as_ref().is_none_or(Tap::is_transparent) {
            self.urgent.mark();
        }
    }

    /// Takes `item` in.
    pub(super) fn push(&mut self, now: Instant, item: Item, counters: &Counters) {
        match (self.closing, item) {
            (None, item) => match self.tap.as_ref().filter(|tap| !tap.is_transparent()) {
                Some(tap) => tap.push(now, item, counters),
                None => self.pass(0, now, item, Tally(Some(counters))),
            },
            (Some(_), Item::Data(data)) => counters.dropped_bytes.add(data.len() as u64),
            (Some(_), _) => {}
        }
    }

    /// The source ended its stream.
    pub(super) fn end(&mut self, now: Instant, counters: &Counters) {
        match self.source_broken {
            true => self.abort(now, counters),
            false => {
                self.ended = true;
                self.push(now, Item::Fin, counters);
            }
        }
    }

    /// The source reset the connection, or never came to be.
    pub(super) fn abort(&mut self, now: Instant, counters: &Counters) {
        if std::mem::replace(&mut self.aborted, true) {
            return;
        }
        self.ended = true;
        self.finished = self.closing.is_some();
        self.push(now, Item::Abort(Cut::Peer), counters);
    }

    /// A write to the source's socket failed: it reset the connection, whether or not reading it says so.
    pub(super) fn source_broke(&mut self, now: Instant, counters: &Counters) {
        self.source_broken = true;
        if self.ended {
            self.abort(now, counters);
        }
    }

    /// The sink is gone or was never there: nothing that the lane holds can arrive any more.
    pub(super) fn sink_broke(&mut self) {
        self.ended = true;
        self.finished = true;
        self.clear();
    }

    /// The sink's FIN has been sent.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    /// The sink's FIN has been sent before its time: waits until `until` for the source to end as well.
    pub(super) fn close(&mut self, until: Instant) {
        self.clear();
        self.finished = true;
        self.closing = Some(until);
    }

    /// The sink has vanished: only an abort can end the lane now.
    pub(super) fn lose_sink(&mut self) {
        self.lost = true;
        self.out.clear();
        self.out_cost = 0;
    }

    /// The source has vanished without an end to its stream.
    pub(super) fn lose_source(&mut self) {
        self.ended = true;
        self.aborted = true;
    }

    /// Whether there is nobody to connect to any more.
    pub(super) fn is_lost(&self) -> bool {
        self.lost || self.closing.is_some()
    }

    /// Whether the wish to connect has passed all stages.
    pub(super) fn is_open(&self) -> bool {
        self.opened
    }

    /// Forgets all that it holds.
    pub(super) fn clear(&mut self) {
        self.tap.iter().for_each(Tap::clear);
        self.stages.clear();
        self.spool = Spool::default();
        self.out.clear();
        self.out_cost = 0;
    }

    /// The item that the sink gets next.
    pub(super) fn front(&mut self) -> Option<&mut Item> {
        self.out.front_mut()
    }

    /// Takes the item off that the sink gets next.
    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.out.pop_front()?;
        self.out_cost = self.out_cost.saturating_sub(item.cost());
        Some(item)
    }

    /// Notes that `n` bytes of the first item have gone.
    pub(super) fn written(&mut self, n: usize) {
        self.out_cost = self.out_cost.saturating_sub(n);
    }

    /// An abort that has passed all stages and waits for nothing, if there is one.
    pub(super) fn pending_abort(&self) -> Option<Cut> {
        if let Some(Item::Abort(cut)) = self.out.back() { Some(*cut).filter(|cut| !cut.waits()) } else { None }
    }

    /// Puts a stage in its place, the toxics being in the order of addition; what has not passed that place
    /// yet goes through it: behind the last stage, all that has not been written.
    fn add(&mut self, mut stage: Stage, now: Instant, counters: &Counters) {
        let index = self.stages.partition_point(|other| other.toxic < stage.toxic);
        while index == self.stages.len()
            && let Some(item) = self.pop()
        {
            stage.push(now, item, Tally(Some(counters)));
        }
        self.stages.insert(index, stage);
    }

    /// Whether the next bytes should pass without a copy: there are many, and no toxic looks at them.
    pub(super) fn splices(&self) -> bool {
        let flows = !self.lost && self.closing.is_none() && self.tap.as_ref().is_none_or(Tap::is_transparent);
        self.bulk && flows && self.stages.iter().all(Stage::is_opaque)
    }

    /// Notes whether much arrives at a time.
    pub(super) fn is_bulk(&mut self, bulk: bool) {
        self.bulk = bulk && !self.copies;
    }

    /// Bytes cannot pass without a copy here.
    pub(super) fn copy_from_now_on(&mut self) {
        self.copies = true;
        self.bulk = false;
    }

    /// Takes all bytes out of the spool, for a toxic that looks at them.
    fn unspool(&mut self, now: Instant, counters: &Counters) {
        let stages = self.stages.iter_mut().rev().flat_map(Stage::items_mut);
        let read = self.out.iter_mut().chain(stages).try_for_each(|item| {
            if let Item::Spooled(len) = *item {
                *item = Item::Data(self.spool.read(len)?.into());
            }
            Ok::<(), io::Error>(())
        });
        if read.is_err() {
            // With its bytes the stream is lost.
            self.abort(now, counters);
        }
    }

    /// Which update of a toxic its stage has followed, if it has one.
    pub(super) fn revision(&self, toxic: u64) -> Option<u64> {
        self.stages.iter().find(|stage| stage.toxic == toxic).map(|stage| stage.revision)
    }

    /// Lets a toxic's stage go on as a new one, or puts that in its place where there is none yet.
    pub(super) fn set(&mut self, stage: Stage, now: Instant, counters: &Counters) {
        if !stage.is_opaque() {
            self.unspool(now, counters);
        }
        match self.stages.iter_mut().find(|other| other.toxic == stage.toxic) {
            Some(other) => other.reshape(stage, now),
            None => self.add(stage, now, counters),
        }
    }

    /// Takes the stages of toxics out that are not to stay; what they held moves on.
    pub(super) fn retain(&mut self, stays: impl Fn(u64) -> bool, now: Instant, counters: &Counters) {
        while let Some(index) = self.stages.iter().position(|stage| !stays(stage.toxic)) {
            for item in self.stages.remove(index).into_items() {
                self.pass(index, now, item, Tally(Some(counters)));
            }
        }
    }

    /// Moves what is due, and says whether a toxic cut the connection.
    pub(super) fn advance(&mut self, now: Instant, counters: &Counters) -> Option<Cut> {
        let tally = Tally(Some(counters));
        self.ended |= self.closing.is_some_and(|until| until <= now);
        while let Some((due, item)) = self.tap.as_ref().and_then(|tap| tap.next(now)) {
            self.pass(0, due, item, tally);
        }
        for index in 0..self.stages.len() {
            if let Some(cut) = self.stages[index].expire(now, tally) {
                return Some(cut);
            }
            // The moment it was due, not the moment of looking: delays then add up exactly.
            while let Some((due, item)) = self.stages[index].pop(now) {
                self.pass(index + 1, due, item, tally);
            }
        }
        None
    }

    /// When [`Self::advance`] has something to do again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let tap = self.tap.as_ref().and_then(Tap::deadline);
        self.stages.iter().filter_map(Stage::deadline).chain(tap).chain(self.closing).min()
    }

    /// Brings `totals` up to date with what the lane holds.
    pub(super) fn report(&mut self, totals: &Totals) {
        let held = self.held();
        if held != self.reported {
            totals.held.add(held as u64);
            totals.held.subtract(self.reported as u64);
            self.reported = held;
        }
    }

    /// Memory that its items take, in bytes.
    fn held(&self) -> usize {
        let tap = self.tap.as_ref().map_or(0, Tap::cost);
        self.out_cost + tap + self.stages.iter().map(Stage::cost).sum::<usize>()
    }

    /// Gives an item to the stage at `index`, or to `out` behind the last one.
    fn pass(&mut self, index: usize, now: Instant, item: Item, tally: Tally<'_>) {
        if let Some(stage) = self.stages.get_mut(index) {
            return stage.push(now, item, tally);
        }
        self.opened |= matches!(item, Item::Open);
        match item {
            Item::Data(data) if self.lost => tally.dropped(&data),
            Item::Open | Item::Fin if self.lost => {}
            item => {
                self.out_cost += item.cost();
                self.out.push_back(item);
            }
        }
    }
}
