//! Connections are reset.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limit_data::Purse;
use super::{Birth, CountersSnapshot, Cut, InvalidField, Item, Kind, Schedule, Shaper, check_duration};

/// Connections are reset (`RST` to both ends): live ones at once, new ones as soon as they are accepted.
///
/// With `after` or `after_bytes` a connection works until then; whichever comes first counts. The bytes arrive whole:
/// the reset waits until the system of the end to which they go has taken them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Each connection works for this long first, counted from its opening or, when it was live
    /// already, from the moment the toxic was added; at most one hour.
    #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub after: Option<Duration>,
    /// Each connection passes this many bytes first in the toxic's direction, counted likewise. With zero it is reset
    /// at the first byte, which does not arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_bytes: Option<u64>,
    /// The time of `after` counts from the first bytes, or the end of the stream, in the toxic's direction; these and all
    /// that follow are held back, and lost with the connection. A connection on which nothing is said is left alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_data: bool,
}

impl Kind for Reset {
    fn validate(&self) -> Result<(), InvalidField> {
        self.after.map_or(Ok(()), |after| check_duration("after", after))
    }

    fn shaper(&self, birth: &Birth<'_>) -> Box<dyn Shaper> {
        if self.on_data {
            return Box::new(Trap { after: self.after.unwrap_or_default(), at: None });
        }
        let at = match (self.after, self.after_bytes) {
            (Some(after), _) => Some(birth.now + after),
            (None, Some(_)) => None,
            (None, None) => Some(birth.now),
        };
        let bytes = self.after_bytes.map(|bytes| Purse::new(bytes, Cut::Reset));
        Box::new(Fuse { at, bytes })
    }

    fn describe(&self) -> String {
        "reset connections".to_owned()
    }

    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        (counted.reset, "connections reset")
    }
}

struct Fuse {
    at: Option<Instant>,
    bytes: Option<Purse>,
}

impl Shaper for Fuse {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        match (item, &mut self.bytes) {
            (Item::Data(data), Some(purse)) => purse.spend(now, data, schedule),
            (item, _) => schedule.at(now, item),
        }
        // Bytes that came first are to arrive, however long their reader takes.
        self.at = self.at.filter(|_| !self.bytes.as_ref().is_some_and(Purse::is_spent));
    }

    fn deadline(&self) -> Option<Instant> {
        self.at
    }

    fn expire(&mut self, _now: Instant, schedule: &mut Schedule<'_>) {
        self.at = None;
        schedule.cut(Cut::Reset);
    }
}

/// A reset that the first bytes set off.
struct Trap {
    after: Duration,
    at: Option<Instant>,
}

impl Shaper for Trap {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        match item {
            Item::Open | Item::Abort(_) => schedule.at(now, item),
            Item::Data(_) | Item::Spooled(_) | Item::Fin => {
                self.at.get_or_insert(now + self.after);
                schedule.wait(item);
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.at
    }

    fn expire(&mut self, _now: Instant, schedule: &mut Schedule<'_>) {
        self.at = None;
        schedule.cut(Cut::Reset);
    }
}
