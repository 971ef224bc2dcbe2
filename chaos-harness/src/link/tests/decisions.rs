//! What shapers decide, without sockets and on a clock of the test's own: the same seed, the same bytes, however chunked.

use std::time::Instant;

use bytes::Bytes;
use futures::task::AtomicWaker;
use proptest::prelude::*;

use super::toxic::{
    Bandwidth, Birth, BlackHole, Corrupt, Dice, Item, Mark, Shared, Slicer, Stage, Tally, Victims, Way,
};
use super::*;

fn stage(spec: impl Into<ToxicSpec>, seed: u64, shared: &Shared, now: Instant) -> Stage {
    let (dice, task) = (Dice::new(seed, 1, 2), Arc::new(AtomicWaker::new()));
    let birth = Birth { now, way: Way::Up, dice, part: 0, live: false, shared, task: &task };
    let mark = Mark::new(2, &Arc::default(), &Arc::default());
    Stage::new(2, 0, mark, spec.into().as_kind().shaper(&birth))
}

/// Takes out what is due at `now`.
fn drain(stage: &mut Stage, now: Instant, mut take: impl FnMut(Bytes)) {
    loop {
        assert!(stage.expire(now, Tally(None)).is_none());
        while let Some((_, item)) = stage.pop(now) {
            if let Item::Data(data) = item {
                take(data);
            }
        }
        if stage.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
    }
}

/// What comes out, piece by piece, when `data` goes in, in chunks of the sizes given.
fn through(spec: impl Into<ToxicSpec>, seed: u64, data: &[u8], chunks: &[usize]) -> Vec<Bytes> {
    let now = Instant::now();
    let mut stage = stage(spec, seed, &Shared::default(), now);
    let (mut pieces, mut rest) = (Vec::new(), data);
    for chunk in chunks.iter().cycle() {
        let (first, after) = rest.split_at(rest.len().min(*chunk));
        if first.is_empty() {
            return pieces;
        }
        stage.push(now, Item::Data(Bytes::copy_from_slice(first)), Tally(None));
        drain(&mut stage, now, |piece| pieces.push(piece));
        rest = after;
    }
    pieces
}

