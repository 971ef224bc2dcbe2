//! One end is gone, and the other does not know.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Birth, CountersSnapshot, Cut, Direction, InvalidField, Item, Kind, Schedule, Shaper, Way};
use super::{check_duration, time};

/// The callee's end of each connection is gone, and the caller is not told: what it sends is lost, and no
/// answer, end or error comes back. Upwards and both ways mean that; downwards it is the caller's end that is gone.
///
/// So it is when a host loses its power, or something on the way forgets the connection. The end that is gone gets a
/// reset, so that nothing is left of it; answers under way still arrive. New connections are accepted and never reach
/// the callee; downwards the callee sees them open, and stay silent. Once the toxic is gone the other end gets the
/// reset that a host which has come back answers with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HalfOpen {
    /// Each connection works for this long first, counted from its opening or, when it was live
    /// already, from the moment the toxic was added; at most one hour.
    #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub after: Option<Duration>,
}

impl Kind for HalfOpen {
    fn validate(&self) -> Result<(), InvalidField> {
        self.after.map_or(Ok(()), |after| check_duration("after", after))
    }

    fn shaper(&self, birth: &Birth<'_>) -> Box<dyn Shaper> {
        Box::new(Loss { way: birth.way, at: Some(birth.now + self.after.unwrap_or_default()) })
    }

    fn ways(&self, direction: Direction) -> Direction {
        if direction == Direction::Down { Direction::Down } else { Direction::Up }
    }

    fn usual(&self) -> Direction {
        Direction::Up
    }

    fn describe(&self) -> String {
        let after = self.after.map_or(String::new(), |after| format!(" after {}", time(after)));
        format!("half-open connections{after}")
    }

    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        (counted.half_opened, "connections lost at one end")
    }
}

struct Loss {
    way: Way,
    /// When it happens; `None` once it has.
    at: Option<Instant>,
}

impl Shaper for Loss {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        match (self.at, item) {
            (Some(_), item) => schedule.at(now, item),
            (None, Item::Data(data)) => schedule.discard(&data),
            // Now both ends are gone.
            (None, Item::Abort(cut)) => schedule.cut(cut),
            (None, Item::Open | Item::Fin) => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.at
    }

    fn expire(&mut self, _now: Instant, schedule: &mut Schedule<'_>) {
        self.at = None;
        schedule.cut(Cut::Lost(self.way));
        // What the other end hears once the toxic is gone.
        schedule.wait(Item::Abort(Cut::Peer));
    }
}
