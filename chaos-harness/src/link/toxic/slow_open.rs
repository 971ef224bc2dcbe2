//! The connection to the callee is made later.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Birth, CountersSnapshot, Direction, InvalidField, Item, Kind, Schedule, Shaper, check_duration, time};

/// The caller is accepted at once, and connected to the callee `delay` later; what it sends waits meanwhile.
///
/// Live connections are not affected. The direction means nothing here: a connection opens one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlowOpen {
    /// How much later, at most one hour.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub delay: Duration,
}

impl Kind for SlowOpen {
    fn validate(&self) -> Result<(), InvalidField> {
        check_duration("delay", self.delay)
    }

    fn ways(&self, _direction: Direction) -> Direction {
        Direction::Up
    }

    fn shaper(&self, _birth: &Birth<'_>) -> Box<dyn Shaper> {
        Box::new(LateOpen { delay: self.delay, share: 1.0 })
    }

    fn has_size(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("slow open {}", time(self.delay))
    }

    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        (counted.delayed_opens, "connections opened late")
    }

    fn usual(&self) -> Direction {
        Direction::Up
    }
}

struct LateOpen {
    delay: Duration,
    share: f64,
}

impl Shaper for LateOpen {
    fn is_opaque(&self) -> bool {
        true
    }

    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        let due = if matches!(item, Item::Open) { now + self.delay.mul_f64(self.share) } else { now };
        schedule.at(due, item);
    }

    fn scale(&mut self, share: f64) {
        self.share = share;
    }
}
