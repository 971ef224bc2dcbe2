//! Claims about a system under a fault, and the verdict on them.
//!
//! `hypothesis!` writes a [`Hypothesis`] as people say it; it expands to the constructors here.

mod claim;
mod display;
mod finding;
mod verdict;

pub use claim::{Comparison, Hypothesis, HypothesisError, Measure, Scope, Threshold};
pub use finding::{Finding, Measured, Unmeasured};
pub use verdict::{Aborted, Evidence, ExternalChange, Inconclusive, Verdict};
