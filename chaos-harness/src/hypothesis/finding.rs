//! What was found about one hypothesis.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Comparison, Hypothesis, Threshold};
use crate::measure::{Interval, ReadFailure};

/// A hypothesis with what was measured for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The claim.
    pub hypothesis: Hypothesis,
    /// What was measured.
    pub measured: Measured,
}

/// The value of a measure, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// A value.
    Value {
        /// What is judged.
        value: Threshold,
        /// A 95% interval where one exists; then the interval's worse bound is `value`.
        interval: Option<[Threshold; 2]>,
        /// How many samples or readings it rests on.
        count: u64,
    },
    /// A time to recover, and the outages that it is made of.
    Recovered {
        /// What is judged.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        time: Duration,
        /// A 95% interval of the mean where one exists; then its upper end is `time`.
        interval: Option<Interval>,
        /// How many injections users recovered from.
        injections: u64,
        /// How many outages there were.
        outages: u64,
        /// The longest outage.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        longest: Duration,
        /// All outages together.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        down: Duration,
    },
    /// Nothing went bad, so there was nothing to recover from or to detect.
    NoImpact {
        /// How many samples were watched.
        count: u64,
    },
    /// It had not happened when observation ended, so no number bounds it.
    Unbounded {
        /// How long it was watched for.
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        observed: Duration,
    },
    /// The signal that would have been the detection was not shown while it was watched.
    NotShown {
        /// How many readings there were.
        readings: u64,
        /// The lowest.
        lowest: f64,
        /// The highest.
        highest: f64,
        /// How many more could not be taken.
        failed: u64,
    },
    /// Nothing was measured.
    Nothing {
        /// Why.
        reason: Unmeasured,
    },
}

/// Why nothing was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmeasured {
    /// Too few samples fall into the window.
    TooFewSamples {
        /// How many there are.
        have: u64,
        /// How many it takes.
        need: u64,
    },
    /// The probe gave no reading in the window. In journals of harnesses that did not tell why.
    NoReading,
    /// No reading of the probe was due in the window.
    NoReadingDue,
    /// Of all readings that were due in the window, none could be taken.
    NotRead {
        /// How many were due.
        due: u64,
        /// Why the last of them failed.
        why: ReadFailure,
    },
    /// The signal was there before the injection already, so that it says nothing about it.
    AlreadyShown,
    /// No reading could be taken before the injection, so that the signal may have been there already.
    NotReadBefore {
        /// Why the last of them failed, if any was due.
        why: Option<ReadFailure>,
    },
    /// Users were down already when a fault was injected, so that what it did to them cannot be told.
    AlreadyDown,
    /// A repetition in which nothing was observed.
    EmptyRepetition {
        /// Which, from 1.
        repetition: u32,
    },
    /// A repetition during whose fault nothing was observed, whatever came later.
    EmptyFault {
        /// Which, from 1.
        repetition: u32,
    },
    /// Nothing ever passed on a link of what the fault hit, so that no request can have felt it.
    Unreached {
        /// The fault.
        fault: String,
    },
    /// The part of the experiment was never reached.
    NotReached,
}

impl Finding {
    /// Whether the claim held: `None` where nothing was measured. What did not happen while observed
    /// holds for no claim; what had no impact took no time.
    pub fn holds(&self) -> Option<bool> {
        let Hypothesis { comparison, threshold, .. } = &self.hypothesis;
        match &self.measured {
            Measured::Value { value, .. } => match (value, threshold) {
                (Threshold::Ratio(measured), Threshold::Ratio(claimed))
                | (Threshold::Number(measured), Threshold::Number(claimed)) => {
                    Some(comparison.holds(measured, claimed))
                }
                (Threshold::Time(measured), Threshold::Time(claimed)) => Some(comparison.holds(measured, claimed)),
                _ => None,
            },
            Measured::Recovered { time, .. } => holds_in_time(*comparison, time, threshold),
            Measured::NoImpact { .. } => holds_in_time(*comparison, &Duration::ZERO, threshold),
            Measured::Unbounded { .. } | Measured::NotShown { .. } => Some(false),
            Measured::Nothing { .. } => None,
        }
    }
}

