//! Delays, duplicates, disorder and damage: where the kernel has no netem, inside another kernel.

use std::path::Path;
use std::time::Instant;

use super::*;
use crate::{Netem, NetnsError, Shaping};

/// A pair, where this kernel has netem.
fn pair_with_netem() -> Option<Pair> {
    let some = Shaping { faults: vec![(Vec::new(), Netem { latency: ms(1), ..Netem::default() })] };
    match Job::Shape(some).check() {
        Err(NetnsError::Missing { module, .. }) => {
            std::io::stderr().lock().write_all(format!("not run here: no {module}\n").as_bytes()).unwrap();
            None
        }
        Err(NetnsError::NotPermitted { .. }) => Pair::new(),
        other => other.map(|()| Pair::new()).unwrap(),
    }
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl Pair {
    fn shape(&self, faults: Vec<(Vec<Packets>, Netem)>) {
        self.perform(&Job::Shape(Shaping { faults }));
    }
}

/// The times that each of some datagrams took, one after the other.
fn delays(from: &UdpSocket, to: &UdpSocket) -> Vec<Duration> {
    to.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let one = || {
        let since = Instant::now();
        from.send(b"x").unwrap();
        to.recv(&mut [0; 1]).unwrap();
        since.elapsed()
    };
    std::iter::repeat_with(one).take(20).collect()
}

/// The middle one: a machine that is busy for a moment is not the kernel's doing.
fn median(mut delays: Vec<Duration>) -> Duration {
    delays.sort();
    delays[delays.len() / 2]
}

#[test]
fn a_delay_is_kept_and_ends() {
    let Some(pair) = pair_with_netem() else { return };
    let (here, there) = pair.sockets();
    let before = median(delays(&here, &there));
    pair.shape(vec![(Vec::new(), Netem { latency: ms(100), ..Netem::default() })]);
    let there_and_back = (median(delays(&here, &there)), median(delays(&there, &here)));
    eprintln!("a delay of 100ms: {there_and_back:?}, before it {before:?}");
    assert!(there_and_back.0.abs_diff(ms(100)) <= ms(2), "{there_and_back:?}");
    assert!(there_and_back.1 < ms(2), "what arrives is not delayed: {there_and_back:?}");
    pair.shape(Vec::new());
    pair.shape(Vec::new());
    assert!(median(delays(&here, &there)) < ms(2));
}

#[test]
fn delays_add_up_and_go_one_by_one() {
    let Some(pair) = pair_with_netem() else { return };
    let (here, there) = pair.sockets();
    let late = |by| (Vec::new(), Netem { latency: ms(by), ..Netem::default() });
    pair.shape(vec![late(20), late(30)]);
    assert!(median(delays(&here, &there)).abs_diff(ms(50)) <= ms(2));
    pair.shape(vec![late(30)]);
    assert!(median(delays(&here, &there)).abs_diff(ms(30)) <= ms(2));
}

#[test]
fn chosen_packets_are_delayed_and_others_are_not() {
    let Some(pair) = pair_with_netem() else { return };
    let ((here, there), (other, others)) = (pair.sockets(), pair.sockets());
    let remote_port = Some((Transport::Udp, there.local_addr().unwrap().port()));
    let chosen = vec![Packets { remote: Some(THERE.into()), remote_port, local_port: None }];
    let late = |by| Netem { latency: ms(by), ..Netem::default() };
    pair.shape(vec![(chosen.clone(), late(60))]);
    assert!(median(delays(&here, &there)).abs_diff(ms(60)) <= ms(2));
    assert!(median(delays(&other, &others)) < ms(2));
    let all = vec![(chosen.clone(), late(60)), (chosen.clone(), late(10)), (Vec::new(), late(30))];
    pair.shape(all.clone());
    assert!(median(delays(&here, &there)).abs_diff(ms(100)) <= ms(2));
    assert!(median(delays(&other, &others)).abs_diff(ms(30)) <= ms(2));
    let shaped = |packets| pair.perform(&Job::Shaped { shaping: Shaping { faults: all.clone() }, packets });
    assert_eq!(shaped(chosen), Done::Counted(Counted { seen: 20, bitten: 20 }));
    assert!(matches!(shaped(Vec::new()), Done::Counted(Counted { seen: 20.., .. })));
    pair.shape(vec![(Vec::new(), late(30))]);
    assert!(median(delays(&here, &there)).abs_diff(ms(30)) <= ms(2), "what is on all stays");
    pair.shape(Vec::new());
    assert_eq!(shaped(Vec::new()), Done::Nothing);
    assert!(median(delays(&here, &there)) < ms(2));
}

#[test]
fn what_somebody_else_has_made_is_left_alone() {
    let Some(pair) = Pair::new() else { return };
    let some = Shaping { faults: vec![(Vec::new(), Netem { latency: ms(1), ..Netem::default() })] };
    let shape = |shaping: &Shaping| pair.here.run(|| Job::Shape(shaping.clone()).perform()).unwrap();
    run(&pair.here, "tc", "qdisc add dev cable root handle 7: tbf rate 8mbit burst 10kb latency 50ms");
    let before = run(&pair.here, "tc", "qdisc show dev cable");
    let (interface, discipline) = ("cable".to_owned(), "tbf 7:".to_owned());
    assert_eq!(shape(&some), Err(NetnsError::Occupied { interface, discipline }));
    assert_eq!(shape(&Shaping::default()), Ok(Done::Done));
    assert_eq!(run(&pair.here, "tc", "qdisc show dev cable"), before);
    run(&pair.here, "tc", "qdisc del dev cable root");
    // What a kernel chooses by itself may be replaced, where it can be.
    for _ in 0..2 {
        assert!(matches!(shape(&some), Ok(Done::Done) | Err(NetnsError::Missing { .. })));
    }
}

#[test]
fn jitter_spreads() {
    let Some(pair) = pair_with_netem() else { return };
    let (here, there) = pair.sockets();
    pair.shape(vec![(Vec::new(), Netem { latency: ms(40), jitter: ms(20), ..Netem::default() })]);
    let delays = delays(&here, &there);
    let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
    eprintln!("40ms +/- 20ms: from {least:?} to {most:?}");
    assert!(*least >= ms(20) && *most <= ms(62) && most.abs_diff(*least) > ms(10), "{delays:?}");
}

#[test]
fn shares_are_duplicated_damaged_and_out_of_order() {
    let Some(pair) = pair_with_netem() else { return };
    let (here, there) = pair.sockets();
    there.set_read_timeout(Some(ms(60))).unwrap();
    // No more at once than a socket holds.
    let rounds = |netem| -> Vec<Vec<u32>> {
        pair.shape(vec![(Vec::new(), netem)]);
        (0..20).map(|_| send(&here, &there, 100)).collect()
    };
    let twice = rounds(Netem { duplicate: 0.2, ..Netem::default() }).concat().len();
    eprintln!("20% duplicated: {twice} of 2000 arrive");
    assert!((2320..2480).contains(&twice), "{twice}");
    // What is damaged does not pass the checksum, unless the damage is in a part that nobody looks at.
    let whole = rounds(Netem { corrupt: 0.2, ..Netem::default() }).concat().len();
    eprintln!("20% damaged: {whole} of 2000 arrive whole");
    assert!((1500..1750).contains(&whole), "{whole}");
    let mixed = rounds(Netem { latency: ms(20), reorder: 0.2, ..Netem::default() });
    let overtaking: usize = mixed.iter().map(|round| overtaking(round)).sum();
    eprintln!("20% sent at once: {overtaking} of 2000 overtake others");
    assert_eq!(mixed.concat().len(), 2000);
    assert!((320..480).contains(&overtaking), "{overtaking}");
}

/// How many arrive before one that was sent earlier.
fn overtaking(numbers: &[u32]) -> usize {
    let overtakes = |at: usize| numbers[at..].iter().any(|later| *later < numbers[at]);
    (0..numbers.len()).filter(|at| overtakes(*at)).count()
}

/// What this kernel cannot do, another can: these tests once more, inside User-Mode Linux.
#[test]
fn in_user_mode_linux() {
    let inside = std::env::var_os("CHAOS_IN_UML").is_some();
    if inside {
        return assert!(pair_with_netem().is_some(), "User-Mode Linux has netem");
    }
    if !Path::new("/usr/bin/linux.uml").exists() || !rustix::process::geteuid().is_root() {
        let line = b"not run: it takes root and the package user-mode-linux\n";
        return std::io::stderr().lock().write_all(line).unwrap();
    }
    let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/uml/run");
    let mut command = Command::new("timeout");
    command.arg("120").arg(runner).arg(std::env::current_exe().unwrap());
    let output = command.args(["tests::shaping", "--nocapture", "--test-threads", "1"]).output().unwrap();
    let (text, console) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    eprintln!("{text}");
    assert!(output.status.success(), "{text}\n{console}");
    assert!(text.contains("test result: ok. 7 passed") && !text.contains("not run"), "{text}");
}
