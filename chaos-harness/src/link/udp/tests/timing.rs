//! Delays: exact, and as live as the toxics.

use std::time::Instant;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delays_are_exact() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    let round_trips = async |n: usize| {
        let mut times = Vec::new();
        for _ in 0..n {
            let start = Instant::now();
            ask(&socket, b"x").await;
            times.push(start.elapsed());
        }
        times.sort();
        times
    };
    let plain = round_trips(200).await[100];
    for (delay, n) in [(1, 200), (10, 60), (50, 15), (100, 8)] {
        link.toxics().add("slow", UdpToxic::new(Delay::new(ms(delay))).direction(Direction::Down)).unwrap();
        let times = round_trips(n).await;
        link.toxics().remove("slow").unwrap();
        let error = |time: Duration| time.as_secs_f64() * 1e3 - delay as f64 - plain.as_secs_f64() * 1e3;
        let (median, p99) = (error(times[n / 2]), error(times[n * 99 / 100]));
        println!("delay {delay} ms (plain {plain:?}): error median {median:.3} ms, p99 {p99:.3} ms");
        assert!(times[0] >= ms(delay), "never early");
        // The lower quartile: other work on the machine only adds time.
        assert!(error(times[n / 4]) < 3.0, "{times:?}");
    }
    assert_eq!(link.counters().delayed, 283);
}

#[tokio::test]
async fn jitter_reorders() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    link.toxics().add("jitter", up(Delay::new(ms(20)).jitter(ms(20)))).unwrap();
    for n in 0..100_u32 {
        socket.send(&n.to_le_bytes()).await.unwrap();
    }
    until(|| callee.got().len() == 100).await;
    let mut arrived: Vec<u32> = callee.got().iter().map(|data| number(data)).collect();
    assert!(!arrived.is_sorted());
    arrived.sort_unstable();
    assert!(arrived.into_iter().eq(0..100));
}

#[tokio::test]
async fn a_constant_delay_keeps_the_order_and_its_end_lets_all_go() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    link.toxics().add("slow", up(Delay::new(Duration::from_secs(600)))).unwrap();
    for n in 0..100_u32 {
        socket.send(&n.to_le_bytes()).await.unwrap();
    }
    until(|| link.counters().delayed == 100).await;
    assert!(callee.got().is_empty());
    link.toxics().update("slow", up(Delay::new(Duration::from_secs(300)))).unwrap();
    assert_eq!(link.counters().delayed, 100, "counted once");
    link.toxics().update("slow", up(Delay::new(ms(1)))).unwrap();
    until(|| callee.got().len() == 100).await;
    assert!(callee.got().iter().map(|data| number(data)).eq(0..100));
}

#[tokio::test]
async fn delays_add_up() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    link.toxics().add("one", UdpToxic::new(Delay::new(ms(20)))).unwrap();
    link.toxics().add("two", up(Delay::new(ms(10)))).unwrap();
    let start = Instant::now();
    ask(&socket, b"x").await;
    assert!(start.elapsed() >= ms(50), "{:?}", start.elapsed());
    assert!(start.elapsed() < ms(1000), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_toxic_added_last_sees_what_has_not_been_sent() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    link.toxics().add("slow", up(Delay::new(Duration::from_secs(600)))).unwrap();
    socket.send(b"x").await.unwrap();
    until(|| link.counters().delayed == 1).await;
    // On this single thread the relay cannot run between the two calls.
    link.toxics().remove("slow").unwrap();
    link.toxics().add("lossy", up(Loss {})).unwrap();
    assert_eq!(link.counters().dropped, 1);
    link.toxics().clear().unwrap();
    assert_eq!(ask(&socket, b"y").await, b"y");
    assert_eq!(callee.got(), [b"y"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throughput() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    let start = Instant::now();
    for n in 0..20_000_u64 {
        socket.send(&[7; 1000]).await.unwrap();
        if n % 64 == 63 {
            until(|| link.counters().datagrams_down + 64 > n).await;
        }
    }
    let rate = 20_000.0 / start.elapsed().as_secs_f64();
    println!("{rate:.0} datagrams/s of 1,000 bytes each way, through the link and back");
    assert!(rate > 500.0);
}
