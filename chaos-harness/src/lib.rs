//! Resilience tests for distributed systems, written as ordinary Rust tests.

pub mod clock;
pub mod link;
pub mod measure;
