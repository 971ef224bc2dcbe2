//! Who holds which instance off the network.

use std::collections::BTreeMap;

use crate::runtime::Hold;
use crate::topology::InstanceId;

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

    #[test]
    fn only_the_last_one_lets_an_instance_back() {
        let (mut offline, id) = (Offline::default(), InstanceId::new("a", 1));
        let (one, other) = (offline.add(&id), offline.add(&id));
        assert_eq!(offline.last_of(one), None);
        offline.remove(one);
        assert_eq!((offline.last_of(one), offline.last_of(other)), (None, Some(id)));
    }
}
