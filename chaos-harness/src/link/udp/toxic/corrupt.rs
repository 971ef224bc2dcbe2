//! Datagrams arrive changed.

use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fate, InvalidField, Kind, Shaper, check_count};

/// In each datagram that the toxic affects, `bits` bits at random places are flipped; an empty one passes as it is. The
/// checksum of what arrives is right, as after damage in a router's memory: damage on a line would be dropped instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Corrupt {
    /// Flips in each datagram, 1 to 1000. Two may fall on the same bit.
    #[serde(default = "one")]
    pub bits: u16,
}

fn one() -> u16 {
    1
}

impl Default for Corrupt {
    /// One bit.
    fn default() -> Self {
        Self { bits: one() }
    }
}

impl Kind for Corrupt {
    fn validate(&self) -> Result<(), InvalidField> {
        check_count("bits", self.bits.into(), 1..=1000)
    }

    fn shaper(&self) -> Shaper {
        let bits = self.bits;
        Box::new(move |arrival| {
            if arrival.data.is_empty() {
                return Fate::Pass;
            }
            for _ in 0..bits {
                let bit = arrival.rng.random_range(0..arrival.data.len() * 8);
                arrival.data[bit / 8] ^= 1 << (bit % 8);
            }
            Fate::Changed
        })
    }
}
