//! Samples in a compact form, for the journal.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::column::Column;
use super::{Outcome, Sample};

/// Samples as columns of small numbers, in the order in which they were due; lossless to the microsecond. In memory they
/// take less than in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SampleColumns {
    /// What the numbers in `outcome` mean: indices into this list.
    outcomes: Vec<Outcome>,
    /// Index of the route.
    #[schemars(with = "Vec<u16>")]
    route: Column<u16>,
    /// Intended start in microseconds after the one before, the first one after the origin.
    #[schemars(with = "Vec<u64>")]
    intended_us: Column<u64>,
    /// Actual start in microseconds after the intended one.
    #[schemars(with = "Vec<u64>")]
    lag_us: Column<u64>,
    /// End in microseconds after the intended start.
    #[schemars(with = "Vec<u64>")]
    latency_us: Column<u64>,
    /// Outcome, as an index into `outcomes`.
    #[schemars(with = "Vec<u16>")]
    outcome: Column<u16>,
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
        Self::of_sorted(sorted.into_iter().copied())
    }

    /// Packs what `pieces` hold together; nothing of it is unpacked for that. Pieces that cannot be unpacked are left out.
    pub(crate) fn merged(pieces: &[Self]) -> Self {
        let sound = pieces.iter().filter(|piece| piece.check().is_ok());
        let mut sources: Vec<_> = sound.map(|piece| piece.samples().flatten()).collect();
        let mut first: Vec<Option<Sample>> = sources.iter_mut().map(Iterator::next).collect();
        let due = |first: &[Option<Sample>], at: usize| first[at].map(|sample| Reverse((sample.intended, at)));
        let mut next: BinaryHeap<_> = (0..first.len()).filter_map(|at| due(&first, at)).collect();
        Self::of_sorted(std::iter::from_fn(move || {
            let Reverse((_, at)) = next.pop()?;
            let sample = std::mem::replace(&mut first[at], sources[at].next());
            next.extend(due(&first, at));
            sample
        }))
    }

    fn of_sorted(samples: impl Iterator<Item = Sample>) -> Self {
        let mut columns = Self::default();
        let mut codes = HashMap::new();
        let mut previous = 0;
        for sample in samples {
            let intended = micros(sample.intended);
            columns.route.push(sample.route);
            columns.intended_us.push(intended - previous);
            columns.lag_us.push(micros(sample.sent).saturating_sub(intended));
            columns.latency_us.push(micros(sample.end).saturating_sub(intended));
            let code = *codes.entry(sample.outcome).or_insert_with(|| {
                columns.outcomes.push(sample.outcome);
                u16::try_from(columns.outcomes.len() - 1).unwrap_or(u16::MAX)
            });
            columns.outcome.push(code);
            previous = intended;
        }
        columns
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.route.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Unpacks the samples.
    ///
    /// # Errors
    /// [`ColumnsError`] when the columns do not fit together, as in a damaged journal.
    pub fn decode(&self) -> Result<Vec<Sample>, ColumnsError> {
        self.check_lengths()?;
        let mut samples = Vec::with_capacity(self.len());
        for sample in self.samples() {
            samples.push(sample?);
        }
        Ok(samples)
    }

    /// Whether [`decode`](Self::decode) would succeed, without the memory that it takes.
    ///
    /// # Errors
    /// Those of `decode`.
    pub fn check(&self) -> Result<(), ColumnsError> {
        self.check_lengths()?;
        self.samples().try_for_each(|sample| sample.map(drop))
    }

    /// The samples one by one; columns that are too short end it.
    fn samples(&self) -> impl Iterator<Item = Result<Sample, ColumnsError>> + '_ {
        let starts = self.intended_us.iter().zip(self.lag_us.iter()).zip(self.latency_us.iter());
        let rows = self.route.iter().zip(self.outcome.iter()).zip(starts).enumerate();
        let mut previous: u64 = 0;
        rows.map(move |(at, ((route, code), ((intended, lag), latency)))| {
            let legend = self.outcomes.len();
            let known = self.outcomes.get(usize::from(code));
            let outcome = *known.ok_or(ColumnsError::Outcome { sample: at, code, legend })?;
            let after = |from: u64, by: u64| from.checked_add(by).ok_or(ColumnsError::Overflow { sample: at });
            previous = after(previous, intended)?;
            let moment = |by| Ok(Duration::from_micros(after(previous, by)?));
            Ok(Sample { route, intended: moment(0)?, sent: moment(lag)?, end: moment(latency)?, outcome })
        })
    }

    fn check_lengths(&self) -> Result<(), ColumnsError> {
        let want = self.len();
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

    fn changed(columns: &SampleColumns, change: impl FnOnce(&mut serde_json::Value)) -> SampleColumns {
        let mut value = serde_json::to_value(columns).unwrap();
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn damaged_columns_are_errors() {
        let columns = SampleColumns::encode(&[good(1), bad(2)]);
        let short = changed(&columns, |value| drop(value["lag_us"].as_array_mut().unwrap().pop()));
        let unknown = changed(&columns, |value| value["outcome"][1] = 9.into());
        let endless = changed(&columns, |value| value["latency_us"][0] = u64::MAX.into());
        for (damaged, error) in [
            (short, ColumnsError::Length { column: "lag_us", have: 1, want: 2 }),
            (unknown, ColumnsError::Outcome { sample: 1, code: 9, legend: 2 }),
            (endless, ColumnsError::Overflow { sample: 0 }),
        ] {
            assert_eq!((damaged.check(), damaged.decode()), (Err(error.clone()), Err(error)));
        }
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
        fn pieces_are_merged_as_if_they_had_been_one(pieces in prop::collection::vec(samples(), 0..5)) {
            let columns: Vec<_> = pieces.iter().map(|piece| SampleColumns::encode(piece)).collect();
            let all = SampleColumns::encode(&pieces.concat());
            let merged = SampleColumns::merged(&columns);
            prop_assert_eq!(merged.decode().unwrap(), all.decode().unwrap());
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
            let columns = SampleColumns {
                outcomes,
                route: route.into_iter().collect(),
                intended_us: intended_us.into_iter().collect(),
                lag_us: lag_us.into_iter().collect(),
                latency_us: latency_us.into_iter().collect(),
                outcome: outcome.into_iter().collect(),
            };
            prop_assert_eq!(columns.check().is_ok(), columns.decode().is_ok());
            if let Ok(samples) = columns.decode() {
                prop_assert_eq!(samples.len(), count);
            }
        }
    }
}
