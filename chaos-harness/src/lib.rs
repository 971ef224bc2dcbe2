//! Resilience tests for distributed systems, written as ordinary Rust tests.
//!
//! A test names the services, the load that users put on them, the fault, and what must hold. The harness starts
//! it all, injects, measures what a user would have seen, rolls back, judges, and leaves a journal.
//!
//! ```no_run
//! use chaos_harness::prelude::*;
//!
//! fn shop() -> Topology {
//!     topology! {
//!         shop:
//!         gateway { cargo: "shop" / "shop", args: ["gateway"], health: "/health/ready" },
//!         order { cargo: "shop" / "shop", args: ["order"], health: "/health/ready" },
//!         gateway -> order;
//!     }
//! }
//!
//! #[chaos_test]
//! async fn a_slow_order_service_does_not_take_the_shop_down(lab: Lab) -> chaos_harness::Result<Verdict> {
//!     lab.experiment(shop())
//!         .load(Load::get("gateway", "/catalog").rate(100))
//!         .inject(link("gateway", "order").latency(5.secs()).hold(10.secs()))
//!         .hypothesis(hypothesis!(availability > 95%))
//!         .hypothesis(hypothesis!(mttr < 2min))
//!         .run()
//!         .await
//! }
//! # fn main() {}
//! ```
//!
//! # The code, in the order in which data flows
//!
//! | module | holds |
//! |---|---|
//! | [`topology`](mod@topology) | services, links between them, health: plain data |
//! | [`runtime`] | where they run: containers or child processes, behind one trait |
//! | [`environment`] | a topology brought to life, every link through a proxy |
//! | [`load`] | the open-loop generator, and probes beside it |
//! | [`link`] | the link proxy and its toxics |
//! | [`fault`] | every kind of fault, one file each: inject, attest, roll back |
//! | [`measure`] | from samples to numbers: timeline, quantiles, availability, recovery |
//! | [`hypothesis`](mod@hypothesis) | claims, findings, verdicts |
//! | [`experiment`] | the plan as data, the engine, the judge |
//! | [`safety`] | limits, blast radius, abort conditions; the undo log, the guard, halting and cleaning |
//! | [`journal`] | what an experiment leaves behind: one JSON file |
//! | `toxiproxy` | the link proxy on its own, with toxiproxy's control API (feature `toxiproxy`) |
//! | [`report`] | journals in, bytes out: text, Markdown, HTML, JUnit, JSON, the gate |
//!
//! [`prelude`] is what a test imports. [`Lab`] is what a test is given: [`Lab::experiment`] for the usual course,
//! [`Lab::start`] for the single steps.

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
#[doc(hidden)]
pub mod fuzzing;
pub mod hypothesis;
mod invocation;
pub mod journal;
mod lab;
pub mod link;
pub mod load;
mod macros;
pub mod measure;
pub mod prelude;
mod progress;
mod replay;
pub mod report;
pub mod runtime;
pub mod safety;
mod shortage;
mod test_run;
pub mod topology;
#[cfg(feature = "toxiproxy")]
pub mod toxiproxy;
mod trusted;
mod variables;

pub use __private::Failure;
pub use chaos_harness_macros::chaos_test;
pub use durations::Durations;
pub use error::{Error, Result};
pub use lab::Lab;
pub use variables::VariableError;
