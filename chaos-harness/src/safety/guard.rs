//! The guard: a process of its own that takes away what a test process leaves when it ends, however it ends.
//!
//! It is the test's own executable, started again to run the same test, which then guards instead ([`stand`]). Its
//! lease is a pipe from the test process: the pipe ends when that process does, and the guard then reverts every
//! [undo log](super::undo) of that process. It also reverts those whose time is up while the process still lives.
//! It leads a process group of its own, so that Ctrl-C and a runner that kills a test's group do not reach it.
//!
//! Outside `#[chaos_test]` there is no guard; what is left is then swept by the next run.

use std::io::PipeWriter;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::undo::{Pending, UndoError, pending};
use crate::folders::undo_dir;
use crate::runtime::owner_of_this_process;

/// Tells a process that it is a guard, and of which process.
const VARIABLE: &str = "CHAOS_GUARD_OF";
/// How often the guard looks for environments whose time is up.
const TICK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// For how long a guard tries, after the end of the test process. An engine may be on its way up again.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause between tries.
const PAUSE: Duration = Duration::from_millis(250);

/// The guard of this process.
enum Guard {
    /// None is possible.
    Impossible,
    /// As which test this executable can be started again.
    Possible { test: String },
    /// It stands. The pipe is its lease.
    Standing { _lease: PipeWriter },
}

static GUARD: Mutex<Guard> = Mutex::new(Guard::Impossible);

/// Notes that this executable runs `test` when it is started with `--exact`, so that a guard is possible.
pub(crate) fn allow(test: &str) {
    let mut guard = GUARD.lock();
    if matches!(*guard, Guard::Impossible) {
        *guard = Guard::Possible { test: test.to_owned() };
    }
}

/// Sees that a guard stands, where one is possible.
pub(super) fn ensure() -> Result<(), UndoError> {
    let mut guard = GUARD.lock();
    if let Guard::Possible { test } = &*guard {
        let lease = start(test).map_err(|source| UndoError::Guard { source })?;
        *guard = Guard::Standing { _lease: lease };
    }
    Ok(())
}

fn start(test: &str) -> std::io::Result<PipeWriter> {
    let (lease, ours) = std::io::pipe()?;
    let mut guard = Command::new(std::env::current_exe()?)
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env(VARIABLE, owner_of_this_process())
        .env("CHAOS_DIR", crate::folders::chaos_dir())
        .stdin(lease)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    // Whoever waits for nobody leaves a zombie, should the guard be ended before this process.
    std::thread::Builder::new().name("chaos-guard".to_owned()).spawn(move || guard.wait())?;
    Ok(ours)
}

/// Guards, if this process was started for that; it does not return then.
pub(crate) fn stand() {
    let Ok(owner) = std::env::var(VARIABLE) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let clean = runtime.is_ok_and(|runtime| {
        while !lease_ended() {
            runtime.block_on(revert(&owner, Pending::is_overdue));
        }
        runtime.block_on(revert_all(&owner))
    });
    std::process::exit(i32::from(!clean));
}

/// Waits for a tick, or less when the lease ends in it.
fn lease_ended() -> bool {
    let lease = std::io::stdin();
    let mut wait = [PollFd::new(&lease, PollFlags::IN)];
    // An interrupted wait is a short one.
    poll(&mut wait, Some(&TICK)).unwrap_or(0) > 0
}

/// Reverts all logs of `owner`; says whether none is left.
async fn revert_all(owner: &str) -> bool {
    let since = Instant::now();
    while revert(owner, |_| true).await > 0 {
        if since.elapsed() > PATIENCE {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
    true
}

/// Reverts the logs of `owner` that are `due`; how many are left of them. The reason stays in the log's folder.
async fn revert(owner: &str, due: impl Fn(&Pending) -> bool) -> usize {
    let logs = pending(&undo_dir()).unwrap_or_default();
    let mut left = 0;
    for log in logs.into_iter().flatten().filter(|log| log.is_of(owner) && due(log)) {
        left += usize::from(log.revert().await.is_err());
    }
    left
}
