//! Datagrams are overtaken by later ones.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fate, InvalidField, Kind, Shaper, check_count};
use crate::link::toxic::check_duration;

/// Each datagram that the toxic affects waits until `gap` later ones of its session have overtaken it, and for `within`
/// at most. With a probability of 1 all wait, so none overtakes another: use less, such as 0.25.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reorder {
    /// How many overtake it, 1 to 1000.
    pub gap: u32,
    /// The longest that it waits, at most one hour.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub within: Duration,
}

impl Reorder {
    /// Waits for `gap` later ones, and for 100 ms at most.
    pub fn new(gap: u32) -> Self {
        Self { gap, within: Duration::from_millis(100) }
    }

    /// The same, waiting for `within` at most.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }
}

impl Default for Reorder {
    /// One overtakes it.
    fn default() -> Self {
        Self::new(1)
    }
}

impl Kind for Reorder {
    fn validate(&self) -> Result<(), InvalidField> {
        check_count("gap", self.gap.into(), 1..=1000)?;
        check_duration("within", self.within)
    }

    fn shaper(&self) -> Shaper {
        let Self { gap, within } = *self;
        Box::new(move |arrival| Fate::HoldBack { gap, until: arrival.now + within })
    }
}
