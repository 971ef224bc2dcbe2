//! The load that users put on a system, and what they get back.
//!
//! The generator is an open loop: the moments at which requests leave are fixed beforehand, whatever the
//! target does, and latency counts from them. In the order in which data flows:
//!
//! - [`Load`] is the plan, plain data: [`Request`]s with weights, and the [`Rate`] at which they leave.
//! - [`Schedule`] turns it into [`Slot`]s: which request leaves when; one seed decides it all.
//! - [`Generator`] sends them. A thread of its own keeps the time, a runtime of its own sends, so that nothing
//!   which the test does delays a request. [`SampleFeed`] is the live view of a [`Running`] load.
//! - [`LoadReport`] holds every [`Sample`](crate::measure::Sample), and a [`LagReport`] which says
//!   whether the generator kept up with its own schedule. If it did not, the run is void.
//! - [`probe`] reads metrics and health beside the load.
//!
//! # Connections
//!
//! Connections are kept alive and reused, and opened as needed, as a browser or a service does. Nothing is sent
//! twice and no redirect is followed: a pooled connection which dies while a request is on it is that request's
//! [`Reset`](crate::measure::Outcome::Reset). Only a request of which not a byte was written yet, because its
//! pooled connection turned out to be closed, moves to a fresh connection, as with every client; what
//! happens there is what its user sees.

mod classify;
mod client;
mod error;
mod generator;
mod lag;
mod own_runtime;
mod pacer;
mod plan;
pub mod probe;
mod prometheus;
mod rate;
mod request;
mod schedule;
mod validate;

pub(crate) use client::builder as http_client;
pub use error::LoadError;
pub use generator::{Generator, LoadReport, Running, SampleFeed};
pub use lag::{GeneratorLag, LagReport};
pub use plan::Load;
#[doc(hidden)]
pub use prometheus::fuzz_prometheus;
pub use rate::{Ramp, Rate};
pub use request::{Method, Request, Statuses};
pub use schedule::{Schedule, Slot};

#[cfg(test)]
mod tests;
