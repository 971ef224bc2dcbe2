//! Resilience tests for distributed systems, written as ordinary Rust tests.

// The macros name the crate by its path from outside; unit tests that use them need that path too.
#[cfg(test)]
#[allow(unused_extern_crates)]
extern crate self as chaos_harness;

pub mod clock;
pub mod hypothesis;
pub mod lab;
pub mod measure;
pub mod topology;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use chaos_harness_macros::{chaos_test, hypothesis, topology};
