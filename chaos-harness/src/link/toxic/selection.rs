//! Which of the connections a toxic acts on, by their number.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::InvalidField;

/// Which of the new connections a toxic acts on, counted per toxic from the moment at which it was added.
///
/// Every connection that the link accepts counts, whether or not the toxic's profile lets it act at that
/// moment. Connections that were live before it was added are not new: it leaves them alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Selection {
    /// The first so many, and none after them: what a retry gets over. At least 1.
    First(u64),
    /// Each so-and-so-manieth: of `Every(3)`, the third, the sixth and so on. At least 1.
    Every(u64),
}

impl Selection {
    /// Whether it covers the new connection `number`, from 0.
    pub(in crate::link) fn covers(self, number: u64) -> bool {
        match self {
            Self::First(n) => number < n,
            Self::Every(n) => number % n == n - 1,
        }
    }

    pub(super) fn validate(self) -> Result<(), InvalidField> {
        let none = |field| Err(InvalidField::new(field, "0 selects no connection: at least 1"));
        match self {
            Self::First(0) => none("connections.first"),
            Self::Every(0) => none("connections.every"),
            Self::First(_) | Self::Every(_) => Ok(()),
        }
    }
}

/// As it stands behind a toxic: `the first 3`, `every 5th`.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::First(n) => write!(f, "the first {n}"),
            Self::Every(n) => write!(f, "every {n}{}", ending(n)),
        }
    }
}

fn ending(n: u64) -> &'static str {
    match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}
