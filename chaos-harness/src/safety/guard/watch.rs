//! The side of the test process: it sees that a guard stands, and tells it what there is to undo.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::process::Child;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::Pid;

use super::start::{Standing, start, until_ended};
use crate::folders::undo_dir;
use crate::progress;
use crate::safety::undo::{Memory, Told, UndoError};

/// How often a guard is started anew that cannot be, while nothing is injected that would try as well.
const TRIES: usize = 60;
/// The pause between tries.
const PAUSE: Duration = Duration::from_secs(1);

/// What this process knows of its guard.
struct Watch {
    /// With which arguments this executable can be started again; without, no guard is possible.
    arguments: Option<Vec<OsString>>,
    standing: Option<Standing>,
    /// What there is to undo: a guard that is started later is told all of it.
    memory: Option<Memory>,
    /// Whether one has ever stood, so that one is known to be possible.
    has_stood: bool,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch { arguments: None, standing: None, memory: None, has_stood: false });

/// Notes that this executable comes to [`stand`](super::stand) when it is started with these arguments, so that a guard is
/// possible.
pub(crate) fn allow(arguments: Vec<OsString>) {
    let mut watch = WATCH.lock();
    watch.arguments.get_or_insert(arguments);
    watch.memory.get_or_insert_with(|| Memory::new(undo_dir()));
}

/// The arguments with which an executable of libtest runs `test` alone.
pub(crate) fn of_test(test: &str) -> Vec<OsString> {
    ["--exact", test, "--include-ignored", "--nocapture"].map(OsString::from).to_vec()
}

/// Sees that a guard stands, where one is possible.
///
/// # Errors
/// It cannot be started; nothing may be changed then.
pub(crate) fn ensure() -> Result<(), UndoError> {
    WATCH.lock().ensure()
}

/// Tells the guard, where one stands, what was written into an undo log. It reads the log too: this is for when that
/// is gone or damaged by then.
pub(in crate::safety) fn tell(told: &Told) {
    let mut watch = WATCH.lock();
    let Some(memory) = &mut watch.memory else { return };
    memory.take_in(told.clone());
    let Some(standing) = &mut watch.standing else { return };
    if let Err(error) = standing.tell(&told.line()) {
        tracing::warn!(%error, "the guard does not listen; another one is started");
        standing.kill();
        watch.standing = None;
        if let Err(error) = watch.ensure() {
            tracing::warn!(%error, "nothing watches this process until a guard can be started");
        }
    }
}

impl Watch {
    fn ensure(&mut self) -> Result<(), UndoError> {
        let Some(arguments) = &self.arguments else { return Ok(()) };
        if self.standing.as_ref().is_some_and(Standing::is_there) {
            return Ok(());
        }
        // With it goes the lease of one that has ended.
        self.standing = None;
        let known: Vec<u8> = self.memory.iter().flat_map(Memory::retold).flat_map(|told| told.line()).collect();
        match start(arguments, &known, watch_over) {
            Ok(standing) => {
                self.standing = Some(standing);
                self.has_stood = true;
            }
            // The executable does not run the test under that name: `harness = false`, for instance.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && !self.has_stood => {
                let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
                progress::print(&format!(
                    "no guard: with `{}` this program guards nothing; the next run sweeps what this one leaves",
                    words.join(" ")
                ));
                self.arguments = None;
            }
            Err(source) => return Err(UndoError::Guard { source }),
        }
        Ok(())
    }
}

/// Wakes a guard that is stopped, and starts another one when it has ended: it has, then, before this process.
fn watch_over(mut guard: Child, waker: Option<Child>) -> std::io::Result<()> {
    let watch = move || {
        let pid = Pid::from_child(&guard);
        until_ended(pid);
        replace(pid);
        // Not before, or its number might be another process's.
        let _ = guard.wait();
        // It ends with the guard.
        let _ = waker.map(|mut waker| waker.wait());
    };
    std::thread::Builder::new().name("chaos-guard".to_owned()).spawn(watch).map(drop)
}

fn replace(ended: Pid) {
    for _ in 0..TRIES {
        let mut watch = WATCH.lock();
        // Another one stands by now, or none has ever stood.
        if watch.standing.as_ref().is_some_and(|standing| standing.pid != ended) || !watch.has_stood {
            return;
        }
        match watch.ensure() {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "nothing watches this process until a guard can be started"),
        }
        drop(watch);
        std::thread::sleep(PAUSE);
    }
}
