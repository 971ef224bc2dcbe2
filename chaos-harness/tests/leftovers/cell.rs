//! One way to end a test process: a signal, whom it hits, what has become of the undo log by then, the moment, and the
//! runtime.
//!
//! What each signal means:
//! - SIGKILL ends the test. A guard that it ends is replaced, and the test is killed once another one is there. Where it
//!   ends both, the next run cleans up: only here, and only this may take 15 s.
//! - SIGTERM and SIGINT have the test roll back and end by itself; SIGHUP ends it at once. A guard outlives all three: the
//!   test is killed right after.
//! - SIGSTOP ends nothing: the test is killed once it is seen stopped. The test wakes a guard that is stopped, and is killed
//!   once that is seen. With both, the test is stopped first, then the guard; both are seen stopped, and the test is killed.
//! - The group is the process group of the test, as a runner or a terminal signals it. The guard has one of its own.
//!
//! Time runs from the last signal until nothing is left and the guard has gone.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chaos_harness::safety::clean;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::traces::{self, WITHIN};
use crate::victim::Victim;

/// Where the next run cleans up.
const NEXT_RUN_WITHIN: Duration = Duration::from_secs(15);
/// Anything but a broken machine comes so far in that time.
const SOON: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(25);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Test,
    Guard,
    Both,
    Group,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Log {
    Whole,
    Truncated,
    Corrupted,
    Deleted,
}

/// As the journal tells it, but for the first: the targets are up, and nothing is injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    Up,
    Injecting,
    Holding,
    RollingBack,
    TearingDown,
}

pub(crate) const SIGNALS: [(&str, Signal); 5] = [
    ("SIGKILL", Signal::KILL),
    ("SIGTERM", Signal::TERM),
    ("SIGINT", Signal::INT),
    ("SIGHUP", Signal::HUP),
    ("SIGSTOP", Signal::STOP),
];
pub(crate) const TARGETS: [Target; 4] = [Target::Test, Target::Guard, Target::Both, Target::Group];
pub(crate) const LOGS: [Log; 4] = [Log::Whole, Log::Truncated, Log::Corrupted, Log::Deleted];
pub(crate) const MOMENTS: [Moment; 5] =
    [Moment::Up, Moment::Injecting, Moment::Holding, Moment::RollingBack, Moment::TearingDown];
pub(crate) const RUNTIMES: [&str; 2] = ["docker", "process"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) signal: (&'static str, Signal),
    pub(crate) target: Target,
    pub(crate) log: Log,
    pub(crate) moment: Moment,
    pub(crate) runtime: &'static str,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { signal: (signal, _), target, log, moment, runtime } = self;
        write!(f, "{signal} to {target:?}, log {log:?}, {moment:?}, {runtime}")
    }
}

impl Moment {
    /// What the victim's journal says then.
    fn words(self) -> &'static str {
        match self {
            Self::Up => r#""phase":"start""#,
            Self::Injecting => r#""phase":"inject""#,
            Self::Holding => r#""injected""#,
            Self::RollingBack => r#""phase":"roll_back""#,
            Self::TearingDown => r#""phase":"tear_down""#,
        }
    }
}

impl Log {
    /// What cannot be read of a log is kept, and named by the next run. The end of one that was cut off is no line, unless
    /// the test still writes one behind it.
    fn may_be_kept(self) -> bool {
        matches!(self, Self::Truncated | Self::Corrupted)
    }

    /// The log may have gone by itself already.
    fn damage(self, victim: &Victim) {
        for path in traces::logs(victim.folder.path()).into_iter().map(PathBuf::from) {
            let Ok(file) = std::fs::OpenOptions::new().write(true).open(&path) else { continue };
            let length = file.metadata().unwrap().len();
            match self {
                Self::Whole => {}
                Self::Truncated => file.set_len(length / 2).unwrap(),
                Self::Corrupted => file.write_all_at(&[0xa5; 24], length / 2).unwrap(),
                Self::Deleted => drop(std::fs::remove_file(&path)),
            }
        }
    }
}

impl Cell {
    pub(crate) fn are_both_killed(&self) -> bool {
        self.signal.1 == Signal::KILL && self.target == Target::Both
    }

    /// Starts a victim, and waits until its targets are up.
    pub(crate) fn start(&self) -> Victim {
        let victim = Victim::start("step_by_step", self.runtime);
        await_that(&format!("{self}: the targets to be up"), || victim.folder.path().join("up").exists());
        victim
    }

    /// Ends it when its moment has come; how long anything of it was left.
    pub(crate) fn end(&self, victim: &mut Victim) -> Duration {
        if self.moment != Moment::Up {
            std::fs::write(victim.folder.path().join("go"), "").unwrap();
            self.await_moment(victim);
        }
        self.log.damage(victim);
        self.send(victim);
        let since = Instant::now();
        await_that(&format!("{self}: the test to end"), || victim.process.try_wait().unwrap().is_some());
        let mut within = WITHIN;
        if self.are_both_killed() {
            self.clean_as_the_next_run_does(victim);
            within = NEXT_RUN_WITHIN;
        }
        self.await_nothing_left(victim, since, within)
    }

