//! Nothing arrives, and nothing is lost.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Birth, InvalidField, Item, Kind, Schedule, Shaper, check_duration};

/// Nothing gets through: no bytes, no end of stream, no reset, no opening of a connection to the callee.
///
/// Nothing is lost either: as after a healed partition, all of it arrives in order once the toxic is
/// gone. New connections are accepted and hang, which differs from a real partition: the caller's
/// handshake is with the link, and a request on such a connection reaches the callee afterwards, even
/// if the caller has given up and closed it by then (a half-close looks the same).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlackHole {
    /// Each connection works for this long first, counted from its opening or, when it was live
    /// already, from the moment the toxic was added; at most one hour.
    #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub after: Option<Duration>,
}

impl Kind for BlackHole {
    fn validate(&self) -> Result<(), InvalidField> {
        self.after.map_or(Ok(()), |after| check_duration("after", after))
    }

    fn shaper(&self, birth: &Birth) -> Box<dyn Shaper> {
        Box::new(Void { from: birth.now + self.after.unwrap_or_default() })
    }
}

struct Void {
    from: Instant,
}

impl Shaper for Void {
    fn is_opaque(&self) -> bool {
        true
    }

    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        if now < self.from { schedule.at(now, item) } else { schedule.hold(item) }
    }
}
