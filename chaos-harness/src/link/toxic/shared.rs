//! What the shapers of one toxic share, on all connections of the link.

use std::any::Any;
use std::sync::{Arc, OnceLock};

/// A place for one value, made by the first shaper that asks; a toxic that is changed starts with a new one.
#[derive(Clone, Default)]
pub(in crate::link) struct Shared(Arc<OnceLock<Arc<dyn Any + Send + Sync>>>);

impl Shared {
    /// The value; `make` makes the first.
    pub(super) fn get<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let value = self.0.get_or_init(|| Arc::new(make()));
        Arc::clone(value).downcast().expect("all shapers of a toxic share one type")
    }
}

/// Whether it is the same place.
impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
