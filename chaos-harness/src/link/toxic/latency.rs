//! Bytes arrive later.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Birth, CountersSnapshot, Direction, InvalidField, Item, Kind, Schedule, Shaper, check_duration, time};

/// Each chunk of bytes arrives `latency` later, give or take `jitter`. The opening of a connection is not delayed.
///
/// Chunks are delayed side by side, not one after the other, so throughput stays what it was. Jitter
/// never reorders: a chunk waits for those before it, as in TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Mean delay, at most one hour.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub latency: Duration,
    /// Half the width of the uniform distribution around `latency`; at most `latency`.
    #[serde(default, with = "humantime_serde")]
    #[schemars(with = "String")]
    pub jitter: Duration,
}

impl Latency {
    /// The same delay for every chunk.
    pub fn new(latency: Duration) -> Self {
        Self { latency, jitter: Duration::ZERO }
    }

    /// The same latency, spread evenly over `latency - jitter..=latency + jitter`.
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }
}

impl Kind for Latency {
    fn validate(&self) -> Result<(), InvalidField> {
        check_duration("latency", self.latency)?;
        if self.jitter > self.latency {
            let (jitter, latency) = (humantime::format_duration(self.jitter), humantime::format_duration(self.latency));
            return Err(InvalidField::new("jitter", format!("{jitter} is more than the latency of {latency}")));
        }
        Ok(())
    }

    fn shaper(&self, birth: &Birth<'_>) -> Box<dyn Shaper> {
        if self.jitter.is_zero() {
            return Box::new(Constant(self.latency));
        }
        Box::new(Uniform { range: self.latency - self.jitter..=self.latency + self.jitter, rng: birth.rng() })
    }

    fn describe(&self) -> String {
        let Self { latency, jitter } = self;
        let jitter = if jitter.is_zero() { String::new() } else { format!(" +/- {}", time(*jitter)) };
        format!("latency {}{jitter}", time(*latency))
    }

    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        (counted.delayed_chunks, "chunks delayed")
    }

    fn usual(&self) -> Direction {
        Direction::Down
    }
}

struct Constant(Duration);

impl Shaper for Constant {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        delay(now, self.0, item, schedule);
    }
}

struct Uniform {
    range: RangeInclusive<Duration>,
    rng: ChaCha8Rng,
}

impl Shaper for Uniform {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        delay(now, self.rng.random_range(self.range.clone()), item, schedule);
    }
}

fn delay(now: Instant, by: Duration, item: Item, schedule: &mut Schedule<'_>) {
    let due = if matches!(item, Item::Open) { now } else { now + by };
    schedule.at(due, item);
}