/// Positions behind the last byte of each piece.
fn ends(pieces: &[Bytes]) -> Vec<usize> {
    pieces.iter().scan(0, |end, piece| Some(*end + piece.len()).inspect(|sum| *end = *sum)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_seed_corrupts_the_same_bits(
        seed in any::<u64>(),
        chunks in prop::collection::vec(1_usize..5000, 1..20),
        bytes in prop_oneof![(0.0001..=1.0).prop_map(Victims::Share), (1_u64..3000).prop_map(Victims::OneOf)],
        bit in prop::option::of(0_u8..8),
    ) {
        let (corrupt, data) = (Corrupt { bytes, bit }, random_bytes(seed, 10_000));
        let whole = through(corrupt.clone(), seed, &data, &[data.len()]).concat();
        prop_assert_eq!(&whole, &through(corrupt.clone(), seed, &data, &chunks).concat());
        let flips: Vec<u8> = whole.iter().zip(&data).map(|(a, b)| a ^ b).collect();
        prop_assert!(flips.iter().all(|flip| flip.count_ones() <= 1 && bit.is_none_or(|bit| flip & !(1 << bit) == 0)));
        if let Victims::OneOf(n) = bytes {
            let hits = flips.chunks_exact(n as usize).map(|row| row.iter().filter(|flip| **flip != 0).count());
            prop_assert!(hits.into_iter().all(|hits| hits == 1));
        }
        if bytes == Victims::Share(1.0) {
            prop_assert!(flips.iter().all(|flip| *flip != 0));
        }
    }

    #[test]
    fn the_same_seed_cuts_at_the_same_places(
        seed in any::<u64>(),
        chunks in prop::collection::vec(1_usize..5000, 1..20),
        size in 1_u32..500,
        share in 0.0..1.0,
    ) {
        let slicer = Slicer { size, variation: (f64::from(size - 1) * share) as u32, delay: Duration::ZERO };
        let data = random_bytes(seed, 10_000);
        let whole = through(slicer.clone(), seed, &data, &[data.len()]);
        prop_assert_eq!(whole.concat(), data.clone());
        let allowed = slicer.size - slicer.variation..=slicer.size + slicer.variation;
        let full = &whole[..whole.len() - 1];
        prop_assert!(full.iter().all(|piece| allowed.contains(&(piece.len() as u32))));
        let pieces = through(slicer, seed, &data, &chunks);
        prop_assert_eq!(pieces.concat(), data);
        let (cuts, more) = (ends(&whole), ends(&pieces));
        prop_assert!(cuts.iter().all(|cut| more.contains(cut)));
    }
}

#[test]
fn another_seed_corrupts_and_cuts_elsewhere() {
    let data = random_bytes(1, 10_000);
    let noise = |seed| through(Corrupt::default(), seed, &data, &[1000]);
    assert_ne!(noise(1).concat(), noise(2).concat());
    let slicer = Slicer { size: 100, variation: 50, delay: Duration::ZERO };
    let cuts = |seed| ends(&through(slicer.clone(), seed, &data, &[1000]));
    assert_ne!(cuts(1), cuts(2));
}

#[test]
fn a_black_hole_swallows_what_was_due_before_it_and_comes_late() {
    let now = Instant::now();
    let mut stage = stage(BlackHole::default(), 1, &Shared::default(), now + ms(5));
    stage.push(now, Item::Data(Bytes::from_static(b"late")), Tally(None));
    drain(&mut stage, now + ms(10), |piece| panic!("{piece:?} passed"));
    assert_eq!(stage.into_items().count(), 1);
}

/// How many bytes of each of `senders`, who always have more to send, pass in `seconds`, when the link wakes late.
fn passed(bandwidth: &Bandwidth, senders: usize, seconds: u64, late: impl Fn(usize) -> Duration) -> Vec<u64> {
    let start = Instant::now();
    let shared = Shared::default();
    let chunk = Bytes::from(vec![7; 128 << 10]);
    let mut stages: Vec<_> = (0..senders).map(|_| stage(bandwidth.clone(), 1, &shared, start)).collect();
    let (mut totals, mut now, mut turn) = (vec![0; senders], start, 0);
    while now < start + Duration::from_secs(seconds) {
        // As the alarm clock wakes them.
        let mut order: Vec<usize> = (0..senders).collect();
        order.sort_by_key(|sender| stages[*sender].deadline());
        for sender in order {
            drain(&mut stages[sender], now, |piece| totals[sender] += piece.len() as u64);
            while !stages[sender].is_full() {
                stages[sender].push(now, Item::Data(chunk.clone()), Tally(None));
            }
        }
        turn += 1;
        now = stages.iter().filter_map(Stage::deadline).min().unwrap() + late(turn);
    }
    totals
}

#[test]
fn a_rate_holds_within_a_thousandth_however_late_the_link_wakes() {
    for rate in [100_000, 1_000_000, 10_000_000, 100_000_000] {
        for (senders, bandwidth) in
            [(1, Bandwidth::new(rate)), (1, Bandwidth::new(rate).shared()), (7, Bandwidth::new(rate).shared())]
        {
            for (late, name) in [(ms(0), "punctual"), (ms(7), "7 ms late")] {
                let totals = passed(&bandwidth, senders, 5, |turn| if turn % 3 == 0 { late } else { Duration::ZERO });
                let (total, expected) = (totals.iter().sum::<u64>() as f64, rate as f64 * 5.0);
                assert!((total / expected - 1.0).abs() < 0.002, "{rate} B/s, {senders}, {name}: {total} of {expected}");
                let (least, most) = (totals.iter().min().unwrap(), totals.iter().max().unwrap());
                assert!(most - least <= rate / 50, "{rate} B/s, {senders}, {name}: {totals:?}");
            }
        }
    }
}

#[test]
fn silence_earns_no_burst() {
    let start = Instant::now();
    let mut stage = stage(Bandwidth::new(1_000_000), 1, &Shared::default(), start);
    let later = start + Duration::from_secs(10);
    stage.push(later, Item::Data(Bytes::from(vec![7; 10_000])), Tally(None));
    let mut passed = 0;
    drain(&mut stage, later + ms(4), |piece| passed += piece.len());
    assert_eq!(passed, 4000);
    drain(&mut stage, later + ms(10), |piece| passed += piece.len());
    assert_eq!(passed, 10_000);
}

#[test]
fn a_changed_toxic_leaves_nothing_behind() {
    let start = Instant::now();
    let shared = Shared::default();
    let jitter = toxic::Latency::new(ms(50)).jitter(ms(50));
    let mut held = stage(jitter, 1, &shared, start);
    let data = random_bytes(1, 20_000);
    for chunk in data.chunks(200) {
        held.push(start, Item::Data(Bytes::copy_from_slice(chunk)), Tally(None));
    }
    // Some are due by now, behind others that are not.
    let change = start + ms(50);
    for spec in [Bandwidth::new(1_000_000).into(), ToxicSpec::from(Slicer { size: 7, ..Slicer::default() })] {
        held.reshape(stage(spec, 1, &Shared::default(), change), change);
    }
    let mut passed = Vec::new();
    drain(&mut held, change + ms(100), |piece| passed.extend_from_slice(&piece));
    assert!(passed == data, "{} of {} bytes", passed.len(), data.len());
}
