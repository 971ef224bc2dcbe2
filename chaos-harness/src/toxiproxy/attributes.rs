//! The types of toxic, their attributes, and the link's toxics that stand behind them.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::ApiError;
use super::fields::{Fields, Want};
use crate::link::toxic::{Bandwidth, BlackHole, Ending, Latency, LimitData, Reset, Slicer, SlowClose};
use crate::link::{Direction, Toxic, ToxicSpec};

/// The longest time, in milliseconds: what the link's toxics accept.
const HOUR: u64 = 3_600_000;

/// Declares every type of toxic: `"type" Variant { attribute in limits }`, with toxiproxy's names, units and order.
macro_rules! types {
    ($($name:literal $variant:ident { $($field:ident in $limits:expr),+ })+) => {
        /// The attributes of a toxic; its variant is the type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        #[allow(missing_docs)] // toxiproxy's names and units; the module's documentation has them in a table
        pub enum Attributes { $($variant { $($field: u64),+ },)+ }

        impl Attributes {
            /// The names of all types.
            pub const TYPES: &[&str] = &[$($name),+];

            /// All attributes of a type at 0; `None` where there is no such type.
            pub fn zero(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant { $($field: 0),+ }),)+ _ => None }
            }

            /// The name of the type.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $name,)+ }
            }

            fn with(self, fields: &Fields) -> Result<Self, ApiError> {
                Ok(match self { $(Self::$variant { $($field),+ } => {
                    Self::$variant { $($field: within($limits, stringify!($field), fields, $field)?),+ }
                })+ })
            }
        }
    };
}

types! {
    "latency" Latency { latency in 0..=HOUR, jitter in 0..=HOUR }
    "bandwidth" Bandwidth { rate in 0..=100_000_000 }
    "slow_close" SlowClose { delay in 0..=HOUR }
    "timeout" Timeout { timeout in 0..=HOUR }
    "reset_peer" ResetPeer { timeout in 0..=HOUR }
    "slicer" Slicer { average_size in 1..=1 << 20, size_variation in 0..=1 << 20, delay in 0..=1000 * HOUR }
    "limit_data" LimitData { bytes in 0..=u64::MAX }
}

/// The field, or else what it was.
fn within(limits: RangeInclusive<u64>, name: &str, fields: &Fields, was: u64) -> Result<u64, ApiError> {
    let value = fields.get(name)?.unwrap_or(was);
    if limits.contains(&value) {
        return Ok(value);
    }
    Err(ApiError::BadBody(format!("{name}: {value} is not within {} and {}", limits.start(), limits.end())))
}

impl Attributes {
    /// These attributes, changed where `fields` has others.
    pub(super) fn changed(self, fields: &Fields) -> Result<Self, ApiError> {
        let changed = self.with(fields)?;
        changed.validate().map(|()| changed)
    }

    fn validate(self) -> Result<(), ApiError> {
        let toxic = self.toxic(Stream::Downstream, Toxicity(1.0));
        toxic.validate().map_err(|invalid| ApiError::BadBody(format!("attributes: {invalid}")))
    }

    /// The link's toxic that does this.
    pub(super) fn toxic(self, stream: Stream, toxicity: Toxicity) -> Toxic {
        Toxic::new(self.spec()).direction(stream.into()).probability(toxicity.0.into())
    }

    fn spec(self) -> ToxicSpec {
        let ms = Duration::from_millis;
        match self {
            Self::Latency { latency, jitter } if jitter > latency => {
                let mean = ms(latency.saturating_add(jitter)) / 2;
                Latency::new(mean).jitter(mean).into()
            }
            Self::Latency { latency, jitter } => Latency::new(ms(latency)).jitter(ms(jitter)).into(),
            // As many as nothing: toxiproxy lets none through either.
            Self::Bandwidth { rate: 0 } => BlackHole::default().into(),
            Self::Bandwidth { rate } => Bandwidth::new(1000 * rate).into(),
            Self::SlowClose { delay } => SlowClose { delay: ms(delay) }.into(),
            Self::Timeout { timeout: 0 } => silence(None),
            Self::Timeout { timeout } => silence(Some(ms(timeout))),
            Self::ResetPeer { timeout } => Reset { after: Some(ms(timeout)), after_bytes: None }.into(),
            Self::Slicer { average_size, size_variation, delay } => {
                let bytes = |size| u32::try_from(size).unwrap_or(u32::MAX);
                let delay = Duration::from_micros(delay);
                Slicer { size: bytes(average_size), variation: bytes(size_variation), delay }.into()
            }
            Self::LimitData { bytes } => LimitData { bytes, then: Ending::End }.into(),
        }
    }

    /// What the toxic turns into before it goes: one that has lost bytes takes its connections with it.
    pub(super) fn parting(self, stream: Stream, toxicity: Toxicity) -> Option<Toxic> {
        let closes = matches!(self, Self::Timeout { .. });
        let closing = Toxic::new(silence(Some(Duration::ZERO)));
        closes.then(|| closing.direction(stream.into()).probability(toxicity.0.into()))
    }
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
