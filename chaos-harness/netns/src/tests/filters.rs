//! Drop, reject, loss and rate limits.

use std::io::ErrorKind;
use std::time::Instant;

use super::*;

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn what_is_dropped_times_out_and_heals_at_once() {
    let Some(pair) = Pair::new() else { return };
    let (_listener, address) = pair.listener();
    pair.connect(address, SHORT).unwrap();
    pair.apply("cut", vec![rule(Way::In, Action::Drop), rule(Way::Out, Action::Drop)]);
    assert_eq!(pair.connect(address, SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(pair.count("cut").bitten > 0);
    let healed = Instant::now();
    pair.remove("cut");
    pair.connect(address, SHORT).unwrap();
    assert!(healed.elapsed() < Duration::from_millis(100), "{:?}", healed.elapsed());
    assert_eq!(pair.perform(&Job::Count { table: "cut".to_owned() }), Done::Nothing);
    pair.remove("cut");
}

#[test]
fn what_is_rejected_is_refused_at_once() {
    let Some(pair) = Pair::new() else { return };
    let (_listener, address) = pair.listener();
    pair.apply("no", vec![rule(Way::Out, Action::Reject)]);
    let since = Instant::now();
    assert_eq!(pair.connect(address, SHORT).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert!(since.elapsed() < Duration::from_millis(50), "{:?}", since.elapsed());
    let (here, _there) = pair.sockets();
    let _ = here.send(b"x");
    assert_eq!(here.recv(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(pair.count("no").bitten, 2);
}

#[test]
fn who_comes_from_outside_is_refused_at_once() {
    let Some(pair) = Pair::new() else { return };
    let listener = pair.here.run(|| TcpListener::bind((HERE, 0)).unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || pair.there.run(|| TcpStream::connect_timeout(&address, SHORT)).unwrap();
    connect().unwrap();
    // What rejects is not rejected itself.
    pair.apply("no", vec![rule(Way::Out, Action::Reject), rule(Way::In, Action::Reject)]);
    assert_eq!(connect().unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let (here, there) = pair.sockets();
    there.send(b"x").unwrap();
    assert_eq!(there.recv(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert!(here.recv(&mut [0; 1]).is_err());
}

#[test]
fn one_way_is_one_way() {
    let Some(pair) = Pair::new() else { return };
    let (here, there) = pair.sockets();
    for (way, out, back) in [(Way::Out, 0, 100), (Way::In, 100, 0)] {
        pair.apply("way", vec![rule(way, Action::Drop)]);
        assert_eq!(send(&here, &there, 100).len(), out, "{way:?}");
        assert_eq!(send(&there, &here, 100).len(), back, "{way:?}");
        assert_eq!(pair.count("way"), Counted { seen: 100, bitten: 100 });
        pair.remove("way");
    }
}

#[test]
fn what_vanishes_on_the_way_out_is_told_to_nobody() {
    let Some(pair) = Pair::new() else { return };
    let (here, _there) = pair.sockets();
    pair.apply("cut", vec![rule(Way::Out, Action::Drop)]);
    here.send(b"x").unwrap();
}

#[test]
fn only_the_packets_that_are_named() {
    let Some(pair) = Pair::new() else { return };
    let ((here, there), (other, others), (mine, yours)) = (pair.sockets(), pair.sockets(), pair.sockets());
    let remote_port = Some((Transport::Udp, there.local_addr().unwrap().port()));
    let to_there = Packets { remote: Some(THERE.into()), remote_port, local_port: None };
    let elsewhere = Packets { remote: Some(Ipv4Addr::new(10, 77, 0, 3).into()), ..Packets::default() };
    let local_port = Some((Transport::Udp, mine.local_addr().unwrap().port()));
    let from_mine = Packets { local_port, ..Packets::default() };
    let drop = |way, packets| Rule { way, packets, action: Action::Drop };
    pair.apply(
        "named",
        vec![drop(Way::Out, to_there), drop(Way::Out, elsewhere), drop(Way::In, to_there), drop(Way::Out, from_mine)],
    );
    assert_eq!(send(&here, &there, 10), [0; 0]);
    assert_eq!(send(&there, &here, 10), [0; 0]);
    assert_eq!(send(&other, &others, 10).len(), 10);
    assert_eq!(send(&others, &other, 10).len(), 10);
    assert_eq!(send(&mine, &yours, 10), [0; 0]);
    assert_eq!(send(&yours, &mine, 10).len(), 10);
    assert_eq!(pair.count("named"), Counted { seen: 30, bitten: 30 });
}

#[test]
fn a_share_is_lost() {
    let Some(pair) = Pair::new() else { return };
    let (here, there) = pair.sockets();
    // So many that one point is more than six standard deviations.
    const SENT: u32 = 40_000;
    pair.apply("loss", vec![rule(Way::Out, Action::Lose(0.1))]);
    let arrived = send(&here, &there, SENT).len();
    let lost = 100.0 - arrived as f64 / f64::from(SENT) * 100.0;
    eprintln!("10% of {SENT} datagrams: {lost:.2}% lost");
    assert!((lost - 10.0).abs() < 1.0, "{lost}%");
    let counted = pair.count("loss");
    assert_eq!(counted.seen, u64::from(SENT));
    assert_eq!(counted.bitten, u64::from(SENT) - arrived as u64);
}

#[test]
fn every_nth_is_lost() {
    let Some(pair) = Pair::new() else { return };
    let (here, there) = pair.sockets();
    pair.apply("loss", vec![rule(Way::Out, Action::LoseEvery(4))]);
    let expected: Vec<u32> = (0..1000).filter(|number| number % 4 != 3).collect();
    assert_eq!(send(&here, &there, 1000), expected);
}

#[test]
fn a_rate_is_kept() {
    let Some(pair) = Pair::new() else { return };
    let (here, there) = pair.sockets();
    const RATE: u64 = 1_000_000;
    pair.apply("rate", vec![rule(Way::Out, Action::Limit(RATE))]);
    let (datagram, mut bytes, mut buffer) = ([0; 1400], 0, [0; 2000]);
    there.set_nonblocking(true).unwrap();
    // The bucket, which is full at first, holds a second's worth.
    let mut since = Instant::now();
    let (mut last, mut counting) = (since, false);
    while since.elapsed() < Duration::from_secs(2) {
        let _ = here.send(&datagram);
        while let Ok(length) = there.recv(&mut buffer) {
            bytes += length as u64 + 28;
            last = Instant::now();
        }
        if !counting && bytes > RATE * 3 / 2 {
            (counting, since, bytes) = (true, Instant::now(), 0);
        }
    }
    let rate = bytes as f64 / (last - since).as_secs_f64() / RATE as f64;
    eprintln!("limited to {RATE} bytes a second: {:.2}% of it passed", rate * 100.0);
    assert!(counting && (rate - 1.0).abs() < 0.05, "{rate}");
}

#[test]
fn tables_compose_and_go_one_by_one() {
    let Some(pair) = Pair::new() else { return };
    let (here, there) = pair.sockets();
    pair.apply("half", vec![rule(Way::Out, Action::LoseEvery(2))]);
    pair.apply("third", vec![rule(Way::Out, Action::LoseEvery(3))]);
    assert_eq!(send(&here, &there, 600).len(), 200);
    let bitten = (pair.count("half").bitten, pair.count("third").bitten);
    assert!(matches!(bitten, (300, 100) | (200, 200)), "each takes its share of what the other leaves: {bitten:?}");
    pair.remove("half");
    assert_eq!(send(&here, &there, 600).len(), 400);
    pair.remove("third");
    assert_eq!(send(&here, &there, 600).len(), 600);
}

#[test]
fn a_table_is_made_whole_or_not_at_all() {
    let Some(pair) = Pair::new() else { return };
    let too_long = "x".repeat(300);
    let rules = Rules { table: too_long.clone(), loopback: false, rules: vec![rule(Way::Out, Action::Drop)] };
    let error = pair.here.run(|| Job::Apply(rules).perform()).unwrap().unwrap_err().to_string();
    assert!(error.starts_with("could not set up packet filtering"), "{error}");
    let (here, there) = pair.sockets();
    assert_eq!(send(&here, &there, 10).len(), 10);
}
