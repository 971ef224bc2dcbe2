//! From samples to numbers: timeline, quantiles, availability, recovery.

mod sample;

pub use sample::{Outcome, Sample};
