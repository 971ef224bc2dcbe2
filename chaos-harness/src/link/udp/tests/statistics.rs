//! What the seed decides: shares, bursts, order. Decisions are counted, so noise on the machine does not matter.

use std::collections::BTreeMap;

use super::*;

/// The numbers that arrive through `toxic`, of those below `count`.
async fn arrived(seed: u64, toxic: UdpToxic, count: u32) -> Vec<u32> {
    let callee = Callee::start().await;
    let link = UdpLink::bind(LOCAL, seed).unwrap();
    link.set_upstream(Some(callee.addr));
    let socket = caller(&link).await;
    link.toxics().add("it", toxic).unwrap();
    send_numbers(&link, &socket, count).await;
    until(|| callee.got().len() as u64 == link.counters().datagrams_up).await;
    let arrived = callee.got().iter().map(|data| number(data)).collect();
    soon(link.shutdown()).await;
    arrived
}

#[tokio::test]
async fn the_share_that_is_lost_is_the_one_asked_for() {
    for share in [0.01, 0.1, 0.5] {
        let lost = 10_000 - arrived(7, up(Loss {}).probability(share), 10_000).await.len();
        let measured = lost as f64 / 10_000.0;
        println!("loss {share}: {measured}");
        assert!((measured - share).abs() < 0.01, "{share}: {measured}");
    }
}

#[tokio::test]
async fn the_same_seed_loses_the_same_datagrams() {
    let toxic = up(Loss {}).probability(0.3);
    let first = arrived(7, toxic.clone(), 500).await;
    assert_eq!(first, arrived(7, toxic.clone(), 500).await);
    assert_ne!(first, arrived(8, toxic, 500).await);
}

#[tokio::test]
async fn every_nth_is_lost() {
    let arrived = arrived(7, up(PeriodicLoss { nth: 3 }), 100).await;
    assert!(arrived.into_iter().eq((0..100).filter(|n| n % 3 != 2)));
}

#[tokio::test]
async fn bursts_have_the_share_and_the_length_asked_for() {
    let arrived = arrived(7, up(BurstLoss::new(0.2, 8.0)), 10_000).await;
    let gaps = arrived.windows(2).map(|pair| pair[1] - pair[0] - 1).filter(|gap| *gap > 0);
    let (bursts, lost) = gaps.fold((0, 0), |(bursts, lost), gap| (bursts + 1, lost + gap));
    let (share, length) = (f64::from(lost) / 10_000.0, f64::from(lost) / f64::from(bursts));
    println!("bursts: share {share}, mean length {length:.2}");
    assert!((share - 0.2).abs() < 0.04 && (length - 8.0).abs() < 1.0, "{share}, {length}");
}

#[tokio::test]
async fn copies_follow_the_datagram() {
    let arrived = arrived(7, up(Duplicate { copies: 2 }).probability(0.25), 1000).await;
    assert!(arrived.is_sorted());
    let mut times = BTreeMap::<u32, usize>::new();
    arrived.iter().for_each(|n| *times.entry(*n).or_default() += 1);
    assert!(times.len() == 1000 && times.values().all(|n| [1, 3].contains(n)), "{times:?}");
    let share = times.values().filter(|n| **n == 3).count() as f64 / 1000.0;
    assert!((share - 0.25).abs() < 0.05, "{share}");
}

#[tokio::test]
async fn where_all_are_held_back_none_overtakes() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    link.toxics().add("late", up(Reorder::new(3).within(ms(50)))).unwrap();
    for n in 0..10_u32 {
        socket.send(&n.to_le_bytes()).await.unwrap();
    }
    until(|| callee.got().len() == 10).await;
    assert!(callee.got().iter().map(|data| number(data)).eq(0..10));
    assert_eq!(link.counters().reordered, 0);
}

/// A fifth is held back until two later ones have passed, so nothing waits for long.
#[tokio::test]
async fn a_share_is_overtaken() {
    let toxic = up(Reorder::new(2).within(Duration::from_secs(600))).probability(0.2);
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    link.toxics().add("late", toxic).unwrap();
    for n in 0..1000_u32 {
        socket.send(&n.to_le_bytes()).await.unwrap();
        // At most so many can be held back at a time with this seed.
        until(|| link.counters().datagrams_up + 16 > u64::from(n)).await;
    }
    link.toxics().clear().unwrap();
    until(|| callee.got().len() == 1000).await;
    let arrived: Vec<u32> = callee.got().iter().map(|data| number(data)).collect();
    let mut late = Vec::new();
    for (position, n) in arrived.iter().enumerate() {
        let overtaken_by = arrived[..position].iter().filter(|other| *other > n).count();
        if overtaken_by > 0 {
            late.push(overtaken_by);
        }
    }
    let share = late.len() as f64 / 1000.0;
    println!("reordered: {share}, overtaken by up to {:?}", late.iter().max());
    assert_eq!(late.len() as u64, link.counters().reordered);
    assert!((share - 0.2).abs() < 0.05, "{share}");
    assert!(late.iter().filter(|by| **by == 2).count() > late.len() / 2, "{late:?}");
}

#[tokio::test]
async fn one_bit_is_flipped() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    link.toxics().add("bad", up(Corrupt::default())).unwrap();
    for _ in 0..50 {
        let answer = ask(&socket, &[0; 100]).await;
        assert_eq!(answer.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    }
    assert!(ask(&socket, &[]).await.is_empty());
    assert_eq!(link.counters().corrupted, 50);
}

#[tokio::test]
async fn a_full_queue_loses_the_tail() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    link.toxics().add("narrow", up(Bandwidth { rate: 1000, queue: 4000 })).unwrap();
    for n in 0..20_u8 {
        socket.send(&[n; 1000]).await.unwrap();
    }
    until(|| link.counters().delayed + link.counters().overflowed == 20).await;
    // One is on the line, four wait, and one more may, depending on how much of the first is gone.
    assert!((14..=15).contains(&link.counters().overflowed), "{:?}", link.counters());
    link.toxics().clear().unwrap();
    until(|| callee.got().len() as u64 == link.counters().delayed).await;
    assert!(callee.got().iter().zip(0_u8..).all(|(data, n)| data[0] == n), "the head has arrived in order");
}

#[tokio::test]
async fn what_does_not_fit_into_the_memory_is_lost_and_counted() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    link.toxics().add("slow", up(Delay::new(Duration::from_secs(600)))).unwrap();
    let data = vec![1; 60_000];
    for n in 1..=600 {
        socket.send(&data).await.unwrap();
        until(|| link.counters().delayed + link.counters().overflowed == n).await;
    }
    let counted = link.counters();
    assert!((550..=560).contains(&counted.delayed) && counted.overflowed >= 40, "{counted:?}");
    soon(link.shutdown()).await;
}
