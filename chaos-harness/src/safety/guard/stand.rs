//! The side of the guard: it waits for the end of the test process, and takes away what that has left.

use std::io::{BufRead, ErrorKind, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use futures::future::join_all;
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::proof::{Asked, refusal};
use super::{STANDS, VARIABLE};
use crate::folders::undo_dir;
use crate::runtime::{RuntimeError, RuntimeKind, remove_of_owner};
use crate::safety::undo::{Memory, Pending, pending};

/// How often the guard looks for environments whose time is up.
const TICK: Duration = Duration::from_secs(1);
/// For how long a guard tries, after the end of the test process. An engine may be on its way up again.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause between tries.
const PAUSE: Duration = Duration::from_millis(250);
/// The highest number of a signal.
const LAST_SIGNAL: i32 = 64;
/// SIGTRAP, SIGBUS, SIGSYS: of a program that cannot go on. SIGILL, SIGFPE and SIGSEGV are refused by the library.
const FATAL: [i32; 3] = [5, 7, 31];
/// A guard never ends as a test does that has passed: whoever waits for it as for one must not take it for that.
const STATUS: i32 = 1;

/// Guards, if this process was started for that, and ends it if something only says so; does not return then.
pub(crate) fn stand() {
    let Some(value) = std::env::var_os(VARIABLE) else { return };
    match Asked::check(&value, &std::io::stdin()) {
        Ok(asked) => {
            if let Err(error) = guard(&asked) {
                // Whoever started it hears this instead of the word.
                let _ = writeln!(std::io::stderr(), "error: {VARIABLE}: this process cannot guard: {error}");
            }
        }
        Err(reason) => {
            // Nobody may be reading.
            let _ = writeln!(std::io::stderr(), "{}", refusal(&reason));
        }
    }
    std::process::exit(STATUS)
}

fn guard(asked: &Asked) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    outlive_signals(&runtime);
    let memory = Arc::new(Mutex::new(Memory::new(undo_dir())));
    let lease = hold_lease(&memory)?;
    // Whoever started it waits for this word, and reads nothing after it. It may have ended meanwhile, and is to be cleaned
    // up after all the same.
    let _ = writeln!(std::io::stderr(), "{STANDS} {}", asked.word);
    while lease.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        runtime.block_on(undo_overdue(&asked.owner, &memory));
    }
    runtime.block_on(revert_all(&asked.owner, &memory));
    Ok(())
}

/// From now on this process ends when it is done, and by nothing but SIGKILL before that. The handlers are not inherited
/// by programs that it starts, as ignored signals would be.
fn outlive_signals(runtime: &Runtime) {
    let _entered = runtime.enter();
    for number in (1..=LAST_SIGNAL).filter(|number| !FATAL.contains(number)) {
        // Once heard, a signal is never again what it is by default, whoever listens. Some cannot be heard.
        let _ = signal(SignalKind::from_raw(number));
    }
}

/// Takes in what the test process tells, in a thread of its own; the channel ends when that process does.
fn hold_lease(memory: &Arc<Mutex<Memory>>) -> std::io::Result<Receiver<()>> {
    let (alive, lease) = channel();
    let memory = Arc::clone(memory);
    let listen = move || {
        let _alive = alive;
        while listen(&memory) {}
    };
    std::thread::Builder::new().name("chaos-lease".to_owned()).spawn(listen)?;
    Ok(lease)
}

/// Waits for a piece; `false` when the test process has ended.
fn listen(memory: &Mutex<Memory>) -> bool {
    let mut lease = std::io::stdin().lock();
    let heard = match lease.fill_buf() {
        Ok(heard) => heard,
        Err(error) if error.kind() == ErrorKind::Interrupted => return true,
        Err(_) => &[],
    };
    memory.lock().hear(heard);
    let length = heard.len();
    lease.consume(length);
    length > 0
}

/// Undoes what of a live owner has been there for too long. The logs stay, since the owner may go on.
async fn undo_overdue(owner: &str, memory: &Mutex<Memory>) {
    let logs = logs_of(owner, &memory.lock());
    let undone = join_all(logs.iter().filter(|log| log.is_overdue()).map(Pending::undo)).await;
    for error in undone.into_iter().filter_map(Result::err) {
        tracing::warn!(%error, "an environment whose time is up could not be taken away");
    }
}

/// Takes away what `owner` has left, until nothing is left that the guard can do something about.
async fn revert_all(owner: &str, memory: &Mutex<Memory>) {
    let since = Instant::now();
    loop {
        let logs = logs_of(owner, &memory.lock());
        let on_engine = logs.iter().any(|log| log.runtime() == RuntimeKind::Docker);
        // What fails is tried again: an engine may be on its way up.
        let mut over =
            matches!(remove_of_owner(owner, on_engine).await, Ok(()) | Err(RuntimeError::NetworkHeld { .. }));
        let taken = join_all(logs.iter().map(Pending::take_steps)).await;
        for (log, taken) in logs.iter().zip(taken) {
            match taken {
                Ok(Some(kept)) if over => {
                    memory.lock().forget(log.environment());
                    // A file that cannot be removed is named by the next run.
                    let _ = log.settle(&kept);
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => over = false,
            }
        }
        if over || since.elapsed() > PATIENCE {
            return;
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
