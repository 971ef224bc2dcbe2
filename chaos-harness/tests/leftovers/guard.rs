//! A guard that is asked for by nobody, and one that is stopped or killed while its owner lives.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;
use rustix::process::{Signal, kill_process};

use crate::cell::{guard_of, pid, state};
use crate::common::{engine_answers, not_run};
use crate::traces;
use crate::victim::Victim;

/// A process that was not asked has to end in that time.
const REFUSED_WITHIN: Duration = Duration::from_secs(10);

/// A chaos test that would pass, with a planted value.
fn planted(value: &str, stdin: impl Into<Stdio>) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "victim::passes"])
        .env("CHAOS_GUARD_OF", value)
        .env("CHAOS_RUNTIME", "process");
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn assert_refused(output: &Output, reason: &str) {
    let said = String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned();
    assert!(!output.status.success(), "it passed: {said}");
    assert!(said.contains(reason) && said.contains("unset CHAOS_GUARD_OF"), "{said}");
}

/// The value that a guard of process `owner` has, with a word of our own.
fn value_of(owner: u32) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let stat = read(&format!("/proc/{owner}/stat"));
    let started = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap();
    let (machine, boot) = (read("/etc/machine-id"), read("/proc/sys/kernel/random/boot_id"));
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap();
    format!("{owner}/{started}/{machine}/{boot}/{} 0123", namespace.display())
}

#[rstest]
#[case::nonsense("x".to_owned(), "names no process and word")]
#[case::empty(String::new(), "names no process and word")]
#[case::without_a_word(value_of(1).split(' ').next().unwrap().to_owned(), "names no process and word")]
#[case::a_live_process(value_of(1), "standard input is no pipe")]
#[case::the_parent(value_of(std::process::id()), "standard input is no pipe")]
fn a_planted_variable_passes_no_test(#[case] value: String, #[case] reason: &str) {
    assert_refused(&planted(&value, Stdio::null()).output().unwrap(), reason);
    assert_refused(&planted(&value, File::open("/dev/zero").unwrap()).output().unwrap(), reason);
}

#[test]
fn it_passes_none_in_a_pipe_either() {
    let others = "its parent is process";
    for (value, said, reason) in [
        (value_of(1), "0123\n", others),
        (value_of(std::process::id()), "", "does not begin with the word"),
        (value_of(std::process::id()), "0124\n", "does not begin with the word"),
        (value_of(std::process::id()), "01234567890123456789", "does not begin with the word"),
    ] {
        let mut refused = planted(&value, Stdio::piped()).spawn().unwrap();
        // It may have ended before it reads that.
        let _ = refused.stdin.take().unwrap().write_all(said.as_bytes());
        assert_refused(&refused.wait_with_output().unwrap(), reason);
    }
}

/// Nobody writes, and nobody ever will: a terminal behind `cat`, a runner that keeps a pipe open.
#[test]
fn it_does_not_hang_on_a_pipe_that_stays_open() {
    let since = Instant::now();
    let mut refused = planted(&value_of(std::process::id()), Stdio::piped()).spawn().unwrap();
    let open = refused.stdin.take().unwrap();
    let status = loop {
        match refused.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(since.elapsed() < REFUSED_WITHIN, "it hangs"),
        }
        std::thread::sleep(Duration::from_millis(25));
    };
    assert!(!status.success());
    drop(open);
}

/// As `cargo test` in a shell whose `script` has left the variable: standard input is a terminal.
#[test]
fn it_does_not_hang_on_a_terminal() {
    let executable = std::env::current_exe().unwrap();
    let test = format!("{} --ignored --exact victim::passes", executable.display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &test, "/dev/null"]);
    // Its own input stays open, as a terminal does.
    script.env("CHAOS_GUARD_OF", value_of(1)).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut script) = script.spawn() else { return not_run("no script(1) for a terminal") };
    let since = Instant::now();
    let open = script.stdin.take();
    let status = loop {
        match script.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(since.elapsed() < REFUSED_WITHIN, "it hangs"),
        }
        std::thread::sleep(Duration::from_millis(25));
    };
    let mut said = String::new();
    script.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!status.success() && said.contains("standard input is no pipe"), "{status:?} {said}");
    drop(open);
}

/// Listing tests runs none, so it is no matter.
#[test]
fn tests_are_listed_whatever_it_is() {
    let mut list = Command::new(std::env::current_exe().unwrap());
    let output = list.args(["--list", "--format", "terse"]).env("CHAOS_GUARD_OF", "x").output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("victim::passes: test"));
}

/// Only the guard itself has it: what the test starts is never taken for a guard.
#[test]
fn nothing_inherits_the_variable() {
    let mut victim = Victim::start("waits", "process");
    victim.wait_for_fault();
    let services = traces::processes("CHAOS_HARNESS_OWNER", victim.pid());
    let guards = traces::processes("CHAOS_GUARD_OF", victim.pid());
    assert_eq!((services.len(), guards.len()), (2, 1), "{services:?} {guards:?}");
    assert!(!services.contains(&guards[0]));
    victim.kill();
    victim.wait_until_gone("nothing inherits");
}

