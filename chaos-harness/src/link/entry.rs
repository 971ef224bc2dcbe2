//! A toxic of a link: on which connections it acts, when, and what it has counted.

use std::sync::Arc;
use std::time::Instant;

use super::counters::Counters;
use super::toxic::{Birth, Dice, Mark, Marks, Ramp, Shaper, Shared, Stage, Timeline, Toxic, Way};

/// A toxic of the link.
#[derive(Clone)]
pub(super) struct Entry {
    /// Never used twice; it keys the toxic's randomness.
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) toxic: Toxic,
    /// Counts the updates.
    pub(super) revision: u64,
    pub(super) counters: Arc<Counters>,
    pub(super) timeline: Timeline,
    pub(super) shared: Shared,
    since: Instant,
    /// The first connection that is new to it.
    first: u64,
    seed: u64,
}

impl Entry {
    /// A toxic from now on, on a link which numbers its next connection `first`.
    pub(super) fn new(id: u64, name: String, toxic: Toxic, first: u64, seed: u64) -> Self {
        let since = Instant::now();
        let timeline = Timeline::new(&toxic, since, Dice::of_profile(seed, id));
        let (counters, shared) = (Arc::default(), Shared::default());
        Self { id, name, toxic, revision: 0, counters, timeline, shared, since, first, seed }
    }

    /// The same one, doing something else from now on; its clock goes on.
    pub(super) fn updated(&self, toxic: Toxic) -> Self {
        if toxic == self.toxic {
            return self.clone();
        }
        let mut timeline = Timeline::new(&toxic, self.since, Dice::of_profile(self.seed, self.id));
        timeline.advance(Instant::now());
        Self { toxic, timeline, revision: self.revision + 1, shared: Shared::default(), ..self.clone() }
    }

    /// Whether it closes the port now.
    pub(super) fn closes_port(&self) -> bool {
        self.timeline.share() >= 1.0 && self.toxic.closes_port()
    }

    /// Whether it keeps from callers now that the callee is down.
    pub(super) fn hides_callee(&self) -> bool {
        self.timeline.share() > 0.0 && self.toxic.hides_callee()
    }

    /// Its dice on one way of a connection, if it acts there now.
    pub(super) fn acts(&self, connection: u64, way: Way) -> Option<Dice> {
        self.affects(connection).filter(|_| self.toxic.covers(way))
    }

    /// Its dice on a connection, if it acts there now.
    pub(super) fn affects(&self, connection: u64) -> Option<Dice> {
        let dice = Dice::new(self.seed, connection, self.id);
        let affects = self.selects(connection) && dice.affects(self.toxic.probability * self.timeline.share());
        affects.then_some(dice)
    }

    fn selects(&self, connection: u64) -> bool {
        let new = connection.checked_sub(self.first);
        self.toxic.connections.is_none_or(|selection| new.is_some_and(|number| selection.covers(number)))
    }

    pub(super) fn stage(&self, birth: &Birth<'_>, marks: &Arc<Marks>) -> Stage {
        Stage::new(self.id, self.revision, Mark::new(self.id, &self.counters, marks), self.shaper(birth))
    }

    fn shaper(&self, birth: &Birth<'_>) -> Box<dyn Shaper> {
        let inner = self.toxic.spec.as_kind().shaper(birth);
        match self.toxic.ramp() {
            Some(over) => Box::new(Ramp { inner, since: self.since, over }),
            None => inner,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::link::Selection;
    use crate::link::toxic::{Latency, Profile};

    /// Every decision of two toxics over a hundred connections and ten windows, as bytes.
    fn decisions(seed: u64) -> Vec<u8> {
        let millisecond = std::time::Duration::from_millis(1);
        let spec = Latency::new(millisecond).jitter(millisecond);
        let toxic = Toxic::new(spec).probability(0.5).profile(Profile::windows(millisecond, millisecond));
        let selected = toxic.clone().connections(Selection::Every(3));
        let mut decisions = Vec::new();
        for (id, toxic) in [toxic, selected].into_iter().enumerate() {
            let mut entry = Entry::new(id as u64, String::new(), toxic, 10, seed);
            for _ in 0..20 {
                let begins = entry.timeline.until().expect("windows have no end");
                decisions.extend((begins - entry.since).as_nanos().to_le_bytes());
                for (connection, way) in
                    (0..100).flat_map(|connection| [(connection, Way::Up), (connection, Way::Down)])
                {
                    let dice = entry.acts(connection, way);
                    decisions.push(u8::from(dice.is_some()));
                    let rng = |dice: Dice| dice.way(way, entry.timeline.index());
                    decisions.extend(dice.into_iter().flat_map(|dice| rng(dice).random::<[u8; 16]>()));
                }
                entry.timeline.advance(begins);
            }
        }
        decisions
    }

    #[test]
    fn the_same_seed_makes_the_same_decisions() {
        let first = decisions(7);
        assert!(first.len() > 20_000);
        assert!(first == decisions(7));
        assert!(first != decisions(8));
    }

    #[test]
    fn windows_share_no_draws() {
        let toxic = Toxic::new(Latency::default()).profile(Profile::windows(LONG, LONG));
        let mut entry = Entry::new(0, String::new(), toxic, 0, 7);
        let mut draws = std::collections::BTreeSet::new();
        for _ in 0..20 {
            for way in [Way::Up, Way::Down] {
                let rng = |dice: Dice| dice.way(way, entry.timeline.index());
                draws.extend(entry.acts(0, way).map(|dice| rng(dice).random::<u64>()));
            }
            let until = entry.timeline.until().expect("windows have no end");
            entry.timeline.advance(until);
        }
        assert_eq!(draws.len(), 20, "two ways in each of ten windows");
    }

    const LONG: std::time::Duration = std::time::Duration::from_secs(1);
}
