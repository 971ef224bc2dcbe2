//! Datagrams arrive later.

use std::time::Duration;

use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fate, InvalidField, Kind, Shaper};
use crate::link::toxic::check_duration;

/// Each datagram arrives `delay` later, give or take `jitter`. Jitter reorders, as in a real network: a datagram does
/// not wait for those before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// Mean delay, at most one hour.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub delay: Duration,
    /// Half the width of the uniform distribution around `delay`; at most `delay`.
    #[serde(default, with = "humantime_serde")]
    #[schemars(with = "String")]
    pub jitter: Duration,
}

impl Delay {
    /// The same delay for every datagram.
    pub fn new(delay: Duration) -> Self {
        Self { delay, jitter: Duration::ZERO }
    }

    /// The same delay, spread evenly over `delay - jitter..=delay + jitter`.
    #[must_use]
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }
}

impl Kind for Delay {
    fn validate(&self) -> Result<(), InvalidField> {
        check_duration("delay", self.delay)?;
        if self.jitter > self.delay {
            let (jitter, delay) = (humantime::format_duration(self.jitter), humantime::format_duration(self.delay));
            return Err(InvalidField::new("jitter", format!("{jitter} is more than the delay of {delay}")));
        }
        Ok(())
    }

    fn shaper(&self) -> Shaper {
        let delay = self.delay;
        if self.jitter.is_zero() {
            return Box::new(move |arrival| Fate::At(arrival.now + delay));
        }
        let range = delay - self.jitter..=delay + self.jitter;
        Box::new(move |arrival| Fate::At(arrival.now + arrival.rng.random_range(range.clone())))
    }
}