/// All that can be caught, one after the other; it still cleans up.
#[test]
fn it_outlives_every_signal_but_kill() {
    let mut victim = Victim::start("waits", "process");
    victim.wait_for_fault();
    let guard = guard_of(&victim).unwrap();
    // TRAP, BUS and SYS are left out: they are of a program that cannot go on.
    for name in "HUP INT QUIT ABRT USR1 USR2 PIPE ALRM TERM STKFLT CHLD CONT TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF \
                 WINCH POLL PWR 34 64"
        .split_whitespace()
    {
        let sent = Command::new("kill").args([&format!("-{name}"), &guard.to_string()]).status().unwrap();
        assert!(sent.success(), "{name}");
    }
    victim.kill();
    victim.wait_until_gone("after every signal");
    assert_eq!(state(guard), None, "it ends when it is done");
}

/// Again and again; the one that stands at the end knows all, though the log is gone.
#[rstest]
fn it_is_replaced_when_it_is_killed(#[values("process", "docker")] runtime: &str) {
    if runtime == "docker" && !engine_answers() {
        return not_run("no docker engine");
    }
    let mut victim = Victim::start("waits", runtime);
    victim.wait_for_fault();
    std::fs::remove_dir_all(victim.folder.path().join("undo")).unwrap();
    for _ in 0..5 {
        let (guard, since) = (guard_of(&victim).unwrap(), Instant::now());
        kill_process(guard, Signal::KILL).unwrap();
        while guard_of(&victim).is_none_or(|now| now == guard) {
            assert!(since.elapsed() < Duration::from_secs(5), "no other guard");
            std::thread::sleep(Duration::from_millis(1));
        }
        eprintln!("another guard after {:?}", since.elapsed());
    }
    victim.kill();
    victim.wait_until_gone("after its guards were killed");
}

#[test]
fn no_injection_is_without_one() {
    let victim = Victim::start("kills_its_guard", "process");
    let output = victim.process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(said.contains("under a guard 10 times"), "{said}");
}

/// The owner wakes it, also where the kernel would not: in a session that somebody else reaps.
#[test]
fn it_is_woken_when_it_is_stopped() {
    let mut victim = Victim::start("waits", "process");
    victim.wait_for_fault();
    let guard = guard_of(&victim).unwrap();
    let since = Instant::now();
    kill_process(guard, Signal::STOP).unwrap();
    while state(guard) == Some('T') {
        assert!(since.elapsed() < Duration::from_secs(5), "nobody wakes it");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(guard_of(&victim), Some(guard), "it is the same");
    eprintln!("awake after {:?}", since.elapsed());
    victim.kill();
    victim.wait_until_gone("after its guard was stopped");
}

/// Both are stopped, then the test is killed: the kernel wakes a process group that becomes orphaned.
#[rstest]
#[case::of_a_shell(&[])]
#[case::in_a_session_of_its_own(&["setsid", "--wait"])]
#[case::under_a_time_limit(&["timeout", "60"])]
#[case::under_a_time_limit_in_the_foreground(&["timeout", "--foreground", "60"])]
fn the_kernel_wakes_it_when_both_are_stopped(#[case] starter: &[&str]) {
    let mut victim = match starter {
        [] => Victim::start("waits", "process"),
        [program, words @ ..] => {
            let mut command = Command::new(program);
            command.args(words).arg(std::env::current_exe().unwrap());
            Victim::start_by(command, "waits", "process")
        }
    };
    victim.wait_for_fault();
    let test = victim.test();
    let guard = traces::processes("CHAOS_GUARD_OF", test).remove(0);
    let guard = pid(guard.rsplit('/').next().unwrap().parse().unwrap());
    for process in [pid(test), guard] {
        kill_process(process, Signal::STOP).unwrap();
        while state(process) != Some('T') {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    kill_process(pid(test), Signal::KILL).unwrap();
    let gone = traces::wait_until_gone(test, victim.folder.path(), "both stopped");
    eprintln!("{starter:?}: clean after {gone:?}");
    let _ = victim.process.wait();
}

/// Twelve environments take about as long as one.
#[rstest]
fn it_cleans_environments_side_by_side(#[values("process", "docker")] runtime: &str) {
    if runtime == "docker" && !engine_answers() {
        return not_run("no docker engine");
    }
    let mut victim = Victim::start("twelve", runtime);
    let since = Instant::now();
    while !victim.folder.path().join("up").exists() {
        assert!(since.elapsed() < Duration::from_secs(120), "they never came up");
        std::thread::sleep(Duration::from_millis(25));
    }
    eprintln!("twelve on {runtime}: up after {:?}", since.elapsed());
    victim.kill();
    let gone = victim.wait_until_gone("twelve");
    eprintln!("twelve on {runtime}: clean after {gone:?}");
}
