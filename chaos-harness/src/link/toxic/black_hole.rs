//! Nothing arrives, and nothing is lost unless asked for.

use std::time::{Duration, Instant};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Birth, CountersSnapshot, Cut, InvalidField, Item, Kind, Schedule, Shaper, check_duration, time};

/// Nothing gets through: no bytes, no end of stream, no reset, no opening of a connection to the callee.
///
/// Nothing is lost either: as after a healed partition, all of it arrives in order once the toxic is
/// gone. New connections are accepted and hang, which differs from a real partition: the caller's
/// handshake is with the link, and a request on such a connection reaches the callee afterwards, even
/// if the caller has given up and closed it by then (a half-close looks the same).
///
/// With `after` or `after_bytes` a connection works until then; whichever comes first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlackHole {
    /// Each connection works for this long first, counted from its opening or, when it was live
    /// already, from the moment the toxic was added; at most one hour.
    #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub after: Option<Duration>,
    /// Each connection passes this many bytes first in the toxic's direction, counted likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_bytes: Option<u64>,
    /// Bytes are lost instead of held: after the toxic only what is sent from then on arrives. The
    /// connection to the callee is opened, the ends of streams are held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discard: bool,
    /// Each connection is closed (FIN to both ends, what was held is lost) this long after the black hole has begun
    /// for it; at most one hour.
    #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub close_after: Option<Duration>,
}

impl Kind for BlackHole {
    fn validate(&self) -> Result<(), InvalidField> {
        self.after.map_or(Ok(()), |after| check_duration("after", after))?;
        self.close_after.map_or(Ok(()), |after| check_duration("close_after", after))
    }

    fn shaper(&self, birth: &Birth<'_>) -> Box<dyn Shaper> {
        let begin = match (self.after, self.after_bytes) {
            (None, Some(_)) => None,
            (after, _) => Some(birth.now + after.unwrap_or_default()),
        };
        let at_once = self.after.is_none() && self.after_bytes.is_none();
        Box::new(Void { at_once, begin, bytes: self.after_bytes, discard: self.discard, close_after: self.close_after })
    }

    fn hides_callee(&self) -> bool {
        self.after.is_none() && self.after_bytes.is_none() && !self.discard
    }

    fn describe(&self) -> String {
        let lossy = if self.discard { " that loses" } else { "" };
        let closing = self.close_after.map_or(String::new(), |after| format!(", closed after {}", time(after)));
        format!("black hole{lossy}{closing}")
    }

    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        match self.discard {
            true => (counted.dropped_bytes, "bytes lost"),
            false => (counted.stalls, "connections held"),
        }
    }
}

struct Void {
    /// Nothing passes at all, not even what was due before and comes late.
    at_once: bool,
    /// When it begins, or has begun; `None` as long as that depends on bytes alone.
    begin: Option<Instant>,
    /// What may pass until it begins.
    bytes: Option<u64>,
    discard: bool,
    close_after: Option<Duration>,
}

impl Void {
    fn has_begun(&self, now: Instant) -> bool {
        self.at_once || self.begin.is_some_and(|begin| begin <= now)
    }

    /// Takes off `data` what may pass.
    fn spend(&mut self, now: Instant, data: &mut Bytes) -> Bytes {
        let Some(left) = &mut self.bytes else { return std::mem::take(data) };
        let pass = data.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= pass as u64;
        if *left == 0 {
            self.begin = Some(now);
        }
        data.split_to(pass)
    }

    fn swallow(&self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        match item {
            Item::Open if self.discard => schedule.at(now, item),
            Item::Data(data) if self.discard => schedule.discard(&data),
            item => schedule.hold(item),
        }
    }
}

impl Shaper for Void {
    fn is_opaque(&self) -> bool {
        !self.discard && self.bytes.is_none()
    }

    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        if self.has_begun(now) {
            return self.swallow(now, item, schedule);
        }
        let Item::Data(mut data) = item else { return schedule.at(now, item) };
        let pass = self.spend(now, &mut data);
        for (data, swallowed) in [(pass, false), (data, true)] {
            match (data.is_empty(), swallowed) {
                (true, _) => {}
                (false, false) => schedule.at(now, Item::Data(data)),
                (false, true) => self.swallow(now, Item::Data(data), schedule),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.begin? + self.close_after?)
    }

    fn expire(&mut self, _now: Instant, schedule: &mut Schedule<'_>) {
        self.close_after = None;
        schedule.cut(Cut::Closed);
    }
}
