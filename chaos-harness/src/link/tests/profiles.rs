//! When toxics act: every profile, on live and on new connections.

use std::io::ErrorKind;
use std::time::Instant;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn square(period: Duration, on: Duration) -> Profile {
    Profile::Square { period, on }
}

#[tokio::test]
async fn a_pulse_waits_acts_once_and_lets_go() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut before = live(&link).await;
    let start = Instant::now();
    let pulse = Profile::Pulse { after: ms(300), lasts: ms(300) };
    link.toxics().add("hole", black_hole().profile(pulse)).unwrap();
    assert_eq!(ping(&mut before, b"early").await, b"early");
    assert_eq!(link.counters().stalls, 0, "it waits");
    let mut during = connect(&link).await;
    let mut sent = 0;
    while link.toxics().counters("hole").unwrap().affected < 2 {
        for stream in [&mut before, &mut during] {
            stream.write_all(b"x").await.unwrap();
        }
        sent += 1;
        tokio::time::sleep(ms(2)).await;
    }
    assert!(start.elapsed() >= ms(300), "never early");
    for stream in [&mut before, &mut during] {
        soon(stream.read_exact(&mut vec![0; sent])).await.unwrap();
        assert!(start.elapsed() >= ms(600), "never early");
    }
    let stalled = link.counters().stalled_bytes;
    live(&link).await;
    assert_eq!(link.counters().stalled_bytes, stalled, "it acts once");
    assert_eq!(link.toxics().list().len(), 1, "it is still there");
}

#[tokio::test]
async fn a_square_comes_back_to_the_same_connections() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut before = live(&link).await;
    link.toxics().add("hole", black_hole().direction(Direction::Up).profile(square(ms(40), ms(20)))).unwrap();
    let mut after = live(&link).await;
    soon(async {
        while link.counters().stalls < 8 {
            for stream in [&mut before, &mut after] {
                assert_eq!(ping(stream, b"all of it").await, b"all of it");
            }
        }
    })
    .await;
    assert!(link.toxics().counters("hole").unwrap().affected <= 2, "each counts once");
}

#[tokio::test]
async fn a_refusal_closes_and_opens_the_port_by_turns() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut before = live(&link).await;
    link.toxics().add("flap", refuse().profile(square(ms(60), ms(30)))).unwrap();
    assert_reset(&mut before).await;
    let (mut refused, mut served) = (0, 0);
    soon(async {
        while refused < 5 || served < 5 || link.counters().closings < 3 {
            match TcpStream::connect(link.addr()).await {
                Ok(_) => served += 1,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => refused += 1,
                // The port closed on one that waited to be accepted.
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            }
            tokio::time::sleep(ms(3)).await;
        }
    })
    .await;
    link.toxics().remove("flap").unwrap();
    let mut after = live(&link).await;
    tokio::time::sleep(ms(100)).await;
    assert_eq!(ping(&mut after, b"for good").await, b"for good");
}

#[tokio::test]
async fn windows_reset_what_lives_when_they_begin() {
    let server = Server::echo().await;
    let link = link_to(&server);
    link.toxics().add("rst", reset().profile(Profile::windows(ms(5), ms(40)))).unwrap();
    soon(async {
        // Some are reset as they open, some later: no connection outlives a window.
        while link.counters().reset < 5 {
            let mut stream = connect(&link).await;
            while stream.write_all(b"x").await.is_ok() && stream.read_exact(&mut [0]).await.is_ok() {}
        }
    })
    .await;
}

#[tokio::test]
async fn a_ramped_latency_grows_for_the_live_and_the_new() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut before = live(&link).await;
    let slow = latency(HOUR).direction(Direction::Down).profile(Profile::Ramp { over: HOUR });
    link.toxics().add("slow", slow).unwrap();
    // At this steepness, the delay of a chunk is the age of the toxic.
    let added = Instant::now();
    let mut after = live(&link).await;
    for pause in [0, 100, 300] {
        tokio::time::sleep(ms(pause)).await;
        for stream in [&mut before, &mut after] {
            let sent = Instant::now();
            ping(stream, b"x").await;
            assert!(sent.elapsed() >= sent - added, "{:?} at {:?}", sent.elapsed(), sent - added);
        }
    }
    assert_eq!(link.counters().affected, 2);
}

#[tokio::test]
async fn a_ramped_refusal_reaches_every_connection_and_then_the_port() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut lives = Vec::new();
    for _ in 0..30 {
        lives.push(live(&link).await);
    }
    let start = Instant::now();
    link.toxics().add("more", refuse().profile(Profile::Ramp { over: ms(500) })).unwrap();
    assert!(TcpStream::connect(link.addr()).await.is_ok(), "somebody listens until the end");
    for stream in &mut lives {
        assert_reset(stream).await;
    }
    until(|| link.counters().closings == 1).await;
    assert!(start.elapsed() >= ms(500), "never early");
    let error = TcpStream::connect(link.addr()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(link.toxics().counters("more").unwrap().refused >= 30);
}

#[tokio::test]
async fn an_update_does_not_set_the_clock_back() {
    let server = Server::echo().await;
    let link = link_to(&server);
    let hole = |lasts| black_hole().profile(Profile::Pulse { after: ms(0), lasts });
    link.toxics().add("hole", hole(HOUR)).unwrap();
    let mut stream = connect(&link).await;
    stream.write_all(b"x").await.unwrap();
    until(|| link.counters().stalls == 1).await;
    tokio::time::sleep(ms(20)).await;
    link.toxics().update("hole", hole(ms(10))).unwrap();
    soon(stream.read_exact(&mut [0])).await.unwrap();
}

#[tokio::test]
async fn no_task_is_left_after_removal_and_after_shutdown() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let server = Server::echo().await;
    let none = tasks();
    let link = link_to(&server);
    let idle = tasks();
    for _ in 0..3 {
        link.toxics().add("flap", refuse().profile(square(ms(20), ms(10)))).unwrap();
        link.toxics().add("slow", latency(ms(1)).profile(Profile::windows(ms(5), ms(5)))).unwrap();
        until(|| link.counters().closings > 2).await;
        assert!(tasks() > 0);
        link.toxics().clear().unwrap();
        until(|| tasks() == idle).await;
        assert_eq!(Arc::strong_count(&link.link), 2, "the link's own and that of the accept loop");
    }
    link.toxics().add("over", latency(ms(1)).profile(Profile::Pulse { after: ms(5), lasts: ms(5) })).unwrap();
    until(|| tasks() == idle).await;
    link.toxics().add("flap", black_hole().profile(square(ms(20), ms(10)))).unwrap();
    soon(link.shutdown()).await;
    assert_eq!(tasks(), none);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_end_on_time() {
    let _quiet = QUIET.lock().await;
    let server = Server::echo().await;
    let link = link_to(&server);
    let mut stream = live(&link).await;
    let mut late = Vec::new();
    for _ in 0..40 {
        let start = Instant::now();
        let pulse = Profile::Pulse { after: ms(0), lasts: ms(20) };
        link.toxics().add("hole", black_hole().direction(Direction::Up).profile(pulse)).unwrap();
        ping(&mut stream, b"x").await;
        late.push(start.elapsed().checked_sub(ms(20)).expect("never early"));
        link.toxics().remove("hole").unwrap();
    }
    late.sort();
    println!("windows end late by {:?} at the median, {:?} at worst", late[20], late[39]);
    assert!(quartile(&late) < ms(10), "{late:?}");
}
