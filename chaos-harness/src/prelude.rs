//! What a chaos test usually needs: `use chaos_harness::prelude::*;`

pub use crate::fault::{Injection, link, network, partition, target, targets};
pub use crate::hypothesis::{Hypothesis, Verdict};
pub use crate::load::probe::Probe;
pub use crate::load::{Load, Request};
pub use crate::safety::BlastRadius;
pub use crate::topology::{Protocol, Service, Topology, USERS};
pub use crate::{Durations, Lab, chaos_test, hypothesis, partition, topology};
