//! How a test writes a fault: `link("order", "inventory").latency(5.secs())`, `target("inventory").kill()`.

use std::time::Duration;

use super::{Injection, Kill, LinkFault, Pause, Stop};
use crate::link::{Direction, Toxic, ToxicSpec};

/// The link from `caller` to `callee`, to apply a fault to.
pub fn link(caller: impl Into<String>, callee: impl Into<String>) -> LinkRef {
    LinkRef { caller: caller.into(), callee: callee.into(), direction: Direction::Both, probability: 1.0 }
}

/// The service `name`, to apply a fault to; all of its instances unless [`instance`](TargetRef::instance) picks one.
pub fn target(name: impl Into<String>) -> TargetRef {
    TargetRef { service: name.into(), ordinal: None }
}

/// A link to apply a fault to; see [`link`].
#[derive(Clone, Debug)]
#[must_use = "a link by itself does nothing; name a fault, such as `.latency(...)`"]
pub struct LinkRef {
    caller: String,
    callee: String,
    direction: Direction,
    probability: f64,
}
