//! When a toxic acts: data.

use std::fmt;
use std::time::Duration;

use humantime::format_duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InvalidField, check_duration};

/// Shortest part of a profile; links keep time to about a millisecond.
const SHORTEST: Duration = Duration::from_millis(1);

/// When a toxic acts, counted from the moment at which it was added to the link: one clock for all its connections.
///
/// As a window begins the toxic acts as if it were added then, on the same connections each time; as the
/// window ends, what it held moves on, as if it were removed. Updating a toxic does not set its clock back.
///
/// In serialised form `"always"`, or one key: `{"square": {"period": "10s", "on": "2s"}}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Profile {
    /// For as long as it is there.
    #[default]
    Always,
    /// Grows steadily from nothing to all of it. A toxic that delays grows in size;
    /// of any other the share of the connections grows on which it acts: those that it has stay with it.
    Ramp {
        /// How long it grows, at most one hour.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        over: Duration,
    },
    /// Once.
    Pulse {
        /// How long it waits first, at most one hour.
        #[serde(default, with = "humantime_serde")]
        #[schemars(with = "String")]
        after: Duration,
        /// How long it then acts, 1 ms to one hour.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        lasts: Duration,
    },
    /// Over and over, beginning at once.
    Square {
        /// From one beginning to the next, at most one hour.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        period: Duration,
        /// How long it acts in each, 1 ms to 1 ms less than the period.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        on: Duration,
    },
    /// Over and over, beginning at once, for times that the link's seed draws.
    Windows {
        /// How long it acts on average, 1 ms to one hour.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        on: Duration,
        /// How long it then does not on average, 1 ms to one hour.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        off: Duration,
        /// How much each time may differ from its average, as a share of it, evenly spread: `0.0..=1.0`.
        #[serde(default = "half")]
        jitter: f64,
    },
}

fn half() -> f64 {
    0.5
}

impl Profile {
    /// [`Profile::Windows`] which last half to one and a half times their averages.
    pub fn windows(on: Duration, off: Duration) -> Self {
        Self::Windows { on, off, jitter: half() }
    }

    pub(in crate::link) fn is_always(&self) -> bool {
        *self == Self::Always
    }

    pub(super) fn validate(&self) -> Result<(), InvalidField> {
        match *self {
            Self::Always => Ok(()),
            Self::Ramp { over } => check_part("profile.over", over),
            Self::Pulse { after, lasts } => {
                check_duration("profile.after", after)?;
                check_part("profile.lasts", lasts)
            }
            Self::Square { period, on } => {
                check_part("profile.period", period)?;
                check_part("profile.on", on)?;
                if on + SHORTEST > period {
                    let (on, period) = (format_duration(on), format_duration(period));
                    let problem =
                        format!("{on} leaves less than 1ms of the period of {period}: for all of it use `always`");
                    return Err(InvalidField::new("profile.on", problem));
                }
                Ok(())
            }
            Self::Windows { on, off, jitter } => {
                check_part("profile.on", on)?;
                check_part("profile.off", off)?;
                if !(0.0..=1.0).contains(&jitter) {
                    return Err(InvalidField::new("profile.jitter", format!("{jitter} is not within 0..=1")));
                }
                Ok(())
            }
        }
    }
}

fn check_part(field: &'static str, duration: Duration) -> Result<(), InvalidField> {
    if duration < SHORTEST {
        let problem = format!("{} is shorter than {}", format_duration(duration), format_duration(SHORTEST));
        return Err(InvalidField::new(field, problem));
    }
    check_duration(field, duration)
}

/// As it stands behind a toxic: `ramped over 10s`, `2s of every 10s`; nothing for [`Profile::Always`].
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |duration: &Duration| format_duration(*duration);
        match self {
            Self::Always => Ok(()),
            Self::Ramp { over } => write!(f, "ramped over {}", time(over)),
            Self::Pulse { after, lasts } if after.is_zero() => write!(f, "for {}", time(lasts)),
            Self::Pulse { after, lasts } => write!(f, "after {} for {}", time(after), time(lasts)),
            Self::Square { period, on } => write!(f, "{} of every {}", time(on), time(period)),
            Self::Windows { on, off, jitter } if *jitter == 0.0 => write!(f, "{} on, {} off", time(on), time(off)),
            Self::Windows { on, off, .. } => write!(f, "about {} on, {} off", time(on), time(off)),
        }
    }
}
