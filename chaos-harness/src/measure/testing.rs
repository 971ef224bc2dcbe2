//! Samples for tests.

use std::time::Duration;

use proptest::prelude::*;

use super::{Outcome, Sample};

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A sample that is intended at `at` ms and takes 1 ms.
pub(crate) fn sample(at: u64, outcome: Outcome) -> Sample {
    Sample { route: 0, intended: ms(at), sent: ms(at), end: ms(at + 1), outcome }
}

pub(crate) fn good(at: u64) -> Sample {
    sample(at, Outcome::Good(200))
}

pub(crate) fn bad(at: u64) -> Sample {
    sample(at, Outcome::Refused)
}

pub(crate) fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (100..600u16).prop_map(Outcome::Good),
        (100..600u16).prop_map(Outcome::Degraded),
        (100..600u16).prop_map(Outcome::Status),
        Just(Outcome::Timeout),
        Just(Outcome::Refused),
        Just(Outcome::Reset),
        Just(Outcome::Truncated),
        Just(Outcome::Unreachable),
        Just(Outcome::Protocol),
        Just(Outcome::Unsent),
        Just(Outcome::CutOff),
    ]
}

/// Any sample that a generator can produce, to the microsecond.
pub(crate) fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let one = (0..4u16, 0..3_600_000_000u64, 0..50_000u64, 0..60_000_000u64, outcomes()).prop_map(
        |(route, intended, lag, latency, outcome)| Sample {
            route,
            intended: Duration::from_micros(intended),
            sent: Duration::from_micros(intended + lag),
            end: Duration::from_micros(intended + latency),
            outcome,
        },
    );
    prop::collection::vec(one, 0..200)
}
