//! The stream arrives in small pieces.

use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Birth, CountersSnapshot, InvalidField, Item, Kind, Schedule, Shaper, check_duration, time};

/// The stream is cut into pieces of `size` bytes, give or take `variation`, each sent by itself, `delay` apart.
///
/// The seed decides where the cuts are, however the bytes come in; what comes in alone is not made to wait for more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slicer {
    /// Mean size of a piece, in bytes: 1 to 1 MiB.
    pub size: u32,
    /// Half the width of the uniform distribution around `size`, in bytes; less than `size`.
    #[serde(default)]
    pub variation: u32,
    /// Time between two pieces, at most one hour. Without any, a reader may find several pieces arrived at once.
    #[serde(default, with = "humantime_serde")]
    #[schemars(with = "String")]
    pub delay: Duration,
}

/// The largest slice, in bytes: more than a link reads at once.
pub const LARGEST_SLICE: u32 = 1 << 20;

/// Pieces that go in one turn, when there is no time between them.
const TURN: usize = 64;

/// Most that is held, in bytes.
const HELD: usize = 128 << 10;

/// Pieces of 64 bytes, as they come.
impl Default for Slicer {
    fn default() -> Self {
        Self { size: 64, variation: 0, delay: Duration::ZERO }
    }
}

impl Kind for Slicer {
    fn validate(&self) -> Result<(), InvalidField> {
        if !(1..=LARGEST_SLICE).contains(&self.size) {
            return Err(InvalidField::new("size", format!("{} bytes is not within 1..={LARGEST_SLICE}", self.size)));
        }
        if self.variation >= self.size {
            let problem = format!("{} bytes is not less than the size of {}", self.variation, self.size);
            return Err(InvalidField::new("variation", problem));
        }
        check_duration("delay", self.delay)
    }

    fn shaper(&self, birth: &Birth<'_>) -> Box<dyn Shaper> {
        let mut cuts = Cuts { sizes: self.size - self.variation..=self.size + self.variation, rng: birth.rng() };
        let left = cuts.draw();
        Box::new(Knife { cuts, left, waiting: 0, delay: self.delay, next: birth.now })
    }

    fn describe(&self) -> String {
        let variation = if self.variation == 0 { String::new() } else { format!(" +/- {}", self.variation) };
        let delay = if self.delay.is_zero() { String::new() } else { format!(", {} apart", time(self.delay)) };
        format!("slices of {}{variation} bytes{delay}", self.size)
    }

    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        (counted.slices, "slices")
    }
}

/// The sizes of the pieces, one after the other.
struct Cuts {
    sizes: std::ops::RangeInclusive<u32>,
    rng: ChaCha8Rng,
}

impl Cuts {
    fn draw(&mut self) -> usize {
        self.rng.random_range(self.sizes.clone()) as usize
    }
}

struct Knife {
    cuts: Cuts,
    /// Bytes up to the next cut.
    left: usize,
    /// Bytes that wait.
    waiting: usize,
    delay: Duration,
    /// When the next piece may go.
    next: Instant,
}

impl Shaper for Knife {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        if let Item::Data(data) = &item {
            self.waiting += data.len();
        }
        match self.waiting {
            0 => schedule.at(now, item),
            _ => schedule.wait(item),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        (self.waiting > 0).then_some(self.next)
    }

    fn expire(&mut self, now: Instant, schedule: &mut Schedule<'_>) {
        for _ in 0..TURN {
            if self.waiting == 0 || self.next > now {
                return;
            }
            let piece = self.left.min(self.waiting);
            schedule.release(now, piece);
            schedule.count(|counters| &counters.slices, 1);
            self.waiting -= piece;
            self.left -= piece;
            if self.left == 0 {
                self.left = self.cuts.draw();
            }
            self.next = now + self.delay;
        }
    }

    fn appetite(&self) -> usize {
        HELD
    }
}
