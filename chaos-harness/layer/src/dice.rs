//! Randomness that a seed and a number decide, whatever came before.

/// The share is met in every run of so many requests, give or take one. So 10,000 of them, 78 runs and 16, cannot be
/// off by a whole point, as they would be for one seed in twenty if each were decided by itself.
const RUN: u64 = 128;

/// A number in `0.0..1.0` for `number` under `seed`; each `stream` is another one.
pub(crate) fn draw(seed: u64, number: u64, stream: u64) -> f64 {
    (bits(seed, number, stream) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Whether request `number` is one of the share; one that is, is one of any greater share.
pub(crate) fn is_of_share(seed: u64, number: u64, share: f64) -> bool {
    if share >= 1.0 {
        return true;
    }
    let slot = shuffled(number % RUN, bits(seed, number / RUN, 2));
    (slot as f64 + draw(seed, number, 0)) / (RUN as f64) < share
}

/// Where `place` of a run goes: every step maps the numbers below [`RUN`] onto themselves, one to one.
fn shuffled(place: u64, key: u64) -> u64 {
    (0..4).fold(place, |place, round| {
        let key = key >> (14 * round);
        let place = (place ^ key).wrapping_mul(key >> 7 | 1) % RUN;
        place ^ (place >> 4)
    })
}

fn bits(seed: u64, number: u64, stream: u64) -> u64 {
    mix(mix(mix(seed).wrapping_add(number)).wrapping_add(stream))
}

/// A step and the finaliser of SplitMix64.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_finaliser_is_that_of_splitmix64() {
        // The first outputs of the reference generator at seed 1234567, whose state grows by the same constant.
        let golden = 0x9e37_79b9_7f4a_7c15_u64;
        let outputs = [mix(1_234_567), mix(1_234_567_u64.wrapping_add(golden))];
        assert_eq!(outputs, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn draws_are_spread_evenly() {
        for seed in [0, 1, 2, u64::MAX] {
            let mut tenths = [0_u32; 10];
            (0..100_000).for_each(|number| tenths[(draw(seed, number, 0) * 10.0) as usize] += 1);
            assert!(tenths.iter().all(|count| count.abs_diff(10_000) < 500), "{seed}: {tenths:?}");
        }
    }

    /// Neither is a place of the run favoured, nor does one request that is struck say much of the next.
    #[test]
    fn every_place_of_a_run_is_as_likely_as_any_other() {
        let runs = 20_000;
        let mut places = [0_u32; RUN as usize];
        let (mut both, mut first) = (0_u32, 0_u32);
        let struck: Vec<bool> = (0..runs * RUN).map(|number| is_of_share(5, number, 0.25)).collect();
        for (number, struck_too) in struck.iter().enumerate() {
            places[number % RUN as usize] += u32::from(*struck_too);
            let next = struck.get(number + 1).copied().unwrap_or_default();
            first += u32::from(*struck_too);
            both += u32::from(*struck_too && next);
        }
        assert!(places.iter().all(|count| count.abs_diff(5_000) < 500), "{places:?}");
        let after = f64::from(both) / f64::from(first);
        assert!((after - 0.25).abs() < 0.02, "{after} after one that is struck");
    }

    proptest! {
        #[test]
        fn a_run_is_shuffled_one_to_one(key: u64) {
            let places: BTreeSet<u64> = (0..RUN).map(|place| shuffled(place, key)).collect();
            prop_assert!(places.len() == RUN as usize && places.iter().all(|place| *place < RUN));
        }

        /// Whatever the seed.
        #[test]
        fn a_share_of_10_000_is_met_within_one_point(seed: u64, share in 0.0..=1.0) {
            let struck = (0..10_000).filter(|number| is_of_share(seed, *number, share)).count();
            prop_assert!((struck as f64 / 10_000.0 - share).abs() <= 0.01, "{struck} for {share}");
        }

        #[test]
        fn a_share_of_a_run_is_met_within_one(seed: u64, run in 0..1_000_000_u64, share in 0.0..=1.0) {
            let struck = (run * RUN..(run + 1) * RUN).filter(|number| is_of_share(seed, *number, share)).count();
            prop_assert!((struck as f64 - share * RUN as f64).abs() < 1.0, "{struck} of {RUN} for {share}");
        }
    }
}
