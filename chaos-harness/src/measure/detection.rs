//! Time to detect one injection, from what a side probe read.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Window;

/// One value read by a side probe. Moments count from the origin of the experiment's clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// When it was asked for.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub at: Duration,
    /// When the answer was there, or was given up.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub known: Duration,
    /// The value; `None` when it could not be read, which never counts as detection.
    pub value: Option<f64>,
}

/// What one probe read, in the order in which it asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// The probe's name.
    pub name: String,
    /// What it read.
    pub readings: Vec<Reading>,
    /// Why the last reading that failed did so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Which values mean that the system has noticed a fault.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// This value or more.
    AtLeast(f64),
    /// Less than this value.
    Below(f64),
}

impl Signal {
    /// Whether `reading` shows the signal; a failed reading does not.
    pub fn is_shown_by(self, reading: &Reading) -> bool {
        reading.value.is_some_and(|value| match self {
            Self::AtLeast(bound) => value >= bound,
            Self::Below(bound) => value < bound,
        })
    }
}

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
            Self::AlreadyShown | Self::NotDetected { .. } => None,
        }
    }
}

/// Measures the detection of the injection at `watch.from`, watched until `watch.to`.
pub fn detection(readings: &[Reading], signal: Signal, watch: Window) -> Detection {
    let read_before = readings.iter().rfind(|reading| reading.known < watch.from && reading.value.is_some());
    if read_before.is_some_and(|reading| signal.is_shown_by(reading)) {
        return Detection::AlreadyShown;
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
        let readings = series(&[Some(1.0), Some(1.0), None, None]);
        let expected = Detection::NotDetected { observed_until: ms(1_000) };
        assert_eq!(detection(&readings, Signal::Below(1.0), WATCH), expected);
    }

    #[test]
    fn a_signal_from_before_says_nothing() {
        let readings = series(&[Some(0.0), Some(2.0), Some(2.0)]);
        assert_eq!(detection(&readings, Signal::AtLeast(2.0), WATCH), Detection::AlreadyShown);
        let readings = series(&[Some(2.0), Some(0.0), Some(2.0)]);
        assert_eq!(detection(&readings, Signal::AtLeast(2.0), WATCH).time(), Some(ms(52)));
    }
}
