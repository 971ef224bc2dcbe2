//! Requests as users saw them: 100 a second from 0.7 s to 16 s, every second one to `/orders`.

use std::time::Duration;

use chaos_harness::measure::{Outcome, Sample};

/// What happens to `/orders` while inventory is in trouble; `/catalog` is always well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nothing.
    Well,
    /// Timeouts until the breaker opens, then a fallback.
    Fallback,
    /// Timeouts until inventory is back.
    Outage,
    /// As an outage, and the load ends at 6.4 s.
    CutShort,
}

pub(crate) fn of(shape: Shape) -> Vec<Sample> {
    let end = if shape == Shape::CutShort { 6_400 } else { 16_000 };
    (700..end).step_by(10).map(|at| sample(shape, at)).collect()
}

fn sample(shape: Shape, at: u64) -> Sample {
    let route = u16::from(at.is_multiple_of(20));
    let noise = (at * 7_919) % 1_000;
    let (outcome, micros) = match (route, shape, at) {
        (0, Shape::Fallback, 2_010..2_740) => (Outcome::Timeout, 1_000_000),
        (0, Shape::Fallback, 2_740..12_030) => (Outcome::Degraded(200), 3_000 + noise),
        (0, Shape::Outage | Shape::CutShort, 2_010..11_000) => (Outcome::Timeout, 1_000_000),
        (0, Shape::Outage, 11_000..12_030) => (Outcome::Status(503), 600_000 + noise * 10),
        (0, Shape::Outage, 12_030..13_440) => (Outcome::Refused, 400 + noise),
        (0, ..) => (Outcome::Good(201), 14_000 + noise * 9),
        (_, _, 2_500..2_600) => (Outcome::Good(200), 60_000 + noise * 12),
        _ => (Outcome::Good(200), 2_000 + noise * 2),
    };
    let intended = Duration::from_millis(at);
    let sent = intended + Duration::from_micros(noise / 4);
    Sample { route, intended, sent, end: intended + Duration::from_micros(micros + noise / 4), outcome }
}
