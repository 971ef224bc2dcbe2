//! One toxic on one way: whom it hits, and what it holds back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::counters::UdpCounters;
use super::toxic::{Arrival, Fate, Shaper, UdpToxic};

/// A datagram on its way, and the caller whose session it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Datagram {
    pub(super) caller: SocketAddr,
    pub(super) data: Vec<u8>,
}

/// What bookkeeping a datagram costs besides its bytes, so that empty ones cannot exhaust the memory.
const OVERHEAD: usize = 192;

impl Datagram {
    /// Memory that it takes, in bytes.
    pub(super) fn cost(&self) -> usize {
        OVERHEAD + self.data.len()
    }
}

/// Everything that reaches a stage goes through its queue, with the moment at which it is due; what nobody delays is
/// due at once.
pub(super) struct Stage {
    pub(super) toxic: u64,
    probability: f64,
    shaper: Shaper,
    rng: ChaCha8Rng,
    /// By due moment and number; numbers count in the order of arrival.
    queue: BTreeMap<(Instant, u64), Held>,
    /// Those in the queue that later ones of their session release.
    overtakable: BTreeMap<(SocketAddr, u64), Overtakable>,
    next: u64,
    cost: usize,
}

struct Held {
    arrived: Instant,
    datagram: Datagram,
}

struct Overtakable {
    due: Instant,
    gap: u32,
    overtaken: u32,
}

impl Stage {
    pub(super) fn new(id: u64, toxic: &UdpToxic, rng: ChaCha8Rng) -> Self {
        Self {
            toxic: id,
            probability: toxic.probability,
            shaper: toxic.spec.as_kind().shaper(),
            rng,
            queue: BTreeMap::new(),
            overtakable: BTreeMap::new(),
            next: 0,
            cost: 0,
        }
    }

    /// Decides over a datagram.
    pub(super) fn push(&mut self, now: Instant, mut datagram: Datagram, counters: &UdpCounters) {
        let hit = self.probability >= 1.0 || self.rng.random::<f64>() < self.probability;
        let arrival = &mut Arrival { now, data: &mut datagram.data, rng: &mut self.rng };
        match if hit { (self.shaper)(arrival) } else { Fate::Pass } {
            Fate::Drop => return counters.dropped.add(1),
            Fate::Overflow => return counters.overflowed.add(1),
            Fate::Pass => {}
            Fate::Changed => counters.corrupted.add(1),
            Fate::Copies(copies) => {
                counters.duplicated.add(copies.into());
                (0..copies).for_each(|_| self.hold(now, now, datagram.clone()));
            }
            Fate::At(due) => {
                counters.delayed.add(u64::from(due > now));
                return self.hold(now, due, datagram);
            }
            Fate::HoldBack { gap, until } => {
                let overtakable = Overtakable { due: until, gap, overtaken: 0 };
                self.overtakable.insert((datagram.caller, self.next), overtakable);
                return self.hold(now, until, datagram);
            }
        }
        self.hold(now, now, datagram);
    }

    /// The next one that is due, and the moment it was due.
    pub(super) fn pop(&mut self, now: Instant, counters: &UdpCounters) -> Option<(Instant, Datagram)> {
        let entry = self.queue.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((due, number), Held { datagram, .. }) = entry.remove_entry();
        self.cost -= datagram.cost();
        if !self.overtakable.is_empty() {
            self.overtakable.remove(&(datagram.caller, number));
            self.overtake(datagram.caller, number, due, counters);
        }
        Some((due, datagram))
    }

    /// When something is due again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((due, _), _)| *due)
    }

    /// Memory that its datagrams take, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// All that it holds, in the order of arrival, with the moment of arrival.
    pub(super) fn take(&mut self) -> Vec<(Instant, Datagram)> {
        let mut held: Vec<_> = std::mem::take(&mut self.queue).into_iter().collect();
        held.sort_by_key(|((_, number), _)| *number);
        self.overtakable.clear();
        self.cost = 0;
        held.into_iter().map(|(_, held)| (held.arrived, held.datagram)).collect()
    }

    fn hold(&mut self, arrived: Instant, due: Instant, datagram: Datagram) {
        self.cost += datagram.cost();
        self.queue.insert((due, self.next), Held { arrived, datagram });
        self.next += 1;
    }

    /// Notes that `number` leaves, and lets go whom enough have overtaken by now.
    fn overtake(&mut self, caller: SocketAddr, number: u64, due: Instant, counters: &UdpCounters) {
        let mut released = Vec::new();
        for (key, earlier) in self.overtakable.range_mut((caller, 0)..(caller, number)) {
            counters.reordered.add(u64::from(earlier.overtaken == 0));
            earlier.overtaken += 1;
            if earlier.overtaken == earlier.gap {
                released.push((*key, earlier.due));
            }
        }
        for (key, was_due) in released {
            self.overtakable.remove(&key);
            if let Some(held) = self.queue.remove(&(was_due, key.1)) {
                self.queue.insert((due, key.1), held);
            }
        }
    }
}
