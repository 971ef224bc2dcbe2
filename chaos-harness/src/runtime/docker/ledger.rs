//! Which limits are held on which instance: the strictest is due, and after the last one what there was before.

use std::collections::BTreeMap;

use crate::runtime::{Hold, Limit, Resource};
use crate::topology::InstanceId;

/// The limits of an environment.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    last: u64,
    entries: BTreeMap<(InstanceId, Resource), Entry>,
}

/// The limits on one resource of one instance.
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

impl Ledger {
    /// What there was before the first limit that is held; `None` when none is held.
    pub(super) fn before(&self, id: &InstanceId, resource: Resource) -> Option<Option<u64>> {
        self.entries.get(&(id.clone(), resource)).map(|entry| entry.before)
    }

    /// What is due while any limit is held; `None` when none is.
    pub(super) fn due(&self, id: &InstanceId, resource: Resource) -> Option<Option<u64>> {
        self.entries.get(&(id.clone(), resource)).map(Entry::due)
    }

    /// Holds a limit beside those that are held; `before` counts when it is the first.
    pub(super) fn add(&mut self, id: &InstanceId, limit: Limit, before: Option<u64>) -> Hold {
        self.last += 1;
        let hold = Hold(self.last);
        let key = (id.clone(), limit.resource);
        let entry = self.entries.entry(key).or_insert_with(|| Entry { before, held: BTreeMap::new() });
        entry.held.insert(hold, limit.most);
        hold
    }

    /// Whose limit it is, and on what; `None` once it is taken off.
    pub(super) fn holder(&self, hold: Hold) -> Option<(InstanceId, Resource)> {
        self.entries.iter().find(|(_, entry)| entry.held.contains_key(&hold)).map(|(key, _)| key.clone())
    }

    /// What would be due without `hold`, and whether another limit is still held then.
    pub(super) fn without(&self, hold: Hold) -> Option<(Option<u64>, bool)> {
        let mut entry = self.entries.get(&self.holder(hold)?)?.clone();
        entry.held.remove(&hold);
        Some((entry.due(), !entry.held.is_empty()))
    }

    /// Takes a limit off.
    pub(super) fn remove(&mut self, hold: Hold) {
        let Some(key) = self.holder(hold) else { return };
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.held.remove(&hold);
            if entry.held.is_empty() {
                self.entries.remove(&key);
            }
        }
    }
}

/// Which instances are held off the network.
#[derive(Debug, Default)]
pub(super) struct Offline {
    last: u64,
    held: BTreeMap<Hold, InstanceId>,
}

impl Offline {
    /// Holds an instance off beside those who do.
    pub(super) fn add(&mut self, id: &InstanceId) -> Hold {
        self.last += 1;
        self.held.insert(Hold(self.last), id.clone());
        Hold(self.last)
    }

    /// Whether anybody holds it off.
    pub(super) fn holds(&self, id: &InstanceId) -> bool {
        self.held.values().any(|held| held == id)
    }

    /// The instance that only `hold` holds off.
    pub(super) fn last_of(&self, hold: Hold) -> Option<InstanceId> {
        let id = self.held.get(&hold)?;
        let holds = self.held.values().filter(|other| *other == id).count();
        (holds == 1).then(|| id.clone())
    }

    /// Holds it no longer.
    pub(super) fn remove(&mut self, hold: Hold) {
        self.held.remove(&hold);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(most: u64) -> Limit {
        Limit { resource: Resource::Memory, most }
    }

    #[test]
    fn the_strictest_is_due_and_the_first_is_restored() {
        let (mut ledger, id) = (Ledger::default(), InstanceId::new("a", 1));
        let due = |ledger: &Ledger| ledger.due(&id, Resource::Memory);
        let loose = ledger.add(&id, memory(50), Some(100));
        let strict = ledger.add(&id, memory(20), Some(50));
        assert_eq!(due(&ledger), Some(Some(20)));
        assert_eq!(ledger.without(strict), Some((Some(50), true)));
        ledger.remove(loose);
        assert_eq!((due(&ledger), ledger.before(&id, Resource::Memory)), (Some(Some(20)), Some(Some(100))));
        assert_eq!(ledger.without(strict), Some((Some(100), false)));
        ledger.remove(strict);
        ledger.remove(strict);
        assert_eq!((due(&ledger), ledger.holder(strict)), (None, None));
    }

    #[test]
    fn a_limit_above_the_one_before_loosens_nothing() {
        let (mut ledger, id) = (Ledger::default(), InstanceId::new("a", 1));
        ledger.add(&id, memory(500), Some(100));
        assert_eq!(ledger.due(&id, Resource::Memory), Some(Some(100)));
        assert_eq!(ledger.due(&id, Resource::Cpu), None);
    }

    #[test]
    fn only_the_last_one_lets_an_instance_back() {
        let (mut offline, id) = (Offline::default(), InstanceId::new("a", 1));
        let (one, other) = (offline.add(&id), offline.add(&id));
        assert_eq!(offline.last_of(one), None);
        offline.remove(one);
        assert_eq!((offline.last_of(one), offline.last_of(other)), (None, Some(id)));
    }
}
