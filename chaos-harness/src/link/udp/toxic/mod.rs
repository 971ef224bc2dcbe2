//! Toxics for datagrams: what can be wrong with a UDP link.
//!
//! # Adding a kind
//!
//! 1. Write `udp/toxic/<kind>.rs`: a struct of plain data which implements `Kind`.
//! 2. Add one line to the list under `kinds!` below.
//!
//! The kind then has a variant in [`UdpToxicSpec`], a name in plans and journals (the variant in `snake_case`), a
//! JSON Schema, and goes through the checks that hold for all kinds (`udp/tests/spec.rs`).

use std::time::Instant;

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::link::toxic::{Direction, InvalidField, Profile, Selection};

/// Declares every kind of toxic: `file: Variant, "what it does"`.
macro_rules! kinds {
    ($($module:ident: $kind:ident, $doc:literal;)+) => {
        $(mod $module; pub use $module::$kind;)+

        /// Every kind of toxic for datagrams, as plain data; `kind` names it in serialised form.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum UdpToxicSpec {
            $(#[doc = $doc] $kind($kind),)+
        }

        impl UdpToxicSpec {
            pub(super) fn as_kind(&self) -> &dyn Kind {
                match self { $(Self::$kind(kind) => kind,)+ }
            }

            /// Every kind with its default values, for the checks that hold for all kinds.
            #[cfg(test)]
            pub(super) fn each() -> Vec<Self> {
                vec![$(Self::$kind($kind::default()),)+]
            }
        }

        $(impl From<$kind> for UdpToxicSpec {
            fn from(kind: $kind) -> Self { Self::$kind(kind) }
        })+
    };
}

kinds! {
    loss: Loss, "Datagrams do not arrive.";
    periodic_loss: PeriodicLoss, "Every nth datagram does not arrive.";
    burst_loss: BurstLoss, "Datagrams are lost in bursts.";
    delay: Delay, "Datagrams arrive later.";
    duplicate: Duplicate, "Datagrams arrive several times.";
    reorder: Reorder, "Datagrams are overtaken by later ones.";
    corrupt: Corrupt, "Datagrams arrive changed.";
    bandwidth: Bandwidth, "Datagrams share a slow line, and are lost when its queue is full.";
}

/// A toxic on a UDP link: what, which way, and for which share of the datagrams.
///
/// Its serialised form is flat: `{"kind": "loss", "direction": "up", "probability": 0.1}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UdpToxic {
    /// What it does.
    #[serde(flatten)]
    pub spec: UdpToxicSpec,
    /// Which way it acts.
    #[serde(default)]
    pub direction: Direction,
    /// Share of the datagrams that it affects, `0.0..=1.0`, decided for each from the link's seed.
    #[serde(default = "always")]
    pub probability: f64,
    /// Datagrams have no connections to select from: given, the toxic is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Selection>,
    /// A toxic for datagrams acts for as long as it is there: any other course is refused.
    #[serde(default, skip_serializing_if = "Profile::is_always")]
    pub profile: Profile,
}

fn always() -> f64 {
    1.0
}

impl UdpToxic {
    /// A toxic which acts both ways on every datagram.
    pub fn new(spec: impl Into<UdpToxicSpec>) -> Self {
        let (connections, profile) = (None, Profile::Always);
        Self { spec: spec.into(), direction: Direction::Both, probability: always(), connections, profile }
    }

    /// The same toxic, acting in `direction`.
    #[must_use]
    pub fn direction(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }

    /// The same toxic, on a share of the datagrams: `0.0..=1.0`.
    #[must_use]
    pub fn probability(self, probability: f64) -> Self {
        Self { probability, ..self }
    }

    /// Whether its values make sense.
    ///
    /// # Errors
    /// Names the first field that does not, and its limits.
    pub fn validate(&self) -> Result<(), InvalidField> {
        check_share("probability", self.probability)?;
        if let Some(selection) = self.connections {
            let problem = format!("datagrams have no connections, of which to select {selection}: leave it out");
            return Err(InvalidField::new("connections", problem));
        }
        if !self.profile.is_always() {
            let problem = format!("a toxic for datagrams has no course in time ({}): leave it out", self.profile);
            return Err(InvalidField::new("profile", problem));
        }
        self.spec.as_kind().validate()
    }
}

/// What each kind of toxic tells the link about itself.
pub(super) trait Kind {
    /// Whether the values make sense.
    ///
    /// # Errors
    /// Names the first field that does not.
    fn validate(&self) -> Result<(), InvalidField>;

    /// What decides over the datagrams that go one way, from now on.
    fn shaper(&self) -> Shaper;
}

/// Decides over the datagrams that a toxic affects, in the order in which they reach it.
pub(super) type Shaper = Box<dyn FnMut(&mut Arrival<'_>) -> Fate + Send>;

/// A datagram that has reached a toxic.
pub(super) struct Arrival<'a> {
    pub(super) now: Instant,
    pub(super) data: &'a mut Vec<u8>,
    /// The toxic's randomness on this way: the same for the same seed and sequence of datagrams.
    pub(super) rng: &'a mut ChaCha8Rng,
}

/// What becomes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It moves on.
    Pass,
    /// It moves on, changed.
    Changed,
    /// It is lost.
    Drop,
    /// There is no room for it.
    Overflow,
    /// It moves on, and as many copies behind it.
    Copies(u16),
    /// It moves on at that moment.
    At(Instant),
    /// It moves on once `gap` later ones of its session have, at `until` at the latest.
    HoldBack { gap: u32, until: Instant },
}

fn check_share(field: &'static str, share: f64) -> Result<(), InvalidField> {
    if (0.0..=1.0).contains(&share) {
        Ok(())
    } else {
        Err(InvalidField::new(field, format!("{share} is not within 0..=1")))
    }
}

fn check_count(field: &'static str, count: u64, range: std::ops::RangeInclusive<u64>) -> Result<(), InvalidField> {
    if range.contains(&count) {
        return Ok(());
    }
    Err(InvalidField::new(field, format!("{count} is not within {}..={}", range.start(), range.end())))
}
