//! Resilience tests for distributed systems, written as ordinary Rust tests.

pub mod clock;
pub mod environment;
pub mod experiment;
pub mod fault;
pub mod folders;
pub mod hypothesis;
pub mod journal;
pub mod link;
pub mod load;
pub mod measure;
pub mod report;
pub mod runtime;
pub mod safety;
pub mod topology;
