//! Limits on what an experiment may do.

mod limits;
mod radius;

pub use limits::{Limits, LimitsError};
pub use radius::BlastRadius;