fn holds_in_time(comparison: Comparison, time: &Duration, threshold: &Threshold) -> Option<bool> {
    match threshold {
        Threshold::Time(claimed) => Some(comparison.holds(time, claimed)),
        _ => None,
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.hypothesis, self.measured)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { value, interval: None, .. } => write!(f, "{}", rounded(*value)),
            Self::Value { value, interval: Some([low, high]), .. } => {
                write!(f, "{} (95% interval {} to {})", rounded(*value), rounded(*low), rounded(*high))
            }
            Self::Recovered { time, interval, injections, outages, longest, down } => {
                let time_of = |time: Duration| rounded(Threshold::Time(time));
                write!(f, "{}", time_of(*time))?;
                if let Some(Interval { low, high }) = interval {
                    write!(f, " (95% interval {} to {}, {injections} injections)", time_of(*low), time_of(*high))?;
                } else if *injections > 1 {
                    write!(f, " ({injections} injections)")?;
                }
                // As many outages as injections is the usual case, and says nothing new.
                if outages == injections {
                    return Ok(());
                }
                let (longest, down) = (time_of(*longest), time_of(*down));
                write!(f, ": {outages} outages, longest {longest}, down {down} in all")
            }
            Self::NoImpact { count } => write!(f, "no impact in {count} samples"),
            Self::Unbounded { observed } => {
                write!(f, "not within the {} observed", rounded(Threshold::Time(*observed)))
            }
            Self::NotShown { readings, lowest, highest, failed } => {
                write!(f, "never shown in {readings} readings")?;
                if lowest == highest {
                    write!(f, " of {lowest}")?
                } else {
                    write!(f, " of {lowest} to {highest}")?
                }
                if *failed > 0 { write!(f, "; {failed} more could not be taken") } else { Ok(()) }
            }
            Self::Nothing { reason } => write!(f, "not measured ({reason})"),
        }
    }
}

/// Times to the microsecond below 10 ms and to the millisecond above; people do not read nanoseconds.
fn rounded(value: Threshold) -> Threshold {
    match value {
        Threshold::Time(time) => {
            let step = if time < Duration::from_millis(10) { 1_000 } else { 1_000_000 };
            let nanos = time.as_nanos().div_ceil(step) * step;
            Threshold::Time(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
        }
        other => other,
    }
}

impl fmt::Display for Unmeasured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewSamples { have, need } => write!(f, "{have} samples, {need} needed"),
            Self::NoReading => f.write_str("the probe gave no reading"),
            Self::NoReadingDue => f.write_str("the probe was not read in that time"),
            Self::NotRead { due, why } => write!(f, "none of {due} readings could be taken: {why}"),
            Self::AlreadyShown => f.write_str("the signal was already shown before the injection"),
            Self::NotReadBefore { why } => {
                f.write_str("no reading could be taken before the injection")?;
                why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
            }
            Self::AlreadyDown => f.write_str("users were down already when it was injected"),
            Self::EmptyRepetition { repetition } => write!(f, "nothing was observed in repetition {repetition}"),
            Self::EmptyFault { repetition } => {
                write!(f, "nothing was under way or due during the fault of repetition {repetition}")
            }
            Self::Unreached { fault } => write!(
                f,
                "nothing ever passed on a link of `{fault}`, so no request can have felt it; declare the link by which \
                 requests get there, or send some"
            ),
            Self::NotReached => f.write_str("that part of the experiment was not reached"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypothesis::Measure;

    fn finding(measured: Measured) -> Finding {
        let limit = Threshold::Time(Duration::from_secs(120));
        Finding { hypothesis: Hypothesis::new(Measure::Mttr, Comparison::Below, limit).unwrap(), measured }
    }

    #[test]
    fn several_outages_and_injections_are_named() {
        let ms = Duration::from_millis;
        let recovered = |injections, outages, interval| Measured::Recovered {
            time: ms(3_750),
            interval,
            injections,
            outages,
            longest: ms(3_200),
            down: ms(3_400),
        };
        let interval = Some(Interval { low: ms(900), high: ms(3_750) });
        for (measured, text) in [
            (recovered(1, 1, None), "3s 750ms"),
            (recovered(1, 2, None), "3s 750ms: 2 outages, longest 3s 200ms, down 3s 400ms in all"),
            (recovered(3, 3, interval), "3s 750ms (95% interval 900ms to 3s 750ms, 3 injections)"),
            (
                recovered(3, 5, interval),
                "3s 750ms (95% interval 900ms to 3s 750ms, 3 injections): 5 outages, longest 3s 200ms, down 3s 400ms in all",
            ),
        ] {
            assert_eq!(measured.to_string(), text);
            assert_eq!(finding(measured).holds(), Some(true));
        }
    }

    #[test]
    fn only_what_was_measured_can_hold() {
        let second = Threshold::Time(Duration::from_secs(1));
        let value = Measured::Value { value: second, interval: None, count: 1 };
        assert_eq!(finding(value).holds(), Some(true));
        assert_eq!(finding(Measured::NoImpact { count: 50 }).holds(), Some(true));
        assert_eq!(finding(Measured::Unbounded { observed: Duration::from_secs(1) }).holds(), Some(false));
        assert_eq!(finding(Measured::Nothing { reason: Unmeasured::NotReached }).holds(), None);
        let wrong_unit = Measured::Value { value: Threshold::Ratio(0.1), interval: None, count: 1 };
        assert_eq!(finding(wrong_unit).holds(), None);
    }
}