    fn await_moment(&self, victim: &mut Victim) {
        let journal = victim.folder.path().join("journal");
        let since = Instant::now();
        while !files_below(&journal).iter().any(|text| text.contains(self.moment.words())) {
            assert!(since.elapsed() < SOON, "{self}: the moment never came");
            assert_eq!(victim.process.try_wait().unwrap(), None, "{self}: the victim ended by itself");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn send(&self, victim: &Victim) {
        let (test, (_, signal)) = (pid(victim.pid()), self.signal);
        // One that is tearing down may have ended by itself.
        let to_test = |signal| kill_process(test, signal).unwrap_or_default();
        let to_group = |signal| kill_process_group(test, signal).unwrap_or_default();
        let guard = guard_of(victim);
        let to_guard = |signal| guard.map(|guard| kill_process(guard, signal).unwrap());
        match self.target {
            Target::Test => {
                to_test(signal);
                if signal == Signal::STOP {
                    self.await_state(test, true);
                    to_test(Signal::KILL);
                }
            }
            Target::Guard => {
                to_guard(signal);
                match guard {
                    Some(guard) if signal == Signal::STOP => self.await_state(guard, false),
                    Some(guard) if signal == Signal::KILL => self.await_another(victim, guard),
                    _ => {}
                }
                to_test(Signal::KILL);
            }
            Target::Both if signal == Signal::KILL || signal == Signal::STOP => {
                to_test(Signal::STOP);
                self.await_state(test, true);
                to_guard(signal);
                if let Some(guard) = guard.filter(|_| signal == Signal::STOP) {
                    self.await_state(guard, true);
                }
                to_test(Signal::KILL);
            }
            Target::Both => {
                to_guard(signal);
                to_test(signal);
            }
            Target::Group => {
                to_group(signal);
                if signal == Signal::STOP {
                    self.await_state(test, true);
                    to_group(Signal::KILL);
                }
            }
        }
    }

    /// Waits until all threads of a process are stopped, or none is for several looks; one that has ended is neither. A stop
    /// that is on its way cannot be seen.
    fn await_state(&self, process: Pid, stopped: bool) {
        let what = format!("{self}: process {process} to be {}", if stopped { "stopped" } else { "awake" });
        let looks = if stopped { 1 } else { 6 };
        let mut seen = 0;
        await_that(&what, || {
            let is_so = |thread: &char| (*thread == 'T') == stopped;
            seen = if threads(process).iter().all(is_so) { seen + 1 } else { 0 };
            seen == looks
        });
    }

    fn await_another(&self, victim: &Victim, guard: Pid) {
        await_that(&format!("{self}: another guard"), || {
            guard_of(victim).is_some_and(|now| now != guard) || state(pid(victim.pid())).is_none()
        });
    }

    fn clean_as_the_next_run_does(&self, victim: &Victim) {
        let undo = victim.folder.path().join("undo");
        let cleaned = tokio::runtime::Runtime::new().unwrap().block_on(clean(&undo, false));
        let own = |failed: &&String| failed.contains(&*undo.to_string_lossy());
        let failed: Vec<_> = cleaned.failed.iter().filter(own).collect();
        assert!(self.log.may_be_kept() || failed.is_empty(), "{self}: {failed:?}");
        // What is kept is named, so that nobody takes it for nothing.
        for log in traces::logs(victim.folder.path()) {
            assert!(failed.iter().any(|failed| failed.contains(&log)), "{self}: {log} is kept in silence: {failed:?}");
        }
    }

    fn await_nothing_left(&self, victim: &Victim, since: Instant, within: Duration) -> Duration {
        loop {
            let mut left = traces::on_this_machine(victim.pid());
            left.extend(traces::processes("CHAOS_GUARD_OF", victim.pid()));
            // The engine is asked last: its command line is slow.
            if left.is_empty() && self.runtime == "docker" {
                left = traces::resources(victim.pid());
            }
            let took = since.elapsed();
            if left.is_empty() {
                let logs = traces::logs(victim.folder.path());
                assert!(self.log.may_be_kept() || logs.is_empty(), "{self}: {logs:?}");
                assert!(took < within, "{self}: it took {took:?}");
                return took;
            }
            assert!(took < within, "{self}: left after {took:?}: {left:?}");
            std::thread::sleep(PAUSE);
        }
    }
}

fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < SOON, "not within {SOON:?}: {what}");
        std::thread::sleep(PAUSE);
    }
}

pub(crate) fn pid(process: u32) -> Pid {
    Pid::from_raw(process.cast_signed()).unwrap()
}

/// The guard of a victim; none while it is being replaced.
pub(crate) fn guard_of(victim: &Victim) -> Option<Pid> {
    let guards = traces::processes("CHAOS_GUARD_OF", victim.pid());
    guards.first().map(|guard| pid(guard.rsplit('/').next().unwrap().parse().unwrap()))
}

/// The letter that proc(5) has for a process that has not ended.
pub(crate) fn state(process: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next().filter(|state| *state != 'Z')
}

/// The same for each of its threads.
fn threads(process: Pid) -> Vec<char> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let state = |thread: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next().filter(|state| *state != 'Z')
    };
    threads.filter_map(state).collect()
}

fn files_below(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = entries.flat_map(|entry| match entry.path() {
        path if path.is_dir() => files_below(&path),
        path => std::fs::read_to_string(path).into_iter().collect(),
    });
    texts.collect()
}

/// Says how far the table has come.
pub(crate) fn tell(cell: &Cell, took: Duration) {
    let _ = writeln!(std::io::stderr(), "{cell}: {} ms", took.as_millis());
}
