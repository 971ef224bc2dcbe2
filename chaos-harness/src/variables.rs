//! The environment variables of the harness: what they hold is understood or refused, and never passed over.
//!
//! | variable | takes |
//! |---|---|
//! | `CHAOS_ALLOW_FILE`, `CHAOS_DIR` | a path |
//! | `CHAOS_DRY_RUN`, `CHAOS_NETWORK_HELPER` | `1` or `true`, `0` or `false` |
//! | `CHAOS_NETWORK_HELPER_IMAGE`, `CHAOS_RUN`, `CHAOS_RUNTIME` | a name |
//! | `CHAOS_SEED` | a whole number below 2^64 |
//! | `CHAOS_GUARD_OF` | set by the harness for its guard alone |
//! | `CHAOS_HARNESS_ENVIRONMENT`, `CHAOS_HARNESS_OWNER` | set by the harness for what it starts |
//! | `CHAOS_CONTROL_LISTEN`, `CHAOS_INSTANCE_DIR` | set by the harness for services |
//!
//! An empty one counts as not set, but for `CHAOS_GUARD_OF`.

use std::ffi::OsString;

use thiserror::Error;

use crate::runtime::{MARK_OF_OWNER, is_owner_alive};

/// A variable of the environment that holds what it cannot.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VariableError {
    /// It is not UTF-8.
    #[error("{name} is `{value}`, which is no UTF-8 text; set it to something else, or unset it")]
    NotText {
        /// The variable.
        name: &'static str,
        /// What it holds, as far as it can be shown.
        value: String,
    },
    /// It says neither yes nor no.
    #[error("{name} is `{value}`; set it to 1 or true, to 0 or false, or unset it")]
    NotYesOrNo {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
    },
    /// It is no whole number.
    #[error("{name} is `{value}`, which is no number from 0 to 2^64 - 1; set it to one, or unset it")]
    NotANumber {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
    },
    /// It marks this process as one that is to be taken away.
    #[error(
        "{name} is `{value}`: whoever sweeps would take this process for one that a dead test has left; unset {name}"
    )]
    MarksALeftover {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
    },
}

/// Checks all of them, so that none is found wrong in the middle of an experiment, or never.
pub(crate) fn check() -> Result<(), VariableError> {
    flag("CHAOS_DRY_RUN")?;
    flag("CHAOS_NETWORK_HELPER")?;
    number("CHAOS_SEED")?;
    for name in ["CHAOS_NETWORK_HELPER_IMAGE", "CHAOS_RUN", "CHAOS_RUNTIME"] {
        text(name)?;
    }
    check_mark(text(MARK_OF_OWNER)?)
}

/// The text in a variable, unless that is empty or not set.
pub(crate) fn text(name: &'static str) -> Result<Option<String>, VariableError> {
    text_of(name, std::env::var_os(name))
}

/// Whether a variable says yes; no where it is not set.
pub(crate) fn flag(name: &'static str) -> Result<bool, VariableError> {
    flag_of(name, std::env::var_os(name))
}

/// The number in a variable.
pub(crate) fn number(name: &'static str) -> Result<Option<u64>, VariableError> {
    number_of(name, std::env::var_os(name))
}

fn text_of(name: &'static str, value: Option<OsString>) -> Result<Option<String>, VariableError> {
    let refused = |value: OsString| VariableError::NotText { name, value: value.to_string_lossy().into_owned() };
    value.filter(|value| !value.is_empty()).map(|value| value.into_string().map_err(refused)).transpose()
}

fn flag_of(name: &'static str, value: Option<OsString>) -> Result<bool, VariableError> {
    match text_of(name, value)?.as_deref() {
        Some("1" | "true") => Ok(true),
        None | Some("0" | "false") => Ok(false),
        Some(value) => Err(VariableError::NotYesOrNo { name, value: value.to_owned() }),
    }
}

fn number_of(name: &'static str, value: Option<OsString>) -> Result<Option<u64>, VariableError> {
    let read = |text: String| text.parse().map_err(|_| VariableError::NotANumber { name, value: text });
    text_of(name, value)?.map(read).transpose()
}

