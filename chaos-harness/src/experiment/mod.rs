//! Experiments: the plan as data, and the engine that carries it out.
//!
//! [`Experiment`] writes a [`Plan`]; `run.rs` reads top-down how it is carried out, in the steps of a
//! [`Session`]; `judge.rs` makes findings and a verdict of what was recorded.

mod addresses;
mod builder;
mod deadline;
mod dry_run;
mod error;
mod external;
mod judge;
mod log;
mod measure;
mod milestones;
mod observation;
mod plan;
mod preflight;
mod recover;
mod roll_back;
mod run;
mod script;
mod seen;
mod session;
mod spans;
mod start;
mod steady;
mod story;
mod traffic;
mod watch;

pub use addresses::Addresses;
pub use builder::Experiment;
pub(crate) use dry_run::describe;
pub use error::PlanError;
pub use plan::{Expectation, Plan, Timing};
pub use script::Session;
pub use seen::Seen;
pub use session::FaultHandle;
pub(crate) use session::Steps;
pub(crate) use steady::SteadyState;
pub use story::Story;
