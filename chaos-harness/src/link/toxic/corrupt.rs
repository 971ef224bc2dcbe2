//! Bits of the stream are flipped.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Birth, CountersSnapshot, InvalidField, Item, Kind, Schedule, Shaper};

/// One bit is flipped in some of the bytes; their number and order stay.
///
/// The seed decides which bytes and bits, by their position in the stream: however it is chunked, the same ones.
/// Positions count from the opening of the connection or, when it was live already, from the moment the toxic was
/// added or changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Corrupt {
    /// Which bytes.
    pub bytes: Victims,
    /// Which bit of them, from 0, the lowest, to 7; without it the seed decides for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit: Option<u8>,
}

/// Which bytes of a stream are corrupted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Victims {
    /// Each byte with this probability: above 0, at most 1.
    Share(f64),
    /// One byte, chosen by the seed, of this many in a row; of every one, when it is 1.
    OneOf(u64),
}

/// One byte of a thousand.
impl Default for Victims {
    fn default() -> Self {
        Self::OneOf(1000)
    }
}

impl Kind for Corrupt {
    fn validate(&self) -> Result<(), InvalidField> {
        match self.bytes {
            Victims::Share(share) if share.is_nan() || share <= 0.0 || share > 1.0 => {
                return Err(InvalidField::new("bytes", format!("a share of {share} is not above 0 and at most 1")));
            }
            Victims::OneOf(0) => return Err(InvalidField::new("bytes", "one of 0: it takes at least 1")),
            _ => {}
        }
        match self.bit {
            Some(bit @ 8..) => Err(InvalidField::new("bit", format!("{bit} is not within 0..=7"))),
            _ => Ok(()),
        }
    }

    fn shaper(&self, birth: &Birth<'_>) -> Box<dyn Shaper> {
        Box::new(Flipper::new(self.clone(), birth.rng()))
    }

    fn describe(&self) -> String {
        match self.bytes {
            Victims::Share(share) => format!("corruption of {}% of the bytes", share * 100.0),
            Victims::OneOf(n) => format!("corruption of one byte in {n}"),
        }
    }

    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        (counted.corrupted_bytes, "bytes corrupted")
    }
}

struct Flipper {
    corrupt: Corrupt,
    rng: ChaCha8Rng,
    /// Bytes before the next victim.
    until: u64,
    /// Bytes behind the next victim that are spared for sure.
    spared: u64,
}

impl Flipper {
    fn new(corrupt: Corrupt, rng: ChaCha8Rng) -> Self {
        let mut flipper = Self { corrupt, rng, until: 0, spared: 0 };
        flipper.choose();
        flipper
    }

    /// Chooses the next victim.
    fn choose(&mut self) {
        self.until = match self.corrupt.bytes {
            // How long one waits for a success of that probability: a draw per victim, not per byte.
            Victims::Share(share) => {
                let luck: f64 = 1.0 - self.rng.random::<f64>();
                (luck.ln() / (-share).ln_1p()) as u64
            }
            Victims::OneOf(n) => {
                let place = self.rng.random_range(0..n);
                std::mem::replace(&mut self.spared, n - 1 - place).saturating_add(place)
            }
        };
    }

    fn mask(&mut self) -> u8 {
        1 << self.corrupt.bit.unwrap_or_else(|| self.rng.random_range(0..8))
    }

    /// Flips the bits of the victims among `data`, and says how many there were.
    fn flip(&mut self, data: Bytes) -> (Bytes, u64) {
        if self.until >= data.len() as u64 {
            self.until -= data.len() as u64;
            return (data, 0);
        }
        let (mut data, mut position, mut flipped) = (BytesMut::from(data), 0_u64, 0);
        while self.until < data.len() as u64 - position {
            position += self.until;
            data[position as usize] ^= self.mask();
            (position, flipped) = (position + 1, flipped + 1);
            self.choose();
        }
        self.until -= data.len() as u64 - position;
        (data.freeze(), flipped)
    }
}

impl Shaper for Flipper {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        let Item::Data(data) = item else { return schedule.at(now, item) };
        let (data, flipped) = self.flip(data);
        schedule.count(|counters| &counters.corrupted_bytes, flipped);
        schedule.at(now, Item::Data(data));
    }
}
