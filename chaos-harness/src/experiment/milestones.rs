//! The decomposition of one injection's time.

use std::time::Duration;

use crate::journal::{Event, InjectionRecord, Milestones, What};
use crate::measure::{Detection, Recovery, Sample, Window};
use crate::runtime::State;

/// Inject, first bad, detected, degraded, healed, steady: from the first bad request to the end of the last outage
/// is the time to recover; the others are first moments within `watch`.
pub(super) fn of(record: &InjectionRecord, watch: Window, samples: &[Sample], events: &[Event]) -> Milestones {
    let first = |wanted: fn(&Sample) -> bool| {
        let seen = samples.iter().filter(|sample| sample.end >= watch.from && sample.intended < watch.to);
        seen.filter(|sample| wanted(sample)).map(|sample| sample.intended.max(watch.from)).min()
    };
    Milestones {
        first_bad: record.recovery.and_then(|recovery| match recovery {
            Recovery::Recovered { first_bad, .. } | Recovery::NotRecovered { first_bad, .. } => Some(first_bad),
            _ => None,
        }),
        degraded: first(|sample| sample.outcome.is_degraded()),
        detected: record.detection.and_then(|detection| match detection {
            Detection::Detected { detected, .. } => Some(detected),
            _ => None,
        }),
        healed: came_back(watch, events).or(record.rolled_back),
        steady: record.recovery.and_then(|recovery| match recovery {
            Recovery::Recovered { steady, .. } => Some(steady),
            _ => None,
        }),
    }
}

/// When an instance that had ended ran again by itself.
fn came_back(watch: Window, events: &[Event]) -> Option<Duration> {
    let within = events.iter().filter(|event| watch.contains(Duration::from_micros(event.at_us)));
    let back = within.filter_map(|event| match &event.what {
        What::Instance { state: State::Running, restarts, .. } if *restarts > 0 => Some(event.at_us),
        _ => None,
    });
    back.max().map(Duration::from_micros)
}
