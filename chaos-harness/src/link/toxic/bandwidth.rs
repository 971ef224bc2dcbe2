//! Bytes arrive no faster than a rate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Birth, CountersSnapshot, InvalidField, Item, Kind, Schedule, Shaper, Way};

/// Bytes arrive at `rate` at most, evenly, as over a line of that capacity.
///
/// A sender that is faster has to wait: the link holds about 100 ms worth of bytes, the rest is left to the buffers
/// of the system. Who was silent has saved nothing up: what it sends then takes its time too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// Bytes per second, each way: from one to 100 billion.
    pub rate: u64,
    /// Whether all connections share the rate, in equal parts; otherwise each one has it for itself.
    #[serde(default)]
    pub shared: bool,
}

/// The rate of a fast line, in bytes per second: more than a link passes.
const FASTEST: u64 = 100_000_000_000;

/// What passes at once takes this long to send.
const TICK: Duration = Duration::from_millis(2);

/// A sender that pauses for less counts as busy throughout, so that a late turn of the link costs it nothing.
const PAUSE: Duration = Duration::from_millis(2);

/// How much is held, as the time that it takes to send; more than a busy machine keeps the link from its work.
const HELD: Duration = Duration::from_millis(100);

/// How much is held in bytes, whatever the rate.
const HELD_BYTES: std::ops::RangeInclusive<u64> = 16 << 10..=16 << 20;

impl Bandwidth {
    /// `rate` bytes per second for each connection.
    pub fn new(rate: u64) -> Self {
        Self { rate, shared: false }
    }

    /// The same rate, for all connections together.
    pub fn shared(self) -> Self {
        Self { shared: true, ..self }
    }

    /// How many bytes pass in `time`.
    fn in_time(&self, time: Duration) -> u64 {
        self.rate.saturating_mul(time.as_millis() as u64) / 1000
    }
}

/// One megabyte per second for each connection.
impl Default for Bandwidth {
    fn default() -> Self {
        Self::new(1_000_000)
    }
}

impl Kind for Bandwidth {
    fn validate(&self) -> Result<(), InvalidField> {
        if !(1..=FASTEST).contains(&self.rate) {
            return Err(InvalidField::new("rate", format!("{} bytes per second is not within 1..={FASTEST}", self.rate)));
        }
        Ok(())
    }

    fn shaper(&self, birth: &Birth<'_>) -> Box<dyn Shaper> {
        let line = || Arc::new(Mutex::new(Line { rate: self.rate, since: birth.now, promised: 0, senders: 0 }));
        let line = match (self.shared, birth.way) {
            (false, _) => line(),
            (true, Way::Up) => Arc::clone(&birth.shared.get(|| [line(), line()])[0]),
            (true, Way::Down) => Arc::clone(&birth.shared.get(|| [line(), line()])[1]),
        };
        Box::new(Throttle {
            line,
            piece: self.in_time(TICK).max(1) as usize,
            appetite: self.in_time(HELD).clamp(*HELD_BYTES.start(), *HELD_BYTES.end()) as usize,
            born: birth.now,
            waiting: 0,
            slot: None,
        })
    }

    fn describe(&self) -> String {
        let whom = if self.shared { " shared" } else { "" };
        match self.rate {
            rate if rate >= 1_000_000 => format!("bandwidth {} MB/s{whom}", rate as f64 / 1e6),
            rate if rate >= 1_000 => format!("bandwidth {} kB/s{whom}", rate as f64 / 1e3),
            rate => format!("bandwidth {rate} B/s{whom}"),
        }
    }

    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        (counted.throttled_bytes, "bytes throttled")
    }
}

/// A line on which bytes go one after the other, and whose time its senders book piece by piece.
///
/// Nobody books a piece before the last one has gone, so those who wait take turns.
struct Line {
    rate: u64,
    /// Since when it has been busy.
    since: Instant,
    /// Bytes booked since then. Moments are computed from them, so no rounding adds up.
    promised: u64,
    /// How many have something to send.
    senders: usize,
}

impl Line {
    fn enter(&mut self, now: Instant) {
        if self.senders == 0 && now > self.end() + PAUSE {
            self.since = now;
            self.promised = 0;
        }
        self.senders += 1;
    }

    /// When all that is booked has gone.
    fn end(&self) -> Instant {
        let nanos = u128::from(self.promised) * 1_000_000_000 / u128::from(self.rate);
        self.since + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn book(&mut self, bytes: usize) -> Slot {
        self.promised += bytes as u64;
        Slot { bytes, end: self.end() }
    }
}

/// A piece of the line's time.
struct Slot {
    bytes: usize,
    end: Instant,
}

struct Throttle {
    line: Arc<Mutex<Line>>,
    piece: usize,
    /// What all senders on the line may hold together, in bytes.
    appetite: usize,
    born: Instant,
    /// Bytes that wait.
    waiting: usize,
    /// The next piece of them.
    slot: Option<Slot>,
}

impl Shaper for Throttle {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        if let Item::Data(data) = &item {
            schedule.count(|counters| &counters.throttled_bytes, data.len() as u64);
            self.waiting += data.len();
        }
        if self.waiting == 0 {
            return schedule.at(now, item);
        }
        schedule.wait(item);
        if self.slot.is_none() {
            let mut line = self.line.lock();
            // What an earlier toxic held back comes as if sent now: a change is no reason for a burst.
            line.enter(now.max(self.born));
            self.slot = Some(line.book(self.waiting.min(self.piece)));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.slot.as_ref().map(|slot| slot.end)
    }

    fn expire(&mut self, now: Instant, schedule: &mut Schedule<'_>) {
        let mut line = self.line.lock();
        while let Some(slot) = self.slot.take_if(|slot| slot.end <= now) {
            schedule.release(slot.end, slot.bytes);
            self.waiting -= slot.bytes;
            if self.waiting == 0 {
                line.senders -= 1;
            } else {
                self.slot = Some(line.book(self.waiting.min(self.piece)));
            }
        }
    }

    fn appetite(&self) -> usize {
        let senders = self.line.lock().senders.max(1);
        (self.appetite / senders).max(*HELD_BYTES.start() as usize)
    }
}

/// Gives back what it has booked, for others to use.
impl Drop for Throttle {
    fn drop(&mut self) {
        if let Some(slot) = &self.slot {
            let mut line = self.line.lock();
            line.promised -= slot.bytes as u64;
            line.senders -= 1;
        }
    }
}
