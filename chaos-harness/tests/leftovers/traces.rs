//! What can still be seen of a test process.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::cell::{pid, state};
use crate::common::{docker, engine_answers};

/// The guarantee.
pub(crate) const WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(25);

/// Waits until nothing of process `victim`, whose files are in `folder`, is left; how long that took. The guard is
/// the last to go, and not counted as a trace.
pub(crate) fn wait_until_gone(victim: u32, folder: &Path, context: &str) -> Duration {
    let since = Instant::now();
    loop {
        let left = of(victim, folder);
        if left.is_empty() {
            break;
        }
        assert!(since.elapsed() < WITHIN, "{context}: left after {WITHIN:?}: {left:?}");
        std::thread::sleep(PAUSE);
    }
    let gone = since.elapsed();
    while !processes("CHAOS_GUARD_OF", victim).is_empty() {
        assert!(since.elapsed() < WITHIN, "{context}: the guard is still there after {WITHIN:?}");
        std::thread::sleep(PAUSE);
    }
    assert_eq!(logs(folder), [""; 0], "{context}: the guard went before its undo logs");
    gone
}

/// Everything that is left of `victim`: containers, networks, volumes, processes.
pub(crate) fn of(victim: u32, folder: &Path) -> Vec<String> {
    // Without an undo log there was no environment, and so nothing at the engine.
    if std::fs::exists(folder.join("undo")).unwrap() { all_of(victim) } else { on_this_machine(victim) }
}

/// The same, whatever has become of the undo log.
pub(crate) fn all_of(victim: u32) -> Vec<String> {
    let mut left = on_this_machine(victim);
    left.extend(resources(victim));
    left
}

pub(crate) fn on_this_machine(victim: u32) -> Vec<String> {
    let mut left = processes("CHAOS_HARNESS_OWNER", victim);
    let user = rustix::process::getuid().as_raw();
    let folders = std::env::temp_dir().join(format!("chaos-harness-{user}/instances"));
    let folders = std::fs::read_dir(folders).into_iter().flatten().flatten().map(|folder| folder.path());
    let owned = |folder: &std::path::PathBuf| {
        std::fs::read_to_string(folder.join("owner")).is_ok_and(|owner| owner.starts_with(&format!("{victim}/")))
    };
    left.extend(folders.filter(owned).map(|folder| format!("folder {}", folder.display())));
    left
}

/// The undo logs in `folder`.
pub(crate) fn logs(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("undo")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

/// The processes whose environment says in `variable` that they belong to process `owner`.
pub(crate) fn processes(variable: &str, owner: u32) -> Vec<String> {
    let mark = format!("{variable}={owner}/");
    let all = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let marked = all.filter(|process| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(mark.as_bytes()))
    });
    marked.map(|process| format!("process {}", process.display())).collect()
}

/// Ends the guard of process `owner`, and waits until it has ended.
pub(crate) fn kill_guard(owner: u32) {
    for guard in processes("CHAOS_GUARD_OF", owner) {
        let guard = pid(guard.rsplit('/').next().unwrap().parse().unwrap());
        kill_process(guard, Signal::KILL).unwrap();
        // Its first thread may have ended before the others, and it with the last.
        let threads = || std::fs::read_dir(format!("/proc/{guard}/task")).map_or(0, Iterator::count);
        while state(guard).is_some() || threads() > 1 {
            std::thread::yield_now();
        }
    }
}

/// The containers, networks and volumes whose owner is process `pid` of this machine.
pub(crate) fn resources(pid: u32) -> Vec<String> {
    if !engine_answers() {
        return Vec::new();
    }
    let mine = |line: &&str| line.split_once(' ').is_some_and(|(_, owner)| owner.starts_with(&format!("{pid}/")));
    let format = "{{.Name}} {{.Label \"chaos-harness.owner\"}}";
    let networks = docker(&["network", "ls", "--filter", "label=chaos-harness.owner", "--format", format]);
    let volumes = docker(&["volume", "ls", "--filter", "label=chaos-harness.owner", "--format", format]);
    let format = "{{.Names}} {{.Label \"chaos-harness.owner\"}}";
    let containers = docker(&["ps", "--all", "--filter", "label=chaos-harness.owner", "--format", format]);
    let all = [networks, volumes, containers].concat();
    all.lines().filter(mine).map(str::to_owned).collect()
}
