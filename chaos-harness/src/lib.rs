//! Resilience tests for distributed systems, written as ordinary Rust tests.

pub mod clock;
pub mod folders;
pub mod hypothesis;
pub mod measure;
pub mod runtime;
pub mod topology;
