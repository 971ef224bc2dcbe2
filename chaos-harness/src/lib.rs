//! Resilience tests for distributed systems, written as ordinary Rust tests.

// The macros name the crate by its path from outside; unit tests that use them need that path too.
#[cfg(test)]
#[allow(unused_extern_crates)]
extern crate self as chaos_harness;

#[doc(hidden)]
pub mod __private;
pub mod clock;
mod durations;
pub mod environment;
mod error;
pub mod experiment;
pub mod fault;
pub mod folders;
pub mod hypothesis;
pub mod journal;
mod lab;
pub mod link;
pub mod load;
pub mod measure;
pub mod prelude;
mod progress;
pub mod runtime;
pub mod safety;
mod test_run;
pub mod topology;

pub use chaos_harness_macros::{chaos_test, hypothesis, topology};
pub use durations::Durations;
pub use error::{Error, Result};
pub use lab::Lab;
