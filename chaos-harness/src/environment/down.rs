//! Which instances are held down, and by how many: one is started again when the last of them lets go.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::topology::InstanceId;

/// The instances that are held down.
#[derive(Debug, Default)]
pub(crate) struct HeldDown(Mutex<BTreeMap<InstanceId, usize>>);

impl HeldDown {
    /// Holds instances down beside those who do. This changes nothing by itself: it keeps others from starting them.
    pub(crate) fn hold<'a>(self: &Arc<Self>, ids: impl IntoIterator<Item = &'a InstanceId>) -> DownHold {
        let ids: Vec<InstanceId> = ids.into_iter().cloned().collect();
        let mut held = self.0.lock();
        for id in &ids {
            *held.entry(id.clone()).or_default() += 1;
        }
        DownHold { held: self.clone(), ids }
    }

    /// Whether anybody holds it down.
    pub(crate) fn contains(&self, id: &InstanceId) -> bool {
        self.0.lock().contains_key(id)
    }
}

/// Instances that are held down until this is let go or dropped.
#[derive(Debug)]
pub(crate) struct DownHold {
    held: Arc<HeldDown>,
    ids: Vec<InstanceId>,
}

impl DownHold {
    /// Holds them no longer; again changes nothing.
    pub(crate) fn let_go(&mut self) {
        let mut held = self.held.0.lock();
        for id in self.ids.drain(..) {
            if let Some(count) = held.get_mut(&id) {
                *count -= 1;
                if *count == 0 {
                    held.remove(&id);
                }
            }
        }
    }
}

impl Drop for DownHold {
    fn drop(&mut self) {
        self.let_go();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_to_let_go_frees_it() {
        let (held, id) = (Arc::new(HeldDown::default()), InstanceId::new("a", 1));
        let (mut one, other) = (held.hold([&id]), held.hold([&id]));
        one.let_go();
        one.let_go();
        assert!(held.contains(&id) && !held.contains(&InstanceId::new("a", 2)));
        drop(other);
        assert!(!held.contains(&id));
    }
}
