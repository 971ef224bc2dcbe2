//! Limits on what an experiment may do, and the certainty that nothing of it stays.

mod allow_list;
mod clean;
pub(crate) mod guard;
pub(crate) mod halt;
mod halt_all;
mod limits;
mod radius;
pub mod undo;

pub(crate) use allow_list::AllowList;
pub use allow_list::AllowListError;
#[doc(hidden)]
pub use allow_list::fuzz_allow_list;
pub use clean::{Cleaned, clean};
pub use halt_all::{Halted, halt_all};
pub(crate) use limits::LONGEST;
pub use limits::{Limits, LimitsError};
pub use radius::BlastRadius;
#[doc(hidden)]
pub use undo::fuzz_undo_log;

pub use crate::trusted::Untrusted;
