//! The end of a stream, or of the connection, arrives later.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Birth, CountersSnapshot, InvalidField, Item, Kind, Schedule, Shaper, check_duration, time};

/// Bytes pass as they are; the end of a stream (FIN) or of the connection (RST) arrives `delay` later.
///
/// Who has closed sees nothing of it; who has not keeps a connection that nobody uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlowClose {
    /// How much later, at most one hour.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub delay: Duration,
}

impl Kind for SlowClose {
    fn validate(&self) -> Result<(), InvalidField> {
        check_duration("delay", self.delay)
    }

    fn shaper(&self, _birth: &Birth<'_>) -> Box<dyn Shaper> {
        Box::new(LateEnd { delay: self.delay, share: 1.0 })
    }

    fn has_size(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("slow close {}", time(self.delay))
    }

    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        (counted.delayed_closes, "ends delayed")
    }
}

struct LateEnd {
    delay: Duration,
    share: f64,
}

impl Shaper for LateEnd {
    fn is_opaque(&self) -> bool {
        true
    }

    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        let due = if matches!(item, Item::Fin | Item::Abort(_)) { now + self.delay.mul_f64(self.share) } else { now };
        schedule.at(due, item);
    }

    fn scale(&mut self, share: f64) {
        self.share = share;
    }
}
