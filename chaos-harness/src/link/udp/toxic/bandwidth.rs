//! Datagrams share a slow line, and are lost when its queue is full.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fate, InvalidField, Kind, Shaper, check_count};

/// What all sessions send one way shares a line of `rate`; what finds more than `queue` bytes before it is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// Bytes per second, without headers; from 1.
    pub rate: u64,
    /// Bytes that may wait; up to 32 MiB.
    #[serde(default = "default_queue")]
    pub queue: u64,
}

fn default_queue() -> u64 {
    256 << 10
}

impl Bandwidth {
    /// A line of `rate` bytes per second with a queue of 256 KiB.
    pub fn new(rate: u64) -> Self {
        Self { rate, queue: default_queue() }
    }
}

impl Default for Bandwidth {
    /// 1 MiB/s.
    fn default() -> Self {
        Self::new(1 << 20)
    }
}

impl Kind for Bandwidth {
    fn validate(&self) -> Result<(), InvalidField> {
        check_count("rate", self.rate, 1..=1 << 40)?;
        check_count("queue", self.queue, 0..=32 << 20)
    }

    fn shaper(&self) -> Shaper {
        let time = |bytes: u64, rate: u64| Duration::from_secs_f64(bytes as f64 / rate as f64);
        let (rate, longest, mut free) = (self.rate, time(self.queue, self.rate), None::<Instant>);
        Box::new(move |arrival| {
            let start = free.map_or(arrival.now, |free| free.max(arrival.now));
            if start - arrival.now > longest {
                return Fate::Overflow;
            }
            let end = start + time(arrival.data.len() as u64, rate);
            free = Some(end);
            Fate::At(end)
        })
    }
}
