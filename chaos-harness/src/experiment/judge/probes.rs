//! What the probes say about a claim: their readings, and the detection of faults.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Evidence, value};
use crate::hypothesis::{Measured, Threshold, Unmeasured};
use crate::journal::InjectionRecord;
use crate::measure::{Detection, MeanTime, Reading, Series, Window};

impl Evidence<'_> {
    fn series(&self, probe: &str) -> Option<&Series> {
        self.probes.iter().find(|series| series.name == probe)
    }

    /// What a probe read in any of the windows, with or without a value.
    pub(super) fn readings<'s>(&'s self, windows: &'s [Window], probe: &str) -> impl Iterator<Item = &'s Reading> {
        let within = |reading: &&Reading| windows.iter().any(|window| window.contains(reading.at));
        self.series(probe).into_iter().flat_map(move |series| series.readings.iter().filter(within))
    }

    /// One of the values that a probe read in the windows, or why it read none.
    pub(super) fn reading(
        &self,
        windows: &[Window],
        probe: &str,
        pick: impl Fn(&mut dyn Iterator<Item = f64>) -> Option<f64>,
    ) -> Measured {
        let values: Vec<f64> = self.readings(windows, probe).filter_map(|reading| reading.value).collect();
        match pick(&mut values.iter().copied()) {
            Some(number) => value(Threshold::Number(number), values.len() as u64),
            None => Measured::Nothing { reason: self.unread(windows, probe) },
        }
    }

    /// Why there is no value in any of the windows.
    fn unread(&self, windows: &[Window], probe: &str) -> Unmeasured {
        let due = self.readings(windows, probe).count() as u64;
        let failure = |window: &Window| self.series(probe)?.last_failure(*window).cloned();
        match windows.iter().rev().find_map(failure) {
            Some(why) if due > 0 => Unmeasured::NotRead { due, why },
            _ => Unmeasured::NoReadingDue,
        }
    }

    /// The mean time to detect. Of several injections at a time, the first one hides when the others are noticed; but in
    /// each repetition at least one detection must have been observed.
    pub(super) fn mttd(&self) -> Measured {
        let Some(probe) = self.plan.probes.iter().find(|probe| probe.detects.is_some()) else {
            return Measured::Nothing { reason: Unmeasured::NotReached };
        };
        let mut repetitions: BTreeMap<u32, Vec<(&InjectionRecord, Detection)>> = BTreeMap::new();
        for made in self.injections {
            let Some(detection) = made.detection else {
                return Measured::Nothing { reason: Unmeasured::NotReached };
            };
            repetitions.entry(made.repetition).or_default().push((made, detection));
        }
        let all = || repetitions.values().flatten();
        let detections: Vec<Detection> = all().map(|(_, detection)| *detection).collect();
        if let Some((made, _)) = all().find(|(_, detection)| matches!(detection, Detection::NotDetected { .. })) {
            return self.not_shown(&probe.name, made);
        }
        let unobserved = |of: &&Vec<(&InjectionRecord, Detection)>| of.iter().all(|(_, found)| found.time().is_none());
        if let Some((made, detection)) = repetitions.values().find(unobserved).and_then(|of| of.first()) {
            return Measured::Nothing { reason: self.undetected(&probe.name, made, *detection) };
        }
        let times: Vec<Duration> = detections.iter().filter_map(Detection::time).collect();
        self.mean(MeanTime::to_detect(&detections), &times, self.load.length())
    }

    /// The time in which an injection could be noticed.
    fn watched_for(&self, made: &InjectionRecord) -> Window {
        let later = self.injections.iter().filter(|other| other.repetition > made.repetition);
        Window::new(made.began, later.map(|other| other.began).min().unwrap_or(self.load.to))
    }

    fn not_shown(&self, probe: &str, made: &InjectionRecord) -> Measured {
        let windows = [self.watched_for(made)];
        let all: Vec<Option<f64>> = self.readings(&windows, probe).map(|reading| reading.value).collect();
        let values: Vec<f64> = all.iter().copied().flatten().collect();
        Measured::NotShown {
            readings: values.len() as u64,
            lowest: values.iter().copied().fold(f64::INFINITY, f64::min),
            highest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            failed: (all.len() - values.len()) as u64,
        }
    }

    fn undetected(&self, probe: &str, made: &InjectionRecord, detection: Detection) -> Unmeasured {
        let before = Window::new(Duration::ZERO, made.began);
        match detection {
            Detection::NotRead => self.unread(&[self.watched_for(made)], probe),
            Detection::NotReadBefore => {
                let why = self.series(probe).and_then(|series| series.last_failure(before)).cloned();
                Unmeasured::NotReadBefore { why }
            }
            _ => Unmeasured::AlreadyShown,
        }
    }
}
