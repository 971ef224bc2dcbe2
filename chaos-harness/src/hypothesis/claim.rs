//! One claim: a measure, a comparison, a threshold, and the window it speaks of.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A time in a claim lies below; no experiment lasts for half an hour.
const LONGEST_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// A claim such as `availability > 95%` or `p99("/catalog") < 250ms`.
///
/// ```
/// use chaos_harness::hypothesis::{Comparison, Hypothesis, Measure, Threshold};
///
/// let claim = Hypothesis::new(Measure::Availability { route: None }, Comparison::Above, Threshold::Ratio(0.95))?;
/// assert_eq!(claim.to_string(), "availability > 95%");
/// # Ok::<(), chaos_harness::hypothesis::HypothesisError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hypothesis {
    /// What is measured.
    pub measure: Measure,
    /// Which side of the threshold is claimed.
    pub comparison: Comparison,
    /// The threshold.
    pub threshold: Threshold,
    /// The part of the experiment it speaks of.
    pub scope: Scope,
}

/// What a hypothesis speaks of. A `route` of `None` means all requests together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "measure")]
#[non_exhaustive]
pub enum Measure {
    /// Served requests / all requests.
    Availability {
        /// The route.
        route: Option<String>,
    },
    /// Failed requests / all requests.
    ErrorRate {
        /// The route.
        route: Option<String>,
    },
    /// Requests answered by a fallback / all requests.
    Degraded {
        /// The route.
        route: Option<String>,
    },
    /// A quantile of the latency from the intended start.
    Latency {
        /// Which quantile, greater than 0 and at most 1.
        quantile: f64,
        /// The route.
        route: Option<String>,
    },
    /// Mean time to recover over the injections: from the first bad request to the end of the last outage.
    Mttr,
    /// Mean time from an injection to its detection by a health signal.
    Mttd,
    /// The longest time to recover of any injection.
    Recovery,
    /// The highest reading of a probe.
    Peak {
        /// The probe.
        probe: String,
    },
    /// The lowest reading of a probe.
    Lowest {
        /// The probe.
        probe: String,
    },
    /// The last reading of a probe.
    Last {
        /// The probe.
        probe: String,
    },
}

/// Which side of the threshold is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

/// A number with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// A share, from 0 to 1.
    Ratio(f64),
    /// A length of time.
    Time(
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        Duration,
    ),
    /// A plain number, for probes.
    Number(f64),
}

/// The part of an experiment that a hypothesis speaks of. For steady states it is always the baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Before the first injection.
    Baseline,
    /// From the first injection to the end of the last rollback.
    #[default]
    Fault,
    /// From the end of the last rollback until the steady state is back, or observation ended.
    Recovery,
    /// From the moment that the steady state is back.
    After,
    /// From the first injection to the end of observation.
    Overall,
}

/// A hypothesis that makes no sense.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum HypothesisError {
    /// A share outside 0 to 100%.
    #[error("`{claim}`: a share lies between 0% and 100%")]
    RatioOutOfRange {
        /// The claim.
        claim: String,
    },
    /// A threshold whose unit the measure does not have.
    #[error("`{claim}`: {measure} is compared with {expected}")]
    WrongUnit {
        /// The claim.
        claim: String,
        /// The measure.
        measure: String,
        /// The unit that fits.
        expected: &'static str,
    },
    /// A quantile outside 0 to 1.
    #[error("`{claim}`: a quantile lies above 0 and at most at 1")]
    QuantileOutOfRange {
        /// The claim.
        claim: String,
    },
    /// A time that nothing in an experiment can take.
    #[error("`{claim}`: a time lies between 0s and {}", humantime::format_duration(*.most))]
    TimeOutOfRange {
        /// The claim.
        claim: String,
        /// The longest.
        most: Duration,
    },
    /// A plain number that is no number.
    #[error("`{claim}`: the threshold is not a finite number")]
    NotFinite {
        /// The claim.
        claim: String,
    },
}

impl Hypothesis {
    /// A claim about the time that the fault is in force.
    ///
    /// # Errors
    /// When the threshold does not fit the measure or lies outside its range.
    pub fn new(measure: Measure, comparison: Comparison, threshold: Threshold) -> Result<Self, HypothesisError> {
        let hypothesis = Self { measure, comparison, threshold, scope: Scope::default() };
        hypothesis.validate()?;
        Ok(hypothesis)
    }

