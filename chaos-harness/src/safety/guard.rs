//! The guard: a process of its own that takes away what a test process leaves when it ends, however it ends.
//!
//! It is the test's own executable, started again to run the same test, which then guards instead ([`stand`]). Its
//! lease is a pipe from the test process: the pipe ends when that process does, and the guard then reverts every
//! [undo log](super::undo) of that process. It also reverts those whose time is up while the process still lives.
//! It leads a process group of its own, so that Ctrl-C and a runner that kills a test's group do not reach it.
//!
//! Outside `#[chaos_test]` there is no guard; what is left is then swept by the next run.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::undo::{Pending, UndoError, pending};
use crate::folders::undo_dir;
use crate::progress;
use crate::runtime::owner_of_this_process;

/// Tells a process that it is a guard, and of which process.
const VARIABLE: &str = "CHAOS_GUARD_OF";
/// What a guard says once it stands.
const STANDS: &[u8] = b"guarding";
/// Within which it says so.
const SAYS_WITHIN: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };
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
    Standing { test: String, _lease: PipeWriter },
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
        let test = test.clone();
        *guard = match start(&test) {
            Ok(lease) => Guard::Standing { test, _lease: lease },
            // The executable does not run the test under that name: `harness = false`, for instance.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                progress::print(&format!(
                    "no guard: `--exact {test}` starts nothing; the next run sweeps what this one leaves"
                ));
                Guard::Impossible
            }
            Err(source) => return Err(UndoError::Guard { source }),
        };
    }
    Ok(())
}

fn start(test: &str) -> std::io::Result<PipeWriter> {
    let (lease, ours) = std::io::pipe()?;
    let (mut heard, word) = std::io::pipe()?;
    let mut command = Command::new(std::env::current_exe()?);
    let mut guard = command
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env(VARIABLE, owner_of_this_process())
        .env("CHAOS_DIR", crate::folders::chaos_dir())
        .stdin(lease)
        .stdout(Stdio::null())
        .stderr(word)
        .process_group(0)
        .spawn()?;
    drop(command);
    let stands = hear(&mut heard);
    // Whoever waits for nobody leaves a zombie, should the guard be ended before this process.
    std::thread::Builder::new().name("chaos-guard".to_owned()).spawn(move || {
        // So that nothing it says later is kept waiting.
        let _ = std::io::copy(&mut heard, &mut std::io::sink());
        let _ = guard.wait();
        forget();
    })?;
    stands?;
    Ok(ours)
}

/// Waits for the guard's word.
fn hear(heard: &mut PipeReader) -> std::io::Result<()> {
    let mut wait = [PollFd::new(heard, PollFlags::IN)];
    if poll(&mut wait, Some(&SAYS_WITHIN))? == 0 {
        return Err(std::io::ErrorKind::TimedOut.into());
    }
    heard.read_exact(&mut [0; STANDS.len()])
}

/// The guard has ended before this process: the next environment gets another one.
fn forget() {
    let mut guard = GUARD.lock();
    if let Guard::Standing { test, .. } = &*guard {
        tracing::warn!("the guard has ended; until the next environment begins, nothing watches this process");
        *guard = Guard::Possible { test: test.clone() };
    }
}

/// Guards, if this process was started for that; it does not return then.
pub(crate) fn stand() {
    let Ok(owner) = std::env::var(VARIABLE) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    // Whoever started it waits for this word.
    let told = std::io::stderr().write_all(STANDS);
    let clean = told.and(runtime).is_ok_and(|runtime| {
        while !lease_ended() {
            runtime.block_on(undo_overdue(&owner));
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

/// Undoes what of a live owner has been there for too long. The logs stay, since the owner may go on.
async fn undo_overdue(owner: &str) {
    for log in logs_of(owner).0.iter().filter(|log| log.is_overdue()) {
        if let Err(error) = log.undo().await {
            tracing::warn!(%error, "an environment whose time is up could not be taken away");
        }
    }
}

/// Reverts all logs of `owner`; says whether none is left.
async fn revert_all(owner: &str) -> bool {
    let since = Instant::now();
    loop {
        let (logs, all_read) = logs_of(owner);
        if logs.is_empty() && all_read {
            return true;
        }
        if since.elapsed() > PATIENCE {
            return false;
        }
        for log in logs {
            // What fails is tried again, and the next run says it.
            let _ = log.revert().await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The logs of `owner`, and whether all logs could be read.
fn logs_of(owner: &str) -> (Vec<Pending>, bool) {
    let Ok(logs) = pending(&undo_dir()) else { return (Vec::new(), false) };
    let all_read = logs.iter().all(Result::is_ok);
    (logs.into_iter().flatten().filter(|log| log.is_of(owner)).collect(), all_read)
}
