//! How many requests leave per second, over time.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Requests per second: at the start, and then along straight ramps; the last value stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests per second at the start.
    pub start: f64,
    /// One after the other, without gaps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ramps: Vec<Ramp>,
}

/// A straight change of rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// Requests per second at its end.
    pub to: f64,
    /// How long it takes. Zero is a jump.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub over: Duration,
}

impl Rate {
    /// The same rate all the time.
    pub fn constant(per_second: f64) -> Self {
        Self { start: per_second, ramps: Vec::new() }
    }

    /// The rate that stays after the last ramp.
    pub fn last(&self) -> f64 {
        self.ramps.last().map_or(self.start, |ramp| ramp.to)
    }

    /// The highest rate that is ever reached.
    pub fn highest(&self) -> f64 {
        self.ramps.iter().map(|ramp| ramp.to).fold(self.start, f64::max)
    }

    /// Requests due in the first `elapsed`: the integral of the rate.
    pub fn requests_within(&self, elapsed: Duration) -> f64 {
        let (mut rate, mut left, mut sum) = (self.start, elapsed.as_secs_f64(), 0.0);
        for ramp in &self.ramps {
            let over = ramp.over.as_secs_f64();
            if left < over {
                let now = rate + (ramp.to - rate) * left / over;
                return sum + (rate + now) / 2.0 * left;
            }
            sum += (rate + ramp.to) / 2.0 * over;
            left -= over;
            rate = ramp.to;
        }
        sum + rate * left
    }
}

impl Default for Rate {
    /// 50 requests per second: with the default times, each of three routes has enough in every part of an experiment.
    fn default() -> Self {
        Self::constant(50.0)
    }
}
