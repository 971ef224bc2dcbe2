//! Samples in a compact form, for the journal.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Outcome, Sample};

/// Samples as columns of small numbers, in the order in which they were due; lossless to the microsecond.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SampleColumns {
    /// What the numbers in `outcome` mean: indices into this list.
    pub outcomes: Vec<Outcome>,
    /// Index of the route.
    pub route: Vec<u16>,
    /// Intended start in microseconds after the one before, the first one after the origin.
    pub intended_us: Vec<u64>,
    /// Actual start in microseconds after the intended one.
    pub lag_us: Vec<u64>,
    /// End in microseconds after the intended start.
    pub latency_us: Vec<u64>,
    /// Outcome, as an index into `outcomes`.
    pub outcome: Vec<u16>,
}

/// Why columns hold no samples.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    /// Two columns differ in length.
    #[error("column `{column}` has {have} entries where `route` has {want}; the journal is damaged")]
    Length {
        /// The column.
        column: &'static str,
        /// Its length.
        have: usize,
        /// The length of the first column.
        want: usize,
    },
    /// An outcome that the legend does not hold.
    #[error("sample {sample} has outcome {code}, but the legend ends before {legend}; the journal is damaged")]
    Outcome {
        /// Index of the sample.
        sample: usize,
        /// Its outcome.
        code: u16,
        /// Length of the legend.
        legend: usize,
    },
    /// A moment beyond what a clock can hold.
    #[error("sample {sample} lies beyond the end of time; the journal is damaged")]
    Overflow {
        /// Index of the sample.
        sample: usize,
    },
}

impl SampleColumns {
    /// Packs `samples`, sorted by their intended start, each moment cut to the microsecond.
    pub fn encode(samples: &[Sample]) -> Self {
        let mut sorted: Vec<_> = samples.iter().collect();
        sorted.sort_by_key(|sample| sample.intended);
        let mut columns = Self::default();
        let mut previous = 0;
        for sample in sorted {
            let intended = micros(sample.intended);
            columns.route.push(sample.route);
            columns.intended_us.push(intended - previous);
            columns.lag_us.push(micros(sample.sent).saturating_sub(intended));
            columns.latency_us.push(micros(sample.end).saturating_sub(intended));
            let code = columns.code(sample.outcome);
            columns.outcome.push(code);
            previous = intended;
        }
        columns
    }

    fn code(&mut self, outcome: Outcome) -> u16 {
        let at = self.outcomes.iter().position(|known| *known == outcome).unwrap_or_else(|| {
            self.outcomes.push(outcome);
            self.outcomes.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    /// Unpacks the samples.
    ///
    /// # Errors
    /// [`ColumnsError`] when the columns do not fit together, as in a damaged journal.
    pub fn decode(&self) -> Result<Vec<Sample>, ColumnsError> {
        self.check_lengths()?;
        let mut previous = 0;
        (0..self.route.len())
            .map(|at| {
                let sample = self.sample(at, previous)?;
                previous = micros(sample.intended);
                Ok(sample)
            })
            .collect()
    }

    fn sample(&self, at: usize, previous: u64) -> Result<Sample, ColumnsError> {
        let code = self.outcome[at];
        let legend = self.outcomes.len();
        let outcome = self.outcomes.get(usize::from(code)).ok_or(ColumnsError::Outcome { sample: at, code, legend })?;
        let after = |from: u64, by: u64| from.checked_add(by).ok_or(ColumnsError::Overflow { sample: at });
        let intended = after(previous, self.intended_us[at])?;
        Ok(Sample {
            route: self.route[at],
            intended: Duration::from_micros(intended),
            sent: Duration::from_micros(after(intended, self.lag_us[at])?),
            end: Duration::from_micros(after(intended, self.latency_us[at])?),
            outcome: *outcome,
        })
    }

    fn check_lengths(&self) -> Result<(), ColumnsError> {
        let want = self.route.len();
        let columns = [
            ("intended_us", self.intended_us.len()),
            ("lag_us", self.lag_us.len()),
            ("latency_us", self.latency_us.len()),
            ("outcome", self.outcome.len()),
        ];
        match columns.into_iter().find(|(_, have)| *have != want) {
            Some((column, have)) => Err(ColumnsError::Length { column, have, want }),
            None => Ok(()),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measure::testing::{bad, good, samples};

    #[test]
    fn damaged_columns_are_errors() {
        let columns = SampleColumns::encode(&[good(1), bad(2)]);
        let mut short = columns.clone();
        short.lag_us.pop();
        assert_eq!(short.decode(), Err(ColumnsError::Length { column: "lag_us", have: 1, want: 2 }));
        let mut unknown = columns.clone();
        unknown.outcome[1] = 9;
        assert_eq!(unknown.decode(), Err(ColumnsError::Outcome { sample: 1, code: 9, legend: 2 }));
        let mut endless = columns;
        endless.latency_us[0] = u64::MAX;
        assert_eq!(endless.decode(), Err(ColumnsError::Overflow { sample: 0 }));
    }

    #[test]
    fn a_sample_takes_few_bytes() {
        let samples: Vec<_> = (0..1_000).map(|at| good(at * 10)).collect();
        let bytes = serde_json::to_vec(&SampleColumns::encode(&samples)).unwrap().len();
        assert!(bytes < 20 * samples.len(), "{bytes} bytes");
    }

    proptest! {
        #[test]
        fn round_trip_keeps_every_sample(samples in samples()) {
            let mut sorted = samples.clone();
            sorted.sort_by_key(|sample| sample.intended);
            let json = serde_json::to_string(&SampleColumns::encode(&samples)).unwrap();
            let columns: SampleColumns = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(columns.decode().unwrap(), sorted);
        }

        #[test]
        fn any_columns_decode_or_say_why(
            outcomes in prop::collection::vec(crate::measure::testing::outcomes(), 0..3),
            route in prop::collection::vec(any::<u16>(), 0..4),
            intended_us in prop::collection::vec(any::<u64>(), 0..4),
            lag_us in prop::collection::vec(any::<u64>(), 0..4),
            latency_us in prop::collection::vec(any::<u64>(), 0..4),
            outcome in prop::collection::vec(0..4u16, 0..4),
        ) {
            let count = route.len();
            let columns = SampleColumns { outcomes, route, intended_us, lag_us, latency_us, outcome };
            if let Ok(samples) = columns.decode() {
                prop_assert_eq!(samples.len(), count);
            }
        }
    }
}
