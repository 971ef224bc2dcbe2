//! The types of toxic, their attributes, and the link's toxics that stand behind them.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::ApiError;
use super::fields::{Fields, Want};
use crate::link::toxic::{
    Bandwidth, BlackHole, Ending, LARGEST_SLICE, LONGEST, Latency, LimitData, Reset, Slicer, SlowClose,
};
use crate::link::{Direction, Toxic, ToxicSpec};

/// The longest time that a toxic of the link takes, in milliseconds; longer ones act as this one.
const HOUR: i64 = 3_600_000;

/// The fastest rate that a toxic of the link takes, in kB/s: faster than memory.
const FASTEST: i64 = 100_000_000;

/// Any number, as in Go: those below zero mean what they mean to toxiproxy, mostly nothing.
const ANY: RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// Declares every type of toxic: `"type" Variant { attribute in limits }`, with toxiproxy's names, units and order.
macro_rules! types {
    ($($name:literal $variant:ident { $($field:ident in $limits:expr),* })+) => {
        /// The attributes of a toxic; its variant is the type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        #[allow(missing_docs)] // toxiproxy's names and units; the module's documentation has them in a table
        pub enum Attributes { $($variant { $($field: i64),* },)+ }

        impl Attributes {
            /// The names of all types.
            pub const TYPES: &[&str] = &[$($name),+];

            /// All attributes of a type at 0; `None` where there is no such type.
            pub fn zero(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant { $($field: 0),* }),)+ _ => None }
            }

            /// The name of the type.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $name,)+ }
            }

            /// These attributes, changed where `fields` has others.
            pub(super) fn changed(self, fields: &Fields) -> Result<Self, ApiError> {
                Ok(match self { $(Self::$variant { $($field),* } => {
                    Self::$variant { $($field: within($limits, stringify!($field), fields, $field)?),* }
                })+ })
            }
        }
    };
}

// What is out of these limits ends toxiproxy.
types! {
    "noop" Noop { }
    "latency" Latency { latency in ANY, jitter in ANY }
    "bandwidth" Bandwidth { rate in 0..=i64::MAX }
    "slow_close" SlowClose { delay in ANY }
    "timeout" Timeout { timeout in ANY }
    "reset_peer" ResetPeer { timeout in ANY }
    "slicer" Slicer { average_size in 1..=i64::MAX, size_variation in 0..=i64::MAX, delay in ANY }
    "limit_data" LimitData { bytes in ANY }
}

/// The field, or else what it was.
fn within(limits: RangeInclusive<i64>, name: &str, fields: &Fields, was: i64) -> Result<i64, ApiError> {
    let value = fields.get(name)?.unwrap_or(was);
    if limits.contains(&value) {
        return Ok(value);
    }
    Err(ApiError::BadBody(format!("{name}: {value} is less than {}", limits.start())))
}

impl Attributes {
    /// The link's toxic that does this.
    pub(super) fn toxic(self, stream: Stream, toxicity: Toxicity) -> Toxic {
        Toxic::new(self.spec()).direction(stream.into()).probability(toxicity.0.into())
    }

    fn spec(self) -> ToxicSpec {
        match self {
            Self::Noop {} => Latency::default().into(),
            Self::Latency { latency, jitter } => {
                let (latency, jitter) = (ms(latency), ms(jitter));
                let mean = if jitter > latency { (latency + jitter) / 2 } else { latency };
                Latency::new(mean.min(LONGEST)).jitter(jitter.min(mean).min(LONGEST)).into()
            }
            // As many as nothing: toxiproxy lets none through either.
            Self::Bandwidth { rate: 0 } => BlackHole::default().into(),
            Self::Bandwidth { rate } => Bandwidth::new(1000 * rate.clamp(1, FASTEST).unsigned_abs()).into(),
            Self::SlowClose { delay } => SlowClose { delay: ms(delay) }.into(),
            Self::Timeout { timeout } => silence((timeout > 0).then(|| ms(timeout))),
            Self::ResetPeer { timeout } => Reset { after: Some(ms(timeout)), after_bytes: None, on_data: true }.into(),
            Self::Slicer { average_size, size_variation, delay } => {
                let size = bytes(average_size).clamp(1, LARGEST_SLICE);
                let delay = Duration::from_micros(delay.clamp(0, 1000 * HOUR).unsigned_abs());
                // At least one byte a slice.
                Slicer { size, variation: bytes(size_variation).min(size - 1), delay }.into()
            }
            Self::LimitData { bytes } => LimitData { bytes: bytes.max(0).unsigned_abs(), then: Ending::End }.into(),
        }
    }

    /// What the toxic turns into before it goes: one that has lost bytes takes its connections with it.
    pub(super) fn parting(self, stream: Stream, toxicity: Toxicity) -> Option<Toxic> {
        let closes = matches!(self, Self::Timeout { .. });
        let closing = Toxic::new(silence(Some(Duration::ZERO)));
        closes.then(|| closing.direction(stream.into()).probability(toxicity.0.into()))
    }
}

/// A time that a toxic of the link takes.
fn ms(milliseconds: i64) -> Duration {
    Duration::from_millis(milliseconds.clamp(0, HOUR).unsigned_abs())
}

fn bytes(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn silence(close_after: Option<Duration>) -> ToxicSpec {
    BlackHole { discard: true, close_after, ..BlackHole::default() }.into()
}

/// Which way a toxic acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// From the client to the server.
    Upstream,
    /// From the server to the client.
    Downstream,
}

impl Stream {
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        match text.to_ascii_lowercase().as_str() {
            "upstream" => Ok(Self::Upstream),
            "downstream" => Ok(Self::Downstream),
            _ => Err(ApiError::InvalidStream),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }
}

impl From<Stream> for Direction {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Upstream => Self::Up,
            Stream::Downstream => Self::Down,
        }
    }
}

/// Share of the connections that a toxic affects, `0.0..=1.0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Toxicity(pub(super) f32);

impl Want for Toxicity {
    const WHAT: &'static str = "a number within 0 and 1";

    fn want(value: &Value) -> Option<Self> {
        let value = value.as_f64().filter(|value| (0.0..=1.0).contains(value))?;
        #[allow(clippy::cast_possible_truncation)] // toxiproxy has it in 32 bits
        Some(Self(value as f32))
    }
}

/// 1 and 0 as integers, as Go writes them.
impl Serialize for Toxicity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            1.0 => serializer.serialize_u8(1),
            0.0 => serializer.serialize_u8(0),
            share => serializer.serialize_f32(share),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a client of toxiproxy may say, the link takes it.
        #[test]
        fn every_number_that_is_taken_is_one_for_the_link(a: i64, b: i64, c: i64) {
            let [size, variation] = [a, b].map(|number| number.checked_abs().unwrap_or(1));
            for attributes in [
                Attributes::Noop {},
                Attributes::Latency { latency: a, jitter: b },
                Attributes::Bandwidth { rate: size },
                Attributes::SlowClose { delay: a },
                Attributes::Timeout { timeout: a },
                Attributes::ResetPeer { timeout: a },
                Attributes::Slicer { average_size: size.max(1), size_variation: variation, delay: c },
                Attributes::LimitData { bytes: a },
            ] {
                let toxic = attributes.toxic(Stream::Downstream, Toxicity(1.0));
                prop_assert!(toxic.validate().is_ok(), "{attributes:?}: {:?}", toxic.validate());
            }
        }
    }
}
