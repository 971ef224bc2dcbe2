//! Resilience tests for distributed systems, written as ordinary Rust tests.

pub mod clock;
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
mod progress;
pub mod runtime;
pub mod safety;
pub mod topology;

pub use error::{Error, Result};
pub use lab::Lab;
