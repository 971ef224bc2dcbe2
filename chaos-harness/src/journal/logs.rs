//! Reads the lines of instances, no more of them than are ever written: a journal may be somebody else's.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::runtime::last_lines::LastLines;

pub(super) fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    let lines = BTreeMap::<String, Lines>::deserialize(deserializer)?;
    Ok(lines.into_iter().map(|(instance, Lines(lines))| (instance, lines.last(usize::MAX))).collect())
}

struct Lines(LastLines);

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kept;
        impl<'de> Visitor<'de> for Kept {
            type Value = Lines;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of lines")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut lines: A) -> Result<Lines, A::Error> {
                let mut kept = LastLines::default();
                while let Some(line) = lines.next_element::<String>()? {
                    kept.push(&line);
                }
                Ok(Lines(kept))
            }
        }
        deserializer.deserialize_seq(Kept)
    }
}
