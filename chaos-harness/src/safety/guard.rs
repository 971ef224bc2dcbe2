//! The guard: a process of its own that takes away what a test process leaves when it ends, however it ends.
//!
//! It is the test's own executable, started again to run the same test, or the same program with the same arguments, which
//! then guards instead ([`stand`]). Its
//! lease is a pipe from the test process: the pipe ends when that process does. The guard then takes away everything that
//! carries the labels of that process, and takes the steps of its [undo logs](super::undo), which it was told over the
//! pipe and reads on disk. It also undoes those whose time is up while the process still lives.
//!
//! What it can do nothing about (a container of somebody else on our network, lines of a log that cannot be read) it
//! leaves where the next run finds and names it, and ends.
//!
//! It leads a process group of its own, so that Ctrl-C and a runner that kills a test's group do not reach it.
//!
//! Outside `#[chaos_test]` and [`Lab::run`](crate::Lab::run) there is no guard; what is left is then swept by the next run.

use std::ffi::OsString;
use std::io::{BufRead, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;

use super::undo::{Memory, Pending, Told, UndoError, pending};
use crate::folders::undo_dir;
use crate::progress;
use crate::runtime::{RuntimeError, RuntimeKind, owner_of_this_process, remove_of_owner};

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
    /// With which arguments this executable can be started again.
    Possible { arguments: Vec<OsString> },
    /// It stands. The pipe is its lease.
    Standing { arguments: Vec<OsString>, lease: PipeWriter },
}

static GUARD: Mutex<Guard> = Mutex::new(Guard::Impossible);

/// Notes that this executable comes to [`stand`] when it is started with these arguments, so that a guard is possible.
pub(crate) fn allow(arguments: Vec<OsString>) {
    let mut guard = GUARD.lock();
    if matches!(*guard, Guard::Impossible) {
        *guard = Guard::Possible { arguments };
    }
}

/// The arguments with which an executable of libtest runs `test` alone.
pub(crate) fn of_test(test: &str) -> Vec<OsString> {
    ["--exact", test, "--include-ignored", "--nocapture"].map(OsString::from).to_vec()
}

/// Sees that a guard stands, where one is possible.
pub(super) fn ensure() -> Result<(), UndoError> {
    let mut guard = GUARD.lock();
    if let Guard::Possible { arguments } = &*guard {
        let arguments = arguments.clone();
        *guard = match start(&arguments) {
            Ok(lease) => Guard::Standing { arguments, lease },
            // The executable does not run the test under that name: `harness = false`, for instance.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
                progress::print(&format!(
                    "no guard: with `{}` this program guards nothing; the next run sweeps what this one leaves",
                    words.join(" ")
                ));
                Guard::Impossible
            }
            Err(source) => return Err(UndoError::Guard { source }),
        };
    }
    Ok(())
}

/// Tells the guard, where one stands, what was written into an undo log. It reads the log too: this is for when that
/// is gone or damaged by then.
pub(super) fn tell(told: &Told) {
    let Guard::Standing { lease, .. } = &mut *GUARD.lock() else { return };
    let Ok(mut line) = serde_json::to_vec(told) else { return };
    line.push(b'\n');
    if let Err(error) = lease.write_all(&line) {
        tracing::warn!(%error, "the guard could not be told; it reads the undo log instead");
    }
}

fn start(arguments: &[OsString]) -> std::io::Result<PipeWriter> {
    let (lease, ours) = std::io::pipe()?;
    // Nobody waits for a guard that is busy.
    ioctl_fionbio(&ours, true)?;
    let (mut heard, word) = std::io::pipe()?;
    let mut command = Command::new(std::env::current_exe()?);
    let mut guard = command
        .args(arguments)
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
    if let Guard::Standing { arguments, .. } = &*guard {
        tracing::warn!("the guard has ended; until the next environment begins, nothing watches this process");
        *guard = Guard::Possible { arguments: arguments.clone() };
    }
}

/// Guards, if this process was started for that; it does not return then.
pub(crate) fn stand() {
    let Ok(owner) = std::env::var(VARIABLE) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    // Whoever started it waits for this word.
    let told = std::io::stderr().write_all(STANDS);
    let clean = told.and(runtime).is_ok_and(|runtime| {
        let mut memory = Memory::new(undo_dir());
        while listen(&mut memory) {
            runtime.block_on(undo_overdue(&owner, &memory));
        }
        runtime.block_on(revert_all(&owner, &mut memory))
    });
    std::process::exit(i32::from(!clean));
}

/// Takes in what the test process tells, for a tick at most; `false` when that has ended.
fn listen(memory: &mut Memory) -> bool {
    let mut lease = std::io::stdin().lock();
    let mut wait = [PollFd::new(&lease, PollFlags::IN)];
    // An interrupted wait is a short one.
    if poll(&mut wait, Some(&TICK)).unwrap_or(0) == 0 {
        return true;
    }
    let heard = match lease.fill_buf() {
        Ok(heard) => heard,
        Err(error) if error.kind() == ErrorKind::Interrupted => return true,
        Err(_) => &[],
    };
    memory.hear(heard);
    let length = heard.len();
    lease.consume(length);
    length > 0
}

/// Undoes what of a live owner has been there for too long. The logs stay, since the owner may go on.
async fn undo_overdue(owner: &str, memory: &Memory) {
    for log in logs_of(owner, memory).iter().filter(|log| log.is_overdue()) {
        if let Err(error) = log.undo().await {
            tracing::warn!(%error, "an environment whose time is up could not be taken away");
        }
    }
}

/// Takes away what `owner` has left, until nothing is left that the guard can do something about; says whether it came
/// to that.
async fn revert_all(owner: &str, memory: &mut Memory) -> bool {
    let since = Instant::now();
    loop {
        let logs = logs_of(owner, memory);
        let on_engine = logs.iter().any(|log| log.runtime() == RuntimeKind::Docker);
        // What fails is tried again: an engine may be on its way up.
        let mut over = match remove_of_owner(owner, on_engine).await {
            Ok(()) | Err(RuntimeError::NetworkHeld { .. }) => true,
            Err(_) => false,
        };
        for log in &logs {
            match log.take_steps().await {
                Ok(Some(kept)) if over => {
                    memory.forget(log.environment());
                    // A file that cannot be removed is named by the next run.
                    let _ = log.settle(&kept);
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => over = false,
            }
        }
        if over {
            return true;
        }
        if since.elapsed() > PATIENCE {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The logs of `owner`: those that it has told, and those that only the disk knows.
fn logs_of(owner: &str, memory: &Memory) -> Vec<Pending> {
    let told: Vec<Pending> = memory.logs().map(|log| log.clone().with_file()).collect();
    let on_disk = pending(&undo_dir()).unwrap_or_default().into_iter().flatten().filter(|log| log.is_of(owner));
    let unknown = on_disk.filter(|log| told.iter().all(|other| other.environment() != log.environment()));
    unknown.collect::<Vec<_>>().into_iter().chain(told.clone()).collect()
}
