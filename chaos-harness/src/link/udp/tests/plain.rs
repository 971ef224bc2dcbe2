//! Without a toxic: a NAT of its own.

use super::super::counters::UdpCounters;
use super::super::sessions::{IDLE, MAX_SESSIONS, Sessions};
use super::*;

#[tokio::test]
async fn datagrams_keep_their_bounds() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    for size in [0, 1, 512, 1500, 65_507, 0] {
        let data: Vec<u8> = (0..size).map(|n: u32| n.to_le_bytes()[1]).collect();
        assert!(ask(&socket, &data).await == data, "{size} bytes");
    }
    let counted = link.counters();
    assert_eq!((counted.datagrams_up, counted.datagrams_down), (6, 6));
    assert_eq!((counted.bytes_up, counted.bytes_down), (67_520, 67_520));
    assert_eq!((counted.sessions, counted.active_sessions), (1, 1));
}

#[tokio::test]
async fn datagrams_keep_their_order() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    send_numbers(&link, &socket, 1000).await;
    until(|| callee.got().len() == 1000).await;
    assert!(callee.got().iter().map(|data| number(data)).eq(0..1000));
}

#[tokio::test]
async fn callers_do_not_hear_each_other() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let mut callers = Vec::new();
    for _ in 0..10 {
        callers.push(caller(&link).await);
    }
    for round in 0..5_u8 {
        for (n, socket) in (0_u8..).zip(&callers) {
            socket.send(&[n, round]).await.unwrap();
        }
        for (n, socket) in (0_u8..).zip(&callers) {
            assert_eq!(receive(socket).await, [n, round]);
        }
    }
    let mut ports: Vec<_> = callee.got.lock().unwrap().iter().map(|(from, data)| (data[0], from.port())).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 10, "one port for each caller, the same in all rounds: {ports:?}");
}

#[tokio::test]
async fn a_callee_that_is_down_is_silent_and_counted() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    ask(&socket, b"a").await;
    link.set_upstream(None);
    socket.send(b"b").await.unwrap();
    until(|| link.counters().unreachable == 1).await;
    let addr = callee.addr;
    link.set_upstream(Some(addr));
    assert_eq!(ask(&socket, b"c").await, b"c");
    let port = callee.ports();
    callee.stop().await;
    for n in 1..=20 {
        socket.send(b"d").await.unwrap();
        until(|| link.counters().unreachable == 1 + n).await;
    }
    assert_silent(&socket, ms(30)).await;
    let callee = Callee::start_at(addr).await;
    assert_eq!(ask(&socket, b"e").await, b"e");
    assert_eq!(callee.ports(), port, "the session outlives a restart at the same address");
    assert_eq!(link.counters().sessions, 1);
}

#[tokio::test]
async fn a_callee_may_come_back_elsewhere() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    ask(&socket, b"a").await;
    callee.stop().await;
    let callee = Callee::start_at("127.0.0.2:0".parse().unwrap()).await;
    link.set_upstream(Some(callee.addr));
    assert_eq!(ask(&socket, b"b").await, b"b");
    assert_eq!(callee.got(), [b"b"]);
    assert_eq!((link.counters().sessions, link.counters().active_sessions), (2, 1));
}

#[tokio::test]
async fn what_is_held_goes_to_where_the_callee_is_when_it_leaves() {
    let (old, new) = (Callee::start().await, Callee::start().await);
    let link = link_to(&old);
    let socket = caller(&link).await;
    link.toxics().add("slow", up(Delay::new(Duration::from_secs(600)))).unwrap();
    socket.send(b"a").await.unwrap();
    until(|| link.counters().delayed == 1).await;
    link.set_upstream(Some(new.addr));
    link.toxics().clear().unwrap();
    assert_eq!(receive(&socket).await, b"a");
    assert_eq!((old.got().len(), new.got().len()), (0, 1));
}

#[tokio::test]
async fn a_link_that_leads_to_itself_goes_nowhere() {
    let link = UdpLink::bind(LOCAL, 7).unwrap();
    link.set_upstream(Some(link.addr()));
    caller(&link).await.send(b"a").await.unwrap();
    until(|| link.counters().unreachable == 1).await;
    assert_eq!(link.counters().sessions, 0);
}

#[tokio::test]
async fn only_the_callee_is_heard() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    ask(&socket, b"a").await;
    let session = SocketAddr::new(LOCAL, callee.ports()[0]);
    let stranger = UdpSocket::bind((LOCAL, 0)).await.unwrap();
    stranger.send_to(b"spoof", session).await.unwrap();
    assert_eq!(ask(&socket, b"b").await, b"b");
    assert_silent(&socket, ms(30)).await;
}

#[tokio::test]
async fn the_session_used_last_goes_last() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let (first, second) = (caller(&link).await, caller(&link).await);
    ask(&first, b"a").await;
    ask(&second, b"b").await;
    ask(&first, b"c").await;
    // Kept, so that no port is given out a second time.
    let mut others = Vec::new();
    for _ in 0..MAX_SESSIONS - 1 {
        others.push(caller(&link).await);
        ask(others.last().unwrap(), b"d").await;
    }
    let counted = link.counters();
    assert_eq!((counted.active_sessions, counted.evicted), (MAX_SESSIONS as u64, 1));
    ask(&first, b"e").await;
    assert_eq!(link.counters().sessions, counted.sessions, "the first one is still there");
    ask(&second, b"f").await;
    assert_eq!(link.counters().sessions, counted.sessions + 1, "the second one had to go");
}

#[tokio::test]
async fn silent_sessions_end() {
    let (callee, counters) = (Callee::start().await, UdpCounters::default());
    let mut sessions = Sessions::default();
    let caller = "127.0.0.1:9".parse().unwrap();
    assert_eq!(IDLE, Duration::from_secs(300), "what RFC 4787 recommends");
    let start = std::time::Instant::now();
    sessions.socket(caller, callee.addr, &counters).unwrap();
    sessions.expire(start + IDLE - ms(1), &counters);
    assert_eq!(counters.snapshot().active_sessions, 1);
    sessions.expire(std::time::Instant::now() + IDLE, &counters);
    assert_eq!((counters.snapshot().active_sessions, sessions.deadline()), (0, None));
}

#[tokio::test]
async fn nothing_is_left_after_a_shutdown() {
    let callee = Callee::start().await;
    let link = link_to(&callee);
    let socket = caller(&link).await;
    ask(&socket, b"a").await;
    let (addr, toxics) = (link.addr(), link.toxics());
    let ports = [addr.port(), callee.ports()[0]];
    soon(link.shutdown()).await;
    for port in ports {
        std::net::UdpSocket::bind((LOCAL, port)).expect("the port is free again");
    }
    assert!(matches!(toxics.add("a", up(Loss {})), Err(LinkError::Closed(closed)) if closed == addr));
}

#[tokio::test]
async fn dropping_the_link_ends_it_too() {
    let link = UdpLink::bind(LOCAL, 7).unwrap();
    let port = link.addr().port();
    drop(link);
    until(|| std::net::UdpSocket::bind((LOCAL, port)).is_ok()).await;
}

#[tokio::test]
async fn every_interface_at_once_is_refused() {
    let error = UdpLink::bind(Ipv4Addr::UNSPECIFIED.into(), 7).unwrap_err();
    assert!(matches!(error, LinkError::Unspecified(_)));
}

#[test]
fn without_a_runtime_it_says_so() {
    assert!(matches!(UdpLink::bind(LOCAL, 7), Err(LinkError::NoRuntime)));
}
