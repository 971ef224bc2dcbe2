//! From samples to numbers: timeline, quantiles, availability, recovery.
//!
//! Everything here is a pure function over [`Sample`]s (or over [`Reading`]s, for detection): no
//! clock, no input or output. In the order in which data flows:
//!
//! - [`sample`](Sample): one request as its user saw it; [`SampleColumns`] is its compact stored form.
//! - [`Window`] and [`of_route`] choose samples; [`Tally`] counts them into [`Rates`], [`Latencies`] into quantiles.
//! - [`Timeline`] cuts a window into buckets, for drawing.
//! - [`recovery`] and [`detection`] measure one injection; [`MeanTime`] and [`bootstrap`] sum up several (MTTR, MTTD).
//! - [`SlidingWindow`] watches a run while it lasts, for abort conditions.
//!
//! A number is never made from nothing: whatever needs samples returns [`TooFewSamples`] instead.

mod bootstrap;
mod column;
mod columns;
mod detection;
mod latency;
mod mean;
mod outage;
mod reading;
mod recovery;
mod sample;
mod silence;
mod sliding;
mod tally;
mod timeline;
mod window;

pub use bootstrap::{Interval, RESAMPLES, bootstrap};
pub use columns::{ColumnsError, SampleColumns};
pub use detection::{Detection, detection};
pub use latency::Latencies;
pub use mean::MeanTime;
pub use outage::{KEPT_OUTAGES, Outage, Outages};
pub use reading::{FailedReadings, ReadFailure, Reading, Series, Signal};
pub use recovery::{Recovery, SteadyStretch, recovery};
pub use sample::{Outcome, Sample};
pub use silence::longest_silence;
pub use sliding::SlidingWindow;
pub use tally::{FailureCount, MIN_SAMPLES, Rates, Tally, TooFewSamples};
pub use timeline::{Bucket, Timeline};
pub use window::{Window, of_route};

#[cfg(test)]
pub(crate) mod testing;
