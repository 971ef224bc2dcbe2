//! The command that runs this process as one of its tests: cargo, or cargo-nextest, further up among its parents.

use std::time::Duration;

use jiff::Timestamp;
use rustix::param::clock_ticks_per_second;

/// No command lies further up: a shell, a wrapper such as `sudo` and a runner of tests are all that come between.
const FURTHEST: usize = 16;

/// A process of cargo or cargo-nextest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// Its process id.
    pub(crate) pid: u32,
    /// When it started, in clock ticks since the machine did.
    pub(crate) ticks: u64,
    /// What it was told, from the subcommand on.
    pub(crate) arguments: Vec<String>,
}

/// What proc(5) says of a process in `stat`.
struct Stat {
    name: String,
    parent: u32,
    ticks: u64,
}

impl Invocation {
    /// The nearest one above this process; `None` for a process that no cargo has started.
    pub(crate) fn of_this_process() -> Option<Self> {
        let mut pid = std::process::id();
        for _ in 0..FURTHEST {
            let parent = Stat::of(pid)?.parent;
            let stat = Stat::of(parent)?;
            if matches!(stat.name.as_str(), "cargo" | "cargo-nextest") {
                return Some(Self { pid: parent, ticks: stat.ticks, arguments: arguments(parent) });
            }
            pid = parent;
        }
        None
    }

    /// This process itself, as what was started by hand.
    pub(crate) fn by_hand() -> Self {
        let pid = std::process::id();
        let ticks = Stat::of(pid).map_or(0, |stat| stat.ticks);
        Self { pid, ticks, arguments: std::env::args().skip(1).collect() }
    }

    /// When it started, by the clock on the wall.
    pub(crate) fn started_at(&self) -> Timestamp {
        let ran = running_for(self.ticks).unwrap_or_default();
        Timestamp::now().checked_sub(ran).unwrap_or_default()
    }
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::read(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name stands in brackets, and may hold brackets and blanks itself.
    fn read(text: &str) -> Option<Self> {
        let (before, after) = text.rsplit_once(')')?;
        let mut fields = after.split_whitespace();
        Some(Self {
            name: before.split_once('(')?.1.to_owned(),
            parent: fields.nth(1)?.parse().ok()?,
            ticks: fields.nth(17)?.parse().ok()?,
        })
    }
}

fn arguments(pid: u32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let texts = bytes.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
    let mut all: Vec<String> = texts.skip(1).collect();
    // The last one ends with a zero byte as well.
    all.pop();
    all
}

fn running_for(ticks: u64) -> Option<Duration> {
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let started = ticks as f64 / clock_ticks_per_second() as f64;
    Duration::try_from_secs_f64(uptime - started).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_brackets() {
        let stat = Stat::read("42 (a) (b c) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 9876 1 1").unwrap();
        assert_eq!((stat.name.as_str(), stat.parent, stat.ticks), ("a) (b c", 7, 9876));
        assert!(Stat::read("42 (cut").is_none());
    }

    #[test]
    fn this_process_started_a_moment_ago() {
        let process = Invocation::by_hand();
        assert_eq!(process.pid, std::process::id());
        let age = Timestamp::now().duration_since(process.started_at());
        assert!(age.as_secs_f64() > -1.0 && age.as_secs() < 3600, "{age:?}");
    }

    #[test]
    fn cargo_is_found_above_a_shell() {
        let Some(here) = Invocation::of_this_process() else {
            println!("not run: no cargo has started this process");
            return;
        };
        assert!(!here.arguments.is_empty(), "{here:?}");
        assert!(here.started_at() <= Invocation::by_hand().started_at());
    }
}