    /// The same claim about another part of the experiment.
    #[must_use]
    pub fn during(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Checks the claim by itself; journals and generated plans may hold any.
    ///
    /// # Errors
    /// When the threshold does not fit the measure or lies outside its range.
    pub fn validate(&self) -> Result<(), HypothesisError> {
        let claim = || self.to_string();
        if let Measure::Latency { quantile, .. } = self.measure
            && !(quantile > 0.0 && quantile <= 1.0)
        {
            return Err(HypothesisError::QuantileOutOfRange { claim: claim() });
        }
        let expected = self.measure.unit();
        match (expected, self.threshold) {
            (Unit::Ratio, Threshold::Ratio(share)) if !(0.0..=1.0).contains(&share) => {
                Err(HypothesisError::RatioOutOfRange { claim: claim() })
            }
            (Unit::Time, Threshold::Time(time)) if time > LONGEST_TIME => {
                Err(HypothesisError::TimeOutOfRange { claim: claim(), most: LONGEST_TIME })
            }
            (Unit::Number, Threshold::Number(number)) if !number.is_finite() => {
                Err(HypothesisError::NotFinite { claim: claim() })
            }
            (Unit::Ratio, Threshold::Ratio(_))
            | (Unit::Time, Threshold::Time(_))
            | (Unit::Number, Threshold::Number(_)) => Ok(()),
            _ => Err(HypothesisError::WrongUnit {
                claim: claim(),
                measure: self.measure.to_string(),
                expected: expected.words(),
            }),
        }
    }

    /// The route it speaks of, where it names one.
    pub fn route(&self) -> Option<&str> {
        match &self.measure {
            Measure::Availability { route }
            | Measure::ErrorRate { route }
            | Measure::Degraded { route }
            | Measure::Latency { route, .. } => route.as_deref(),
            _ => None,
        }
    }

    /// The probe it speaks of, where it names one.
    pub fn probe(&self) -> Option<&str> {
        match &self.measure {
            Measure::Peak { probe } | Measure::Lowest { probe } | Measure::Last { probe } => Some(probe),
            _ => None,
        }
    }
}

/// What a measure is counted in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Ratio,
    Time,
    Number,
}

impl Unit {
    fn words(self) -> &'static str {
        match self {
            Self::Ratio => "a percentage, such as 95%",
            Self::Time => "a time, such as 250ms or 2min",
            Self::Number => "a plain number, such as 2",
        }
    }
}

impl Measure {
    /// Whether it is measured from the requests of the load; else it is read by a probe.
    pub fn is_of_requests(&self) -> bool {
        !matches!(self, Self::Mttd | Self::Peak { .. } | Self::Lowest { .. } | Self::Last { .. })
    }

    fn unit(&self) -> Unit {
        match self {
            Self::Availability { .. } | Self::ErrorRate { .. } | Self::Degraded { .. } => Unit::Ratio,
            Self::Latency { .. } | Self::Mttr | Self::Mttd | Self::Recovery => Unit::Time,
            Self::Peak { .. } | Self::Lowest { .. } | Self::Last { .. } => Unit::Number,
        }
    }
}

impl Comparison {
    /// Whether `measured` stands on the claimed side of `threshold`; false for what cannot be compared.
    pub fn holds<T: PartialOrd>(self, measured: T, threshold: T) -> bool {
        match self {
            Self::Below => measured < threshold,
            Self::AtMost => measured <= threshold,
            Self::Above => measured > threshold,
            Self::AtLeast => measured >= threshold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(quantile: f64) -> Measure {
        Measure::Latency { quantile, route: Some("/catalog".to_owned()) }
    }

    #[test]
    fn claims_read_as_they_are_written() {
        let availability = Measure::Availability { route: None };
        let time = Threshold::Time(Duration::from_millis(250));
        let cases = [
            (availability, Comparison::Above, Threshold::Ratio(0.999), "availability > 99.9%"),
            (latency(0.99), Comparison::Below, time, "p99(\"/catalog\") < 250ms"),
            (latency(0.999), Comparison::Below, time, "p99_9(\"/catalog\") < 250ms"),
            (latency(1.0), Comparison::AtMost, time, "max(\"/catalog\") <= 250ms"),
            (Measure::Mttr, Comparison::Below, Threshold::Time(Duration::from_secs(120)), "mttr < 2min"),
            (Measure::Peak { probe: "b".into() }, Comparison::AtLeast, Threshold::Number(2.0), "peak(\"b\") >= 2"),
        ];
        for (measure, comparison, threshold, text) in cases {
            assert_eq!(Hypothesis::new(measure, comparison, threshold).unwrap().to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let rate = || Measure::ErrorRate { route: None };
        let cases = [
            (rate(), Threshold::Ratio(1.2), "`error_rate < 120%`: a share lies between 0% and 100%"),
            (rate(), Threshold::Ratio(f64::NAN), "`error_rate < NaN%`: a share lies between 0% and 100%"),
            (
                Measure::Mttr,
                Threshold::Ratio(0.95),
                "`mttr < 95%`: mttr is compared with a time, such as 250ms or 2min",
            ),
            (rate(), Threshold::Number(3.0), "`error_rate < 3`: error_rate is compared with a percentage, such as 95%"),
            (latency(0.0), Threshold::Time(Duration::ZERO), "`p0(\"/catalog\") < 0s`: a quantile lies above 0"),
        ];
        for (measure, threshold, text) in cases {
            let error = Hypothesis::new(measure, Comparison::Below, threshold).unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        }
    }
}
