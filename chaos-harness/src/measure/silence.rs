//! How long users waited without an answer.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Sample, Window};

/// The longest time within `window` in which a route served nobody though at least one of its requests waited.
///
/// It shows a pause in which no request failed, since each was answered before its deadline in the end. Times in
/// which nothing was asked for are no silence. Zero without samples.
pub fn longest_silence(samples: &[Sample], window: Window) -> Duration {
    let routes: BTreeSet<u16> = samples.iter().map(|sample| sample.route).collect();
    let of_route = |route| samples.iter().filter(move |sample| sample.route == route).collect();
    routes.into_iter().map(|route| silence(of_route(route), window)).max().unwrap_or_default()
}

fn silence(mut samples: Vec<&Sample>, window: Window) -> Duration {
    samples.sort_by_key(|sample| sample.end);
    let (mut longest, mut waiting_since, mut answered) = (Duration::ZERO, window.to, window.to);
    // Backwards, so that the first request which waited for an answer, or for the one before it, is known.
    for sample in samples.iter().rev() {
        if sample.outcome.is_served() {
            longest = longest.max(within(window, waiting_since.max(sample.end), answered));
            answered = sample.end;
        }
        waiting_since = waiting_since.min(sample.intended);
    }
    longest.max(within(window, waiting_since, answered))
}

fn within(window: Window, from: Duration, to: Duration) -> Duration {
    to.min(window.to).saturating_sub(from.max(window.from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Outcome;
    use crate::measure::testing::{bad, good, ms};

    const ALL: Window = Window { from: Duration::ZERO, to: Duration::from_secs(10) };

    fn answered_at(sample: Sample, end: u64) -> Sample {
        Sample { end: ms(end), ..sample }
    }

    #[test]
    fn a_pause_in_which_nothing_failed_is_seen() {
        let paused = |at: u64| match at {
            3_000..5_000 => answered_at(good(at), 5_000),
            _ => good(at),
        };
        let mut samples: Vec<Sample> = (0..10_000).step_by(10).map(paused).collect();
        assert_eq!(longest_silence(&samples, ALL), ms(2_000));
        assert_eq!(longest_silence(&samples, Window::new(ms(4_000), ms(9_000))), ms(1_000));
        // The answers of another route do not hide it.
        samples.extend((5..10_000).step_by(10).map(|at| Sample { route: 1, ..good(at) }));
        assert_eq!(longest_silence(&samples, ALL), ms(2_000));
    }

    #[test]
    fn slow_answers_that_come_all_the_time_are_no_silence() {
        let samples: Vec<Sample> = (0..9_000).step_by(10).map(|at| answered_at(good(at), at + 800)).collect();
        assert_eq!(longest_silence(&samples, Window::new(ms(1_000), ms(9_000))), ms(10));
    }

    #[test]
    fn nothing_asked_for_is_no_silence() {
        assert_eq!(longest_silence(&[], ALL), Duration::ZERO);
        assert_eq!(longest_silence(&[good(0), good(5_000)], ALL), ms(1));
    }

    #[test]
    fn failures_serve_nobody() {
        let samples: Vec<Sample> =
            (0..10_000).step_by(10).map(|at| if (2_000..4_000).contains(&at) { bad(at) } else { good(at) }).collect();
        assert_eq!(longest_silence(&samples, ALL), ms(2_001));
        let unsent = Sample { end: ms(60_000), outcome: Outcome::Unsent, ..good(8_000) };
        assert_eq!(longest_silence(&[good(0), unsent], ALL), ms(2_000));
    }
}
