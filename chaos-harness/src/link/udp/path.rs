//! One way through the link: a stage per toxic, and what has passed them all.

use std::collections::VecDeque;
use std::time::Instant;

use super::control::Entry;
use super::counters::UdpCounters;
use super::stage::{Datagram, Stage};
use crate::link::toxic::{Dice, Way};

/// Most that one way holds, in bytes.
const LIMIT: usize = 32 << 20;

/// Datagrams come in, pass the stages and wait in `out` for the relay to send them.
pub(super) struct Path {
    way: Way,
    stages: Vec<Stage>,
    out: VecDeque<Datagram>,
}

impl Path {
    pub(super) fn new(way: Way) -> Self {
        Self { way, stages: Vec::new(), out: VecDeque::new() }
    }

    /// Takes a datagram in, and moves what is due.
    pub(super) fn push(&mut self, now: Instant, datagram: Datagram, counters: &UdpCounters) {
        self.advance(now, counters);
        self.pass(0, now, datagram, counters);
        self.advance(now, counters);
    }

    /// Moves what is due.
    pub(super) fn advance(&mut self, now: Instant, counters: &UdpCounters) {
        for index in 0..self.stages.len() {
            // The moment it was due, not the moment of looking: delays then add up exactly.
            while let Some((due, datagram)) = self.stages[index].pop(now, counters) {
                self.pass(index + 1, due, datagram, counters);
            }
        }
    }

    /// The next datagram to send.
    pub(super) fn pop(&mut self) -> Option<Datagram> {
        self.out.pop_front()
    }

    /// When [`Self::advance`] has something to do again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.stages.iter().filter_map(Stage::deadline).min()
    }

    /// Brings the stages in line with a toxic that is new or changed.
    pub(super) fn set(&mut self, entry: &Entry, seed: u64, now: Instant, counters: &UdpCounters) {
        if !entry.toxic.direction.covers(self.way) {
            return self.remove(entry.id, now, counters);
        }
        let mut stage = Stage::new(entry.id, &entry.toxic, Dice::new(seed, 0, entry.id).way(self.way, 0));
        match self.stages.iter_mut().find(|old| old.toxic == entry.id) {
            Some(old) => {
                // They are scheduled anew, as if the toxic had been like this from the start, and counted already.
                old.take().into_iter().for_each(|(arrived, held)| stage.push(arrived, held, &UdpCounters::default()));
                *old = stage;
            }
            None => {
                self.out.drain(..).for_each(|unsent| stage.push(now, unsent, counters));
                self.stages.push(stage);
            }
        }
        self.advance(now, counters);
    }

    /// Takes a toxic's stage out; what it held moves on, in the order of arrival.
    pub(super) fn remove(&mut self, toxic: u64, now: Instant, counters: &UdpCounters) {
        if let Some(index) = self.stages.iter().position(|stage| stage.toxic == toxic) {
            for (_, datagram) in self.stages.remove(index).take() {
                self.pass(index, now, datagram, counters);
            }
            self.advance(now, counters);
        }
    }

    /// Forgets all that it holds.
    pub(super) fn clear(&mut self) {
        self.stages.clear();
        self.out.clear();
    }

    /// Gives a datagram to the stage at `index`, or to `out` behind the last one.
    fn pass(&mut self, index: usize, now: Instant, datagram: Datagram, counters: &UdpCounters) {
        let held: usize = self.stages.iter().map(Stage::cost).sum();
        match self.stages.get_mut(index) {
            Some(_) if held + datagram.cost() > LIMIT => counters.overflowed.add(1),
            Some(stage) => stage.push(now, datagram, counters),
            None => self.out.push_back(datagram),
        }
    }
}
