//! Datagrams do not arrive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fate, InvalidField, Kind, Shaper};

/// Each datagram that the toxic affects is lost: with a probability of 0.1, every tenth at random.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Loss {}

impl Kind for Loss {
    fn validate(&self) -> Result<(), InvalidField> {
        Ok(())
    }

    fn shaper(&self) -> Shaper {
        Box::new(|_| Fate::Drop)
    }
}
