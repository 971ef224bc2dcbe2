//! Time to detect one injection, from what a side probe read.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Reading, Signal, Window};

/// Whether and when an injection was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detection {
    /// The signal came.
    Detected {
        /// The injection.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        injected: Duration,
        /// When the first reading that shows the signal was known.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        detected: Duration,
    },
    /// The signal was there before the injection already, so that it says nothing about it.
    AlreadyShown,
    /// No reading could be taken before the injection, so that the signal may have been there already.
    NotReadBefore,
    /// No reading could be taken after the injection.
    NotRead,
    /// The signal did not come while it was watched: unbounded.
    NotDetected {
        /// End of the watch.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        observed_until: Duration,
    },
}

impl Detection {
    /// Time from the injection to its detection.
    pub fn time(&self) -> Option<Duration> {
        match self {
            Self::Detected { injected, detected } => Some(detected.saturating_sub(*injected)),
            _ => None,
        }
    }
}

/// Measures the detection of the injection at `watch.from`, watched until `watch.to`.
pub fn detection(readings: &[Reading], signal: Signal, watch: Window) -> Detection {
    let with_value = || readings.iter().filter(|reading| reading.value.is_some());
    if !with_value().any(|reading| watch.contains(reading.known)) {
        return Detection::NotRead;
    }
    match with_value().rfind(|reading| reading.known < watch.from) {
        None => return Detection::NotReadBefore,
        Some(before) if signal.is_shown_by(before) => return Detection::AlreadyShown,
        Some(_) => {}
    }
    let shown = readings.iter().filter(|reading| watch.contains(reading.known) && signal.is_shown_by(reading));
    match shown.map(|reading| reading.known).min() {
        Some(detected) => Detection::Detected { injected: watch.from, detected },
        None => Detection::NotDetected { observed_until: watch.to },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::ms;

    fn series(values: &[Option<f64>]) -> Vec<Reading> {
        let reading = |(at, value): (usize, &Option<f64>)| {
            let at = ms(at as u64 * 100);
            Reading { at, known: at + ms(2), value: *value }
        };
        values.iter().enumerate().map(reading).collect()
    }

    const WATCH: Window = Window { from: Duration::from_millis(150), to: Duration::from_millis(1_000) };

    #[test]
    fn from_the_injection_to_the_first_signal() {
        let readings = series(&[Some(0.0), Some(0.0), None, Some(1.0), Some(2.0), Some(2.0)]);
        let detection = detection(&readings, Signal::AtLeast(2.0), WATCH);
        assert_eq!(detection.time(), Some(ms(252)));
    }

    #[test]
    fn a_failed_reading_is_no_signal() {
        let readings = series(&[Some(1.0), Some(1.0), Some(1.0), None]);
        let expected = Detection::NotDetected { observed_until: ms(1_000) };
        assert_eq!(detection(&readings, Signal::Below(1.0), WATCH), expected);
    }

    #[test]
    fn what_was_not_read_is_neither_noticed_nor_missed() {
        let signal = Signal::AtLeast(2.0);
        assert_eq!(detection(&[], signal, WATCH), Detection::NotRead);
        assert_eq!(detection(&series(&[Some(0.0), Some(0.0), None, None]), signal, WATCH), Detection::NotRead);
        assert_eq!(detection(&series(&[None, None, Some(2.0)]), signal, WATCH), Detection::NotReadBefore);
    }

    #[test]
    fn a_signal_from_before_says_nothing() {
        let readings = series(&[Some(0.0), Some(2.0), Some(2.0)]);
        assert_eq!(detection(&readings, Signal::AtLeast(2.0), WATCH), Detection::AlreadyShown);
        let readings = series(&[Some(2.0), Some(0.0), Some(2.0)]);
        assert_eq!(detection(&readings, Signal::AtLeast(2.0), WATCH).time(), Some(ms(52)));
    }
}
