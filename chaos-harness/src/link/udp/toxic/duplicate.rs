//! Datagrams arrive several times.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fate, InvalidField, Kind, Shaper, check_count};

/// Behind each datagram that the toxic affects come `copies` of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Duplicate {
    /// Copies besides the datagram itself, 1 to 8.
    #[serde(default = "one")]
    pub copies: u16,
}

fn one() -> u16 {
    1
}

impl Default for Duplicate {
    /// Arrives twice.
    fn default() -> Self {
        Self { copies: one() }
    }
}

impl Kind for Duplicate {
    fn validate(&self) -> Result<(), InvalidField> {
        check_count("copies", self.copies.into(), 1..=8)
    }

    fn shaper(&self) -> Shaper {
        let copies = self.copies;
        Box::new(move |_| Fate::Copies(copies))
    }
}
