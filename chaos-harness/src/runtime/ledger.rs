//! Which limits are held on what: the strictest is due, and after the last one what there was before.

use std::collections::BTreeMap;

use super::Hold;

/// Limits on things that are told apart by `K`.
#[derive(Debug)]
pub(crate) struct Ledger<K> {
    last: u64,
    entries: BTreeMap<K, Entry>,
}

/// The limits on one thing.
#[derive(Clone, Debug)]
struct Entry {
    before: Option<u64>,
    held: BTreeMap<Hold, u64>,
}

impl Entry {
    fn due(&self) -> Option<u64> {
        self.held.values().chain(&self.before).min().copied()
    }
}

impl<K> Default for Ledger<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Ledger<K> {
    pub(crate) const fn new() -> Self {
        Self { last: 0, entries: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Ledger<K> {
    /// What there was before the first limit that is held; `None` when none is held.
    pub(crate) fn before(&self, key: &K) -> Option<Option<u64>> {
        self.entries.get(key).map(|entry| entry.before)
    }

    /// What is due while any limit is held; `None` when none is.
    pub(crate) fn due(&self, key: &K) -> Option<Option<u64>> {
        self.entries.get(key).map(Entry::due)
    }

    /// Holds a limit beside those that are held; `before` counts when it is the first.
    pub(crate) fn add(&mut self, key: &K, most: u64, before: Option<u64>) -> Hold {
        self.last += 1;
        let hold = Hold(self.last);
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry { before, held: BTreeMap::new() });
        entry.held.insert(hold, most);
        hold
    }

    /// What is limited by it; `None` once it is taken off.
    pub(crate) fn holder(&self, hold: Hold) -> Option<K> {
        self.entries.iter().find(|(_, entry)| entry.held.contains_key(&hold)).map(|(key, _)| key.clone())
    }

    /// What would be due without `hold`, and whether another limit is still held then.
    pub(crate) fn without(&self, hold: Hold) -> Option<(Option<u64>, bool)> {
        let mut entry = self.entries.get(&self.holder(hold)?)?.clone();
        entry.held.remove(&hold);
        Some((entry.due(), !entry.held.is_empty()))
    }

    /// Takes a limit off.
    pub(crate) fn remove(&mut self, hold: Hold) {
        let Some(key) = self.holder(hold) else { return };
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.held.remove(&hold);
            if entry.held.is_empty() {
                self.entries.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_is_due_and_the_first_is_restored() {
        let mut ledger = Ledger::new();
        let loose = ledger.add(&"a", 50, Some(100));
        let strict = ledger.add(&"a", 20, Some(50));
        assert_eq!(ledger.due(&"a"), Some(Some(20)));
        assert_eq!(ledger.without(strict), Some((Some(50), true)));
        ledger.remove(loose);
        assert_eq!((ledger.due(&"a"), ledger.before(&"a")), (Some(Some(20)), Some(Some(100))));
        assert_eq!(ledger.without(strict), Some((Some(100), false)));
        ledger.remove(strict);
        ledger.remove(strict);
        assert_eq!((ledger.due(&"a"), ledger.holder(strict)), (None, None));
    }

    #[test]
    fn a_limit_above_the_one_before_loosens_nothing() {
        let mut ledger = Ledger::new();
        ledger.add(&"a", 500, Some(100));
        assert_eq!((ledger.due(&"a"), ledger.due(&"b")), (Some(Some(100)), None));
    }
}
