//! Every nth datagram does not arrive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fate, InvalidField, Kind, Shaper, check_count};

/// Of the datagrams that the toxic affects, every `nth` is lost, counted per way over all sessions of the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeriodicLoss {
    /// From 1, which loses all.
    pub nth: u32,
}

impl Default for PeriodicLoss {
    /// Every tenth.
    fn default() -> Self {
        Self { nth: 10 }
    }
}

impl Kind for PeriodicLoss {
    fn validate(&self) -> Result<(), InvalidField> {
        check_count("nth", self.nth.into(), 1..=u32::MAX.into())
    }

    fn shaper(&self) -> Shaper {
        let (nth, mut passed) = (self.nth, 0);
        Box::new(move |_| {
            passed = (passed + 1) % nth;
            if passed == 0 { Fate::Drop } else { Fate::Pass }
        })
    }
}
