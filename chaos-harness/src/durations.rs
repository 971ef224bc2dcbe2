//! Lengths of time as people write them in a test.

use std::time::Duration;

/// `5.secs()`, `250.millis()`, `2.mins()`, of `u32`, `u64` and `i32`, which a number without a type is.
///
/// A negative number makes no time at all, which plans refuse, and one that is too large the longest there is.
///
/// ```
/// use std::time::Duration;
/// use chaos_harness::Durations;
///
/// assert_eq!(2.mins(), Duration::from_secs(120));
/// let timeout_ms: u64 = 1500;
/// assert_eq!(timeout_ms.millis(), Duration::from_millis(1500));
/// ```
pub trait Durations {
    /// This many milliseconds.
    fn millis(self) -> Duration;
    /// This many seconds.
    fn secs(self) -> Duration;
    /// This many minutes.
    fn mins(self) -> Duration;
}

macro_rules! durations {
    ($($number:ty),*) => {$(
        impl Durations for $number {
            fn millis(self) -> Duration {
                Duration::from_millis(whole(self))
            }

            fn secs(self) -> Duration {
                Duration::from_secs(whole(self))
            }

            fn mins(self) -> Duration {
                Duration::from_secs(whole(self).saturating_mul(60))
            }
        }
    )*};
}

durations!(u32, u64, i32);

fn whole(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_type_are_times() {
        assert_eq!([5.secs(), 5_u32.secs(), 5_u64.secs(), 5000.millis()], [Duration::from_secs(5); 4]);
        assert_eq!((2.mins(), 2_u64.mins()), (Duration::from_secs(120), Duration::from_secs(120)));
        assert_eq!(((-1_i32).secs(), u64::MAX.mins()), (Duration::ZERO, Duration::from_secs(u64::MAX)));
    }
}
