//! Small numbers, packed: most take one or two bytes, where a `Vec<u64>` takes eight of each.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Numbers in order, seven bits a byte; the highest bit says that more follow. In data it is a list of numbers.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Column<T> {
    bytes: Vec<u8>,
    len: usize,
    of: PhantomData<T>,
}

impl<T: Into<u64> + TryFrom<u64>> Column<T> {
    pub(super) fn push(&mut self, number: T) {
        let mut rest: u64 = number.into();
        while rest > 0x7f {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
        self.len += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = T> + '_ {
        let mut bytes = self.bytes.iter();
        std::iter::from_fn(move || {
            let (mut number, mut shift) = (0, 0);
            loop {
                let byte = *bytes.next()?;
                number |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte <= 0x7f {
                    return T::try_from(number).ok();
                }
            }
        })
    }
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self { bytes: Vec::new(), len: 0, of: PhantomData }
    }
}

impl<T: Into<u64> + TryFrom<u64>> FromIterator<T> for Column<T> {
    fn from_iter<I: IntoIterator<Item = T>>(numbers: I) -> Self {
        let mut column = Self::default();
        numbers.into_iter().for_each(|number| column.push(number));
        column
    }
}

impl<T: Into<u64> + TryFrom<u64> + fmt::Debug> fmt::Debug for Column<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Into<u64> + TryFrom<u64> + Serialize> Serialize for Column<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, T: Into<u64> + TryFrom<u64> + Deserialize<'de>> Deserialize<'de> for Column<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers<T>(PhantomData<T>);
        impl<'de, T: Into<u64> + TryFrom<u64> + Deserialize<'de>> Visitor<'de> for Numbers<T> {
            type Value = Column<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Self::Value, A::Error> {
                let mut column = Column::default();
                while let Some(number) = numbers.next_element()? {
                    column.push(number);
                }
                Ok(column)
            }
        }
        deserializer.deserialize_seq(Numbers(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_out_as_they_went_in(numbers in prop::collection::vec(any::<u64>(), 0..20)) {
            let column: Column<u64> = numbers.iter().copied().collect();
            prop_assert_eq!(column.len(), numbers.len());
            prop_assert_eq!(column.iter().collect::<Vec<_>>(), numbers.clone());
            let json = serde_json::to_string(&column).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&numbers).unwrap());
            prop_assert_eq!(serde_json::from_str::<Column<u64>>(&json).unwrap(), column);
        }
    }

    #[test]
    fn a_number_out_of_range_is_refused() {
        assert!(serde_json::from_str::<Column<u16>>("[65535]").is_ok());
        assert!(serde_json::from_str::<Column<u16>>("[65536]").is_err());
        assert!(serde_json::from_str::<Column<u64>>("[-1]").is_err());
    }
}
