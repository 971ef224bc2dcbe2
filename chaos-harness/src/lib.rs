//! Resilience tests for distributed systems, written as ordinary Rust tests.

pub mod clock;
pub mod hypothesis;
pub mod measure;
pub mod topology;