/// A test within a live one's environment is fine; it goes with that.
fn check_mark(owner: Option<String>) -> Result<(), VariableError> {
    match owner.filter(|owner| !is_owner_alive(owner)) {
        Some(value) => Err(VariableError::MarksALeftover { name: MARK_OF_OWNER, value }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::ffi::OsStringExt;
    use std::path::Path;

    use super::*;
    use crate::runtime::owner_of_this_process;

    const NAME: &str = "CHAOS_DRY_RUN";

    fn os(text: &str) -> Option<OsString> {
        Some(text.into())
    }

    #[test]
    fn yes_and_no_are_understood_and_nothing_else() {
        for (value, says) in [
            (None, false),
            (os(""), false),
            (os("0"), false),
            (os("false"), false),
            (os("1"), true),
            (os("true"), true),
        ] {
            assert_eq!(flag_of(NAME, value.clone()), Ok(says), "{value:?}");
        }
        for value in ["2", "yes", "no", "TRUE", "True", " 1", "1 ", "on", "-1", "truе"] {
            let refused = flag_of(NAME, os(value)).unwrap_err();
            assert_eq!(refused, VariableError::NotYesOrNo { name: NAME, value: value.to_owned() });
            assert!(refused.to_string().contains(NAME), "{refused}");
        }
    }

    #[test]
    fn numbers_are_whole_and_have_64_bits() {
        assert_eq!(number_of(NAME, os("18446744073709551615")), Ok(Some(u64::MAX)));
        assert_eq!(number_of(NAME, os("")), Ok(None));
        for value in ["-1", "1.0", "0x1", "18446744073709551616", "1 ", "one"] {
            let refused = Err(VariableError::NotANumber { name: NAME, value: value.to_owned() });
            assert_eq!(number_of(NAME, os(value)), refused);
        }
    }

    #[test]
    fn what_is_no_text_is_refused_by_all() {
        let bytes = || Some(OsString::from_vec(vec![b'1', 0xff]));
        let refused = VariableError::NotText { name: NAME, value: "1\u{fffd}".to_owned() };
        assert_eq!(text_of(NAME, bytes()), Err(refused.clone()));
        assert_eq!(flag_of(NAME, bytes()), Err(refused.clone()));
        assert_eq!(number_of(NAME, bytes()), Err(refused));
    }

    #[test]
    fn only_a_live_test_may_mark_this_process() {
        assert_eq!(check_mark(None), Ok(()));
        assert_eq!(check_mark(Some(owner_of_this_process())), Ok(()));
        let gone = owner_of_this_process().replacen('/', "/1", 1);
        for owner in [gone, "x".to_owned()] {
            assert!(matches!(check_mark(Some(owner)), Err(VariableError::MarksALeftover { .. })));
        }
    }

    /// A new variable gets a line in the table above, and a place in [`check`].
    #[test]
    fn all_of_them_are_in_the_table() {
        let mut used = BTreeSet::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut used);
        let table: String = include_str!("variables.rs").lines().filter(|line| line.starts_with("//! | `")).collect();
        let missing: Vec<_> = used.iter().filter(|name| !table.contains(&format!("`{name}`"))).collect();
        assert!(used.len() > 10 && missing.is_empty(), "{missing:?} of {used:?}");
    }

    /// The names of variables in string literals.
    fn collect(path: &Path, names: &mut BTreeSet<String>) {
        if path.is_dir() {
            std::fs::read_dir(path).unwrap().for_each(|entry| collect(&entry.unwrap().path(), names));
            return;
        }
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let is_of_name = |letter: char| letter.is_ascii_uppercase() || letter == '_';
        for piece in text.split('"').filter(|piece| piece.starts_with("CHAOS_")) {
            if piece != "CHAOS_" && piece.chars().all(is_of_name) {
                names.insert(piece.to_owned());
            }
        }
    }
}
