//! Limits on what an experiment may do, and the certainty that nothing of it stays.

pub(crate) mod guard;
mod limits;
mod radius;
pub mod undo;

pub use limits::{Limits, LimitsError};
pub use radius::BlastRadius;
