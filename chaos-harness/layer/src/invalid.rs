//! What can be wrong with a rule, a fail point or a lease.

use std::time::Duration;

use thiserror::Error;

/// The longest duration that anything here takes.
pub(crate) const LONGEST: Duration = Duration::from_secs(3600);

/// A value that makes no sense, and the field that has it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{field}`: {problem}")]
pub struct Invalid {
    /// The name of the field, as data has it.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl Invalid {
    pub(crate) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

pub(crate) fn check_share(share: f64) -> Result<(), Invalid> {
    match (0.0..=1.0).contains(&share) {
        true => Ok(()),
        false => Err(Invalid::new("share", format!("{share} is not within 0..=1"))),
    }
}

pub(crate) fn check_duration(field: &'static str, given: Duration) -> Result<(), Invalid> {
    match (Duration::from_millis(1)..=LONGEST).contains(&given) {
        true => Ok(()),
        false => Err(Invalid::new(field, format!("{given:?} is not within 1ms..=1h"))),
    }
}

/// Whether `name` may be that of a rule or a fail point: names stand in the path of a request as they are.
///
/// # Errors
/// When it may not.
pub fn check_name(name: &str) -> Result<(), Invalid> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'));
    match starts && rest && name.len() <= 100 {
        true => Ok(()),
        false => {
            let wanted = "use 1 to 100 of A-Z a-z 0-9 - _ . :, beginning with a letter or a digit";
            Err(Invalid::new("name", format!("{name:?} is not a usable name; {wanted}")))
        }
    }
}
