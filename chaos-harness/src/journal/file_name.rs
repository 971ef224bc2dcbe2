//! Names as names of files: readable, and no two names become one.
//!
//! Letters and digits of any script, `-` and `_` stay, `::` becomes `+`, and everything else its bytes as `%` and two
//! digits. That leaves `.` to separate names, and holds nothing that a file system or an archive of GitHub refuses.

use std::fmt::Write as _;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::{Journal, TestRef};

/// The longest name that file systems take, in bytes.
pub(super) const LONGEST: usize = 255;
/// Of the digest that ends a name which was too long, in bytes.
const DIGEST: usize = 16;

/// How much of a file's name is left to the experiment's, and how much to that of its run, in bytes.
const LONGEST_NAME: usize = 150;
const LONGEST_RUN: usize = 70;

impl Journal {
    /// The folder of its file within a folder of journals: that of its run.
    pub fn folder(&self) -> PathBuf {
        self.test_run.as_ref().map(|run| PathBuf::from(run.folder())).unwrap_or_default()
    }

    /// The name of its file, unique to this run of the experiment.
    pub fn file_name(&self) -> String {
        format!("{}.json", self.file_stem())
    }

    /// The name of its file while it runs.
    pub fn partial_file_name(&self) -> String {
        format!("{}.partial", self.file_stem())
    }

    /// Readable, and different for any two experiments, runtimes, attempts and runs.
    fn file_stem(&self) -> String {
        let TestRef { package, target, test, .. } = &self.test;
        let mut names = vec![package.as_str(), target];
        // Where a test runs several, their names begin with its own.
        if test != self.name() {
            names.push(test);
        }
        names.push(self.name());
        let names: Vec<String> = names.into_iter().map(encode).collect();
        let name = bounded(names.join("."), LONGEST_NAME);
        let run = bounded(encode(&self.run), LONGEST_RUN);
        let attempt = self.test_run.as_ref().map_or(1, |run| run.attempt);
        let attempt = if attempt == 1 { String::new() } else { format!("-{attempt}") };
        format!("{name}.{}{attempt}.{run}", self.runtime.kind)
    }
}

/// `name` as a part of the name of a file; [`decode`] makes it a name again.
pub(super) fn encode(name: &str) -> String {
    let part = |part: &str| part.chars().map(encode_char).collect::<String>();
    name.split("::").map(part).collect::<Vec<_>>().join("+")
}

fn encode_char(c: char) -> String {
    if c.is_alphanumeric() || c == '-' || c == '_' {
        return c.to_string();
    }
    c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The name of which `encoded` was made.
pub(super) fn decode(encoded: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = encoded.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let number = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match number.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
                continue;
            }
            None if first == b'+' => bytes.extend(b"::"),
            None => bytes.push(first),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `encoded` in at most `limit` bytes: one that is longer ends in `~` and a digest of it all, so that it stays unlike any
/// other.
pub(super) fn bounded(encoded: String, limit: usize) -> String {
    if encoded.len() <= limit {
        return encoded;
    }
    let kept = encoded.floor_char_boundary(limit.saturating_sub(DIGEST + 1));
    let digest = Sha256::digest(&encoded);
    let mut name = format!("{}~", &encoded[..kept]);
    for byte in &digest[..DIGEST / 2] {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// What artifacts of GitHub may not have in a name, and what means something to a shell, a pattern or a file system.
    const REFUSED: &[char] =
        &['"', ':', '<', '>', '|', '*', '?', '\r', '\n', '\\', '/', ' ', '\0', '.', '~', '\'', '$'];

    #[test]
    fn names_stay_readable() {
        for (name, encoded) in [
            ("slow_inventory", "slow_inventory"),
            ("tests::of::it", "tests+of+it"),
            ("a b", "a%20b"),
            ("a/b", "a%2Fb"),
            ("a.b", "a%2Eb"),
            ("größe-заказ-注文", "größe-заказ-注文"),
            ("x.partial", "x%2Epartial"),
            ("..", "%2E%2E"),
            ("a+b", "a%2Bb"),
            ("a:::b", "a+%3Ab"),
            ("\u{202e}gpj", "%E2%80%AEgpj"),
        ] {
            assert_eq!(encode(name), encoded);
            assert_eq!(decode(encoded), name);
        }
    }

    #[test]
    fn a_long_name_is_cut_and_stays_unlike_others() {
        let long = |end: &str| bounded(encode(&("ж".repeat(300) + end)), 150);
        assert_eq!(HashSet::from([long("a"), long("b"), long("")]).len(), 3);
        assert!([long("a"), long("b")].iter().all(|name| name.len() <= 150 && name.starts_with("жж")), "{}", long("a"));
        assert_eq!(bounded("short".to_owned(), 150), "short");
    }

    fn names() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[ab.: /%+~_é注\u{301}-]{0,6}"]
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in names()) {
            let encoded = encode(&name);
            prop_assert!(!encoded.contains(REFUSED), "{}", encoded);
            prop_assert_eq!(decode(&encoded), name);
        }
    }
}
