//! The values of a toxic, and what can be wrong with them.

use std::fmt;
use std::time::Duration;

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

/// Longest duration that a toxic accepts.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// `5s`, `1m 30s`.
pub(super) fn time(duration: Duration) -> impl fmt::Display {
    humantime::format_duration(duration)
}

pub(in crate::link) fn check_duration(field: &'static str, duration: Duration) -> Result<(), InvalidField> {
    if duration > LONGEST {
        let problem =
            format!("{} is longer than {}", humantime::format_duration(duration), humantime::format_duration(LONGEST));
        return Err(InvalidField::new(field, problem));
    }
    Ok(())
}
