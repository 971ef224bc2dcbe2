//! Toxics: what can be wrong with a link.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | [`Toxic`], the `Kind` and `Shaper` traits, the list of kinds |
//! | `schedule.rs` | `Item`, `Schedule`, `Stage`: what a shaper gives out, and when |
//! | `shared.rs` | what the shapers of one toxic share |
//! | `field.rs` | what can be wrong with a value |
//! | `dice.rs` | which connections a toxic affects by chance, and the randomness it gets |
//! | `selection.rs` | which connections a toxic affects by their number |
//! | `profile.rs`, `timeline.rs` | when a toxic acts: as data, and its course |
//! | `mark.rs` | what toxics have done to one connection |
//! | one per kind | plain data, its validation, its names for people, what shows that it bit, its shaper |
//!
//! # Adding a kind
//!
//! 1. Write `toxic/<kind>.rs`: a struct of plain data which implements `Kind`, and its `Shaper`.
//! 2. Add one line to the list under `kinds!` below.
//!
//! The kind then has a variant in [`ToxicSpec`], a name in plans and journals (the variant in
//! `snake_case`), a JSON Schema, and goes through the checks that hold for all kinds (`tests/spec.rs`).
//! Faults on links describe and attest it without being told. A name of its own in `fault/builder.rs`
//! is a courtesy to those who write tests.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod dice;
mod field;
mod mark;
mod profile;
mod schedule;
mod selection;
mod shared;
mod timeline;

use super::CountersSnapshot;
pub(super) use dice::Dice;
pub(super) use field::check_duration;
use field::time;
pub use field::{InvalidField, LONGEST};
pub(super) use mark::{Mark, Marks};
pub use profile::Profile;
use schedule::Schedule;
pub(super) use schedule::{Cut, Item, Stage, Tally};
pub use selection::Selection;
pub(super) use shared::Shared;
pub(super) use timeline::{Ramp, Timeline};

/// Declares every kind of toxic: `file: Variant, "what it does"`, with the types that its fields need.
macro_rules! kinds {
    ($($module:ident: $kind:ident $(with $field:ident)*, $doc:literal;)+) => {
        $(mod $module; pub use $module::{$kind $(, $field)*};)+

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
    latency: Latency with Distribution, "Bytes arrive later.";
    black_hole: BlackHole, "Nothing arrives, and nothing is lost: it all arrives once the toxic is gone.";
    refuse: Refuse, "New connections are refused, live ones reset.";
    reset: Reset, "Connections are reset.";
    slow_open: SlowOpen, "The connection to the callee is made later.";
    slow_close: SlowClose, "The end of a stream, or of the connection, arrives later.";
    limit_data: LimitData with Ending, "Connections end after a number of bytes.";
    bandwidth: Bandwidth, "Bytes arrive no faster than a rate.";
    slicer: Slicer with LARGEST_SLICE, "The stream arrives in small pieces.";
    corrupt: Corrupt with Victims, "Bits of the stream are flipped.";
    half_open: HalfOpen, "One end is gone, and the other does not know.";
    connection_limit: ConnectionLimit with Excess, "Only so many connections at a time.";
    http: Http, "Chosen HTTP requests, or their responses, are aborted, delayed, broken or changed.";
}

impl ToxicSpec {
    /// The direction that people mean when they name none.
    pub(crate) fn usual(&self) -> Direction {
        self.as_kind().usual()
    }
}

/// A toxic on a link: what, which way, on which connections, and when.
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
    /// Which of the new connections it affects, by their number; if none is given, live ones and new ones alike.
    /// With a probability, that share of the ones selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Selection>,
    /// When it acts.
    #[serde(default, skip_serializing_if = "Profile::is_always")]
    pub profile: Profile,
}

fn always() -> f64 {
    1.0
}

impl Toxic {
    /// A toxic which acts both ways on every connection, for as long as it is there.
    pub fn new(spec: impl Into<ToxicSpec>) -> Self {
        Self {
            spec: spec.into(),
            direction: Direction::Both,
            probability: always(),
            connections: None,
            profile: Profile::Always,
        }
    }

    /// The same toxic, acting in `direction`.
    pub fn direction(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }

    /// The same toxic, on a share of the connections: `0.0..=1.0`.
    pub fn probability(self, probability: f64) -> Self {
        Self { probability, ..self }
    }

    /// The same toxic, on some of the new connections only.
    pub fn connections(self, selection: Selection) -> Self {
        Self { connections: Some(selection), ..self }
    }

    /// The same toxic, acting when `profile` says.
    pub fn profile(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }

