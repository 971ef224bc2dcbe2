//! Instances on standby: they have a place and links, and run only while their service is scaled up.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{DownHold, HeldDown};
use crate::runtime::InstanceSpec;
use crate::topology::InstanceId;

/// The spare instances of an environment.
#[derive(Debug)]
pub(super) struct Standby {
    held_down: Arc<HeldDown>,
    spares: Mutex<BTreeMap<InstanceId, Spare>>,
}

/// What a spare instance is started with, and what keeps everybody from starting it while it is on standby.
#[derive(Debug)]
struct Spare {
    spec: InstanceSpec,
    hold: Option<DownHold>,
}

impl Standby {
    /// All of them are on standby at first.
    pub(super) fn new(specs: Vec<InstanceSpec>, held_down: &Arc<HeldDown>) -> Self {
        let spare = |spec: InstanceSpec| (spec.id.clone(), Spare { hold: Some(held_down.hold([&spec.id])), spec });
        let spares = Mutex::new(specs.into_iter().map(spare).collect());
        Self { held_down: held_down.clone(), spares }
    }

    /// Whether an instance is on standby now.
    pub(super) fn contains(&self, id: &InstanceId) -> bool {
        self.spares.lock().get(id).is_some_and(|spare| spare.hold.is_some())
    }

    /// Takes a spare instance off standby; what to start it with.
    pub(super) fn take_off(&self, id: &InstanceId) -> Option<InstanceSpec> {
        let mut spares = self.spares.lock();
        let spare = spares.get_mut(id)?;
        spare.hold = None;
        Some(spare.spec.clone())
    }

    /// Puts a spare instance on standby again.
    pub(super) fn put_back(&self, id: &InstanceId) {
        if let Some(spare) = self.spares.lock().get_mut(id) {
            spare.hold.get_or_insert_with(|| self.held_down.hold([id]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Service;

    #[test]
    fn what_is_on_standby_is_held_down() {
        let (held_down, id) = (Arc::new(HeldDown::default()), InstanceId::new("a", 2));
        let service = Service::new("a").instances(2).standby(1);
        let spec = InstanceSpec { id: id.clone(), service, args: Vec::new(), env: BTreeMap::new() };
        let standby = Standby::new(vec![spec], &held_down);
        assert!(standby.contains(&id) && held_down.contains(&id));
        assert_eq!(standby.take_off(&id).map(|spec| spec.id), Some(id.clone()));
        assert!(!standby.contains(&id) && !held_down.contains(&id));
        standby.put_back(&id);
        standby.put_back(&id);
        assert!(standby.contains(&id) && held_down.contains(&id));
        assert!(standby.take_off(&InstanceId::new("a", 1)).is_none());
    }
}
