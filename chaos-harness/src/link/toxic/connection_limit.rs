//! Only so many connections at a time.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Birth, CountersSnapshot, Cut, Direction, InvalidField, Item, Kind, Schedule, Shaper};

/// At most `max` connections of the link at a time reach the callee; the others are reset, or wait for a place.
///
/// Live connections stay, and take places. Those who wait get theirs in the order in which they came. The direction
/// means nothing here, and connections that the toxic does not affect do not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionLimit {
    /// How many there may be; with zero, none gets through.
    pub max: u32,
    /// What happens to the others.
    #[serde(default)]
    pub then: Excess,
}

/// What happens to connections beyond a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Excess {
    /// They are reset at once.
    #[default]
    Refuse,
    /// They are accepted and hang until another connection has ended.
    Wait,
}

/// A hundred connections, as many servers have it.
impl Default for ConnectionLimit {
    fn default() -> Self {
        Self { max: 100, then: Excess::default() }
    }
}

impl Kind for ConnectionLimit {
    fn validate(&self) -> Result<(), InvalidField> {
        Ok(())
    }

    fn shaper(&self, birth: &Birth<'_>) -> Box<dyn Shaper> {
        let places = birth.shared.get(|| Places { max: self.max as usize, state: Mutex::default() });
        let place = if birth.live { places.take_anyway() } else { Place::None };
        Box::new(Guest { places, place, then: self.then, task: Arc::clone(birth.task) })
    }

    fn ways(&self, _direction: Direction) -> Direction {
        Direction::Up
    }

    fn usual(&self) -> Direction {
        Direction::Up
    }

    fn describe(&self) -> String {
        let then = if self.then == Excess::Wait { ", others wait" } else { "" };
        format!("limit of {} connections{then}", self.max)
    }

    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        (counted.limited, "connections beyond the limit")
    }
}

/// The places of a link.
struct Places {
    max: usize,
    state: Mutex<Occupied>,
}

#[derive(Default)]
struct Occupied {
    taken: usize,
    waiting: VecDeque<Arc<Ticket>>,
}

/// Who waits for a place.
struct Ticket {
    /// When it got the place.
    granted: OnceLock<Instant>,
    task: Arc<AtomicWaker>,
}

enum Place {
    None,
    Awaited(Arc<Ticket>),
    Taken,
}

impl Places {
    fn take_anyway(&self) -> Place {
        self.state.lock().taken += 1;
        Place::Taken
    }

    fn take(&self) -> Place {
        let mut state = self.state.lock();
        if state.taken >= self.max {
            return Place::None;
        }
        state.taken += 1;
        Place::Taken
    }

    fn queue(&self, task: &Arc<AtomicWaker>) -> Place {
        let ticket = Arc::new(Ticket { granted: OnceLock::new(), task: Arc::clone(task) });
        self.state.lock().waiting.push_back(Arc::clone(&ticket));
        Place::Awaited(ticket)
    }

    /// Gives a place back, or up; who waits for one gets it.
    fn leave(&self, place: &Place) {
        let mut state = self.state.lock();
        match place {
            Place::None => return,
            Place::Awaited(ticket) if ticket.granted.get().is_none() => {
                return state.waiting.retain(|other| !Arc::ptr_eq(other, ticket));
            }
            Place::Awaited(_) | Place::Taken => state.taken -= 1,
        }
        if state.taken < self.max
            && let Some(next) = state.waiting.pop_front()
        {
            state.taken += 1;
            next.granted.get_or_init(Instant::now);
            next.task.wake();
        }
    }
}

struct Guest {
    places: Arc<Places>,
    place: Place,
    then: Excess,
    task: Arc<AtomicWaker>,
}

impl Guest {
    fn enter(&mut self, now: Instant, schedule: &mut Schedule<'_>) {
        self.place = self.places.take();
        if matches!(self.place, Place::Taken) {
            return schedule.at(now, Item::Open);
        }
        match self.then {
            Excess::Refuse => schedule.cut(Cut::Full),
            Excess::Wait => {
                schedule.count(|counters| &counters.limited, 1);
                self.place = self.places.queue(&self.task);
                schedule.wait(Item::Open);
            }
        }
    }
}

impl Shaper for Guest {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        match (&self.place, item) {
            (Place::None, Item::Open) => self.enter(now, schedule),
            // Who resets the connection waits no longer.
            (Place::Awaited(_), Item::Abort(cut)) => schedule.cut(cut),
            (Place::Awaited(_), item) => schedule.wait(item),
            (_, item) => schedule.at(now, item),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if let Place::Awaited(ticket) = &self.place { ticket.granted.get().copied() } else { None }
    }

    fn expire(&mut self, now: Instant, schedule: &mut Schedule<'_>) {
        self.place = Place::Taken;
        schedule.release(now, usize::MAX);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.places.leave(&self.place);
    }
}
