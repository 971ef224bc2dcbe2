//! Experiments: the plan as data, and the engine that carries it out.

mod error;
mod plan;
mod story;

pub use error::PlanError;
pub use plan::{Expectation, Plan, Timing};
pub use story::Story;
