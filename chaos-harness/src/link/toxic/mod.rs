//! Toxics: what can be wrong with a link.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | [`Toxic`], the `Kind` and `Shaper` traits, the list of kinds |
//! | `schedule.rs` | `Item`, `Schedule`, `Stage`: what a shaper gives out, and when |
//! | `dice.rs` | which connections a toxic affects, and the randomness it gets |
//! | one per kind | plain data, its validation, its shaper |
//!
//! # Adding a kind
//!
//! 1. Write `toxic/<kind>.rs`: a struct of plain data which implements `Kind`, and its `Shaper`.
//! 2. Add one line to the list under `kinds!` below.
//!
//! The kind then has a variant in [`ToxicSpec`], a name in plans and journals (the variant in
//! `snake_case`), a JSON Schema, and goes through the checks that hold for all kinds (`tests/spec.rs`).

use std::fmt;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod dice;
mod schedule;

pub(super) use dice::Dice;
use schedule::Schedule;
pub(super) use schedule::{Cut, Item, Stage, Tally};

/// Declares every kind of toxic: `file: Variant, "what it does"`.
macro_rules! kinds {
    ($($module:ident: $kind:ident, $doc:literal;)+) => {
        $(mod $module; pub use $module::$kind;)+

        /// Every kind of toxic, as plain data; `kind` names it in serialised form.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum ToxicSpec {
            $(#[doc = $doc] $kind($kind),)+
        }

        impl ToxicSpec {
            pub(super) fn as_kind(&self) -> &dyn Kind {
                match self { $(Self::$kind(kind) => kind,)+ }
            }

            /// Every kind with its default values, for the checks that hold for all kinds.
            #[cfg(test)]
            pub(super) fn each() -> Vec<Self> {
                vec![$(Self::$kind($kind::default()),)+]
            }
        }

        $(impl From<$kind> for ToxicSpec {
            fn from(kind: $kind) -> Self { Self::$kind(kind) }
        })+
    };
}

kinds! {
    latency: Latency, "Bytes arrive later.";
    black_hole: BlackHole, "Nothing arrives, and nothing is lost: it all arrives once the toxic is gone.";
    refuse: Refuse, "New connections are refused, live ones reset.";
    reset: Reset, "Connections are reset.";
    http: Http, "Chosen HTTP requests, or their responses, are aborted, delayed, broken or changed.";
}

/// A toxic on a link: what, which way, and for which share of the connections.
///
/// Its serialised form is flat: `{"kind": "latency", "latency": "50ms", "direction": "down", "probability": 0.5}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Toxic {
    /// What it does.
    #[serde(flatten)]
    pub spec: ToxicSpec,
    /// Which way it acts.
    #[serde(default)]
    pub direction: Direction,
    /// Share of the connections that it affects, `0.0..=1.0`, decided once per connection from the link's seed.
    #[serde(default = "always")]
    pub probability: f64,
}

fn always() -> f64 {
    1.0
}

impl Toxic {
    /// A toxic which acts both ways on every connection.
    pub fn new(spec: impl Into<ToxicSpec>) -> Self {
        Self { spec: spec.into(), direction: Direction::Both, probability: always() }
    }

    /// The same toxic, acting in `direction`.
    pub fn direction(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }

    /// The same toxic, on a share of the connections: `0.0..=1.0`.
    pub fn probability(self, probability: f64) -> Self {
        Self { probability, ..self }
    }

    /// Whether its values make sense.
    ///
    /// # Errors
    /// Names the first field that does not, and its limits.
    pub fn validate(&self) -> Result<(), InvalidField> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(InvalidField::new("probability", format!("{} is not within 0..=1", self.probability)));
        }
        self.spec.as_kind().validate()
    }

    /// Whether it closes the listening port: refusing all, it leaves nobody to accept.
    pub(super) fn closes_port(&self) -> bool {
        self.probability >= 1.0 && self.spec.as_kind().refuses()
    }
}

/// Which way a toxic acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the caller to the callee.
    Up,
    /// From the callee to the caller.
    Down,
    /// Both ways; a latency then counts twice in a round trip.
    #[default]
    Both,
}

impl Direction {
    pub(super) fn covers(self, way: Way) -> bool {
        matches!((self, way), (Self::Both, _) | (Self::Up, Way::Up) | (Self::Down, Way::Down))
    }
}

/// One of the two ways through a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the caller to the callee.
    Up,
    /// From the callee to the caller.
    Down,
}

/// A field whose value makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {problem}")]
pub struct InvalidField {
    /// Name of the field, as it is serialised.
    pub field: &'static str,
    /// What is wrong with it and what is allowed.
    pub problem: String,
}

impl InvalidField {
    /// Says what is wrong with `field`.
    pub fn new(field: &'static str, problem: impl fmt::Display) -> Self {
        Self { field, problem: problem.to_string() }
    }
}

/// What each kind of toxic tells the link about itself.
pub(super) trait Kind {
    /// Whether the values make sense.
    ///
    /// # Errors
    /// Names the first field that does not.
    fn validate(&self) -> Result<(), InvalidField>;

    /// The shaper of one way through one connection, from now on.
    ///
    /// A kind that acts on messages instead of bytes has none that does anything.
    fn shaper(&self, _birth: &Birth) -> Box<dyn Shaper> {
        Box::new(Transparent)
    }

    /// Whether new connections are refused.
    fn refuses(&self) -> bool {
        false
    }
}

/// Where and when a shaper comes to be: as a connection opens, or as a toxic is added to a live one.
pub(super) struct Birth {
    /// The moment from which the shaper acts.
    pub(super) now: Instant,
    /// The way it acts.
    pub(super) way: Way,
    pub(super) dice: Dice,
}

impl Birth {
    /// The shaper's randomness: the same for the same seed, connection, toxic and way.
    pub(super) fn rng(&self) -> ChaCha8Rng {
        self.dice.way(self.way)
    }
}

/// What a toxic does to one way through one connection.
///
/// Items reach it in order and leave in order, whatever moments it gives them: the link keeps the
/// queue. So a shaper cannot lose or reorder by mistake, and when its toxic goes, what it held moves on.
pub(super) trait Shaper: Send {
    /// Passes `item`, which arrived at `now`, on to `schedule`: as it is, changed, in pieces, or not at all.
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>);

    /// Whether it passes bytes on without a look at them, so that they need not be copied.
    fn is_opaque(&self) -> bool {
        false
    }

    /// When it wants to act without an item, if ever.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Acts: called once [`Self::deadline`] has passed, which must then move on.
    fn expire(&mut self, _schedule: &mut Schedule<'_>) {}
}

/// Lets everything pass.
struct Transparent;

impl Shaper for Transparent {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        schedule.at(now, item);
    }
}

/// Longest duration that a toxic accepts.
pub const LONGEST: Duration = Duration::from_secs(3600);

pub(super) fn check_duration(field: &'static str, duration: Duration) -> Result<(), InvalidField> {
    if duration > LONGEST {
        let problem =
            format!("{} is longer than {}", humantime::format_duration(duration), humantime::format_duration(LONGEST));
        return Err(InvalidField::new(field, problem));
    }
    Ok(())
}
