//! Connections are reset.

use std::time::{Duration, Instant};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Birth, CountersSnapshot, Cut, InvalidField, Item, Kind, Schedule, Shaper, check_duration};

/// Connections are reset (`RST` to both ends): live ones at once, new ones as soon as they are accepted.
///
/// With `after` or `after_bytes` a connection works until then; whichever comes first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Each connection works for this long first, counted from its opening or, when it was live
    /// already, from the moment the toxic was added; at most one hour.
    #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub after: Option<Duration>,
    /// Each connection passes this many bytes first in the toxic's direction, counted likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_bytes: Option<u64>,
}

impl Kind for Reset {
    fn validate(&self) -> Result<(), InvalidField> {
        self.after.map_or(Ok(()), |after| check_duration("after", after))
    }

    fn shaper(&self, birth: &Birth<'_>) -> Box<dyn Shaper> {
        let at = match (self.after, self.after_bytes) {
            (Some(after), _) => Some(birth.now + after),
            (None, Some(_)) => None,
            (None, None) => Some(birth.now),
        };
        Box::new(Fuse { at, bytes: self.after_bytes })
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
    bytes: Option<u64>,
}

impl Fuse {
    /// Passes what the budget allows; the reset follows the last byte of it.
    fn spend(&mut self, now: Instant, mut data: Bytes, schedule: &mut Schedule<'_>) {
        let Some(left) = &mut self.bytes else { return schedule.at(now, Item::Data(data)) };
        let pass = data.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= pass as u64;
        let spent = *left == 0;
        if pass > 0 {
            schedule.at(now, Item::Data(data.split_to(pass)));
        }
        if spent {
            schedule.at(now, Item::Abort(Cut::Reset));
        }
    }
}

impl Shaper for Fuse {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        match item {
            Item::Data(data) => self.spend(now, data, schedule),
            other => schedule.at(now, other),
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
