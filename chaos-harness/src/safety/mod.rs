//! Limits on what an experiment may do, and the certainty that nothing of it stays.

#[cfg(feature = "docker")]
mod allow_list;
mod clean;
pub(crate) mod guard;
pub(crate) mod halt;
mod halt_all;
mod limits;
mod radius;
pub mod undo;

#[cfg(feature = "docker")]
pub(crate) use allow_list::AllowList;
pub use clean::{Cleaned, clean};
pub use halt_all::{Halted, halt_all};
pub use limits::{Limits, LimitsError};
pub use radius::BlastRadius;