    /// Whether its values make sense.
    ///
    /// # Errors
    /// Names the first field that does not, and its limits.
    pub fn validate(&self) -> Result<(), InvalidField> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(InvalidField::new("probability", format!("{} is not within 0..=1", self.probability)));
        }
        self.connections.map_or(Ok(()), Selection::validate)?;
        self.profile.validate()?;
        self.spec.as_kind().validate()
    }

    /// How often it has bitten, by what it has counted itself, and what that is: `chunks delayed`.
    pub(crate) fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str) {
        self.spec.as_kind().bites(counted)
    }

    /// Whether it refuses new connections, which a link does not count.
    pub(crate) fn refuses(&self) -> bool {
        self.spec.as_kind().refuses()
    }

    /// Whether it acts on `way`.
    pub(super) fn covers(&self, way: Way) -> bool {
        let bytes = !matches!(self.spec, ToxicSpec::Http(_));
        bytes && self.spec.as_kind().ways(self.direction).covers(way)
    }

    /// Whether it closes the listening port while it acts: refusing all, it leaves nobody to accept.
    pub(super) fn closes_port(&self) -> bool {
        self.probability >= 1.0 && self.connections.is_none() && self.refuses()
    }

    /// Whether connections that it affects do not see that the callee is down.
    pub(super) fn hides_callee(&self) -> bool {
        self.probability > 0.0 && self.spec.as_kind().hides_callee()
    }

    /// How long it takes to grow to its full size, if it grows in size.
    pub(super) fn ramp(&self) -> Option<Duration> {
        match self.profile {
            Profile::Ramp { over } if self.spec.as_kind().has_size() => Some(over),
            _ => None,
        }
    }

    /// Whether it acts on all connections alike, and all the time.
    pub(crate) fn is_unconditional(&self) -> bool {
        self.connections.is_none() && self.profile.is_always()
    }
}

/// What people call it: `25% black hole upwards`, `reset connections, every 5th, 2s of every 10s`.
impl fmt::Display for Toxic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.probability < 1.0 {
            write!(f, "{:.0}% ", self.probability * 100.0)?;
        }
        let kind = self.spec.as_kind();
        f.write_str(&kind.describe())?;
        f.write_str(match kind.ways(self.direction) {
            way if way == kind.usual() => "",
            Direction::Up => " upwards",
            Direction::Down => " downwards",
            Direction::Both => " both ways",
        })?;
        self.connections.iter().try_for_each(|selection| write!(f, ", {selection}"))?;
        if self.profile.is_always() { Ok(()) } else { write!(f, ", {}", self.profile) }
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
    pub(in crate::link) fn covers(self, way: Way) -> bool {
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
    fn shaper(&self, _birth: &Birth<'_>) -> Box<dyn Shaper> {
        Box::new(Transparent)
    }

    /// What people call it: `latency 5s`.
    fn describe(&self) -> String;

    /// How often it has bitten, as the link counts, and what was counted: `chunks delayed`.
    fn bites(&self, counted: &CountersSnapshot) -> (u64, &'static str);

    /// The direction that goes without saying.
    fn usual(&self) -> Direction {
        Direction::Both
    }

    /// The ways in which it has to act to act in `direction`.
    fn ways(&self, direction: Direction) -> Direction {
        direction
    }

    /// Whether new connections are refused.
    fn refuses(&self) -> bool {
        false
    }

    /// Whether a connection that it affects does not see that the callee is down.
    fn hides_callee(&self) -> bool {
        false
    }

    /// Whether it has a size, so that a ramp goes through [`Shaper::scale`]; of any other kind, a ramp
    /// grows the share of the connections on which it acts.
    fn has_size(&self) -> bool {
        false
    }
}

/// Where and when a shaper comes to be: as a connection opens, or as a toxic is added to a live one.
pub(super) struct Birth<'a> {
    /// The moment from which the shaper acts.
    pub(super) now: Instant,
    /// The way it acts.
    pub(super) way: Way,
    pub(super) dice: Dice,
    /// Number of the part of the toxic's profile, from 0.
    pub(super) part: u64,
    /// Whether the caller's wish to connect has passed already.
    pub(super) live: bool,
    /// What all shapers of the toxic share.
    pub(super) shared: &'a Shared,
    /// Wakes the connection, for a shaper whose deadline depends on others.
    pub(super) task: &'a Arc<AtomicWaker>,
}

impl Birth<'_> {
    /// The shaper's randomness: the same for the same seed, connection, toxic, way and part of its profile.
    pub(super) fn rng(&self) -> ChaCha8Rng {
        self.dice.way(self.way, self.part)
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
    fn expire(&mut self, _now: Instant, _schedule: &mut Schedule<'_>) {}

    /// Most that it wants to hold, in bytes: while it holds more, the sender has to wait.
    fn appetite(&self) -> usize {
        usize::MAX
    }

    /// From now on it acts at this share of its size, `0.0..=1.0`; called before [`Self::shape`] while a toxic of a
    /// kind that [has a size](Kind::has_size) is ramped.
    fn scale(&mut self, _share: f64) {}
}

/// Lets everything pass.
struct Transparent;

impl Shaper for Transparent {
    fn shape(&mut self, now: Instant, item: Item, schedule: &mut Schedule<'_>) {
        schedule.at(now, item);
    }

    fn is_opaque(&self) -> bool {
        true
    }
}
