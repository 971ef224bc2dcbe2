//! Ctrl-C, SIGTERM and `cargo xtask chaos-halt`: experiments roll back first, then the process ends.
//!
//! From the first chaos test on, a thread of its own hears the signals: asked to end, every experiment aborts,
//! rolls back and is taken away; the last one ends the process. To ask again changes nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Once};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::progress;

/// How long an experiment that was halted may take to end by itself, before it is dropped and taken away.
const PATIENCE: Duration = Duration::from_secs(10);

static HALTED: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));
static RUNNING: Mutex<usize> = Mutex::new(0);
/// Whether it was Ctrl-C; else it was SIGTERM.
static BY_INTERRUPT: AtomicBool = AtomicBool::new(false);

/// Whether experiments are asked to end.
pub(crate) fn is_halted() -> bool {
    *HALTED.borrow()
}

/// Ends when experiments are asked to end.
pub(crate) async fn halted() {
    // The sender is never dropped.
    let _ = HALTED.subscribe().wait_for(|halted| *halted).await;
}

/// Ends when an experiment that was asked to end has had its time.
pub(crate) async fn out_of_patience() {
    halted().await;
    tokio::time::sleep(PATIENCE).await;
}

/// A chaos test that runs. When the last one is dropped after a halt, the process ends.
#[derive(Debug)]
pub(crate) struct Running(());

impl Running {
    /// Notes that a chaos test runs; `None` when it should not begin any more.
    pub(crate) fn begin() -> Option<Self> {
        listen();
        let mut running = RUNNING.lock();
        if is_halted() {
            return None;
        }
        *running += 1;
        Some(Self(()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = RUNNING.lock();
        *running -= 1;
        if *running == 0 && is_halted() {
            end();
        }
    }
}

/// Ends the process, with the status that a shell gives to one that was ended by such a signal.
fn end() -> ! {
    std::process::exit(if BY_INTERRUPT.load(Ordering::Relaxed) { 130 } else { 143 })
}

fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let thread = std::thread::Builder::new().name("chaos-halt".to_owned()).spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Err(error) = runtime.and_then(|runtime| runtime.block_on(hear())) {
                tracing::warn!(%error, "signals are not heard; what Ctrl-C leaves, the guard takes away");
            }
        });
        if let Err(error) = thread {
            tracing::warn!(%error, "signals are not heard; what Ctrl-C leaves, the guard takes away");
        }
    });
}

async fn hear() -> std::io::Result<()> {
    let mut interrupt: Signal = signal(SignalKind::interrupt())?;
    let mut terminate: Signal = signal(SignalKind::terminate())?;
    loop {
        let by_interrupt = tokio::select! {
            _ = interrupt.recv() => true,
            _ = terminate.recv() => false,
        };
        BY_INTERRUPT.store(by_interrupt, Ordering::Relaxed);
        halt();
    }
}

fn halt() {
    let running = RUNNING.lock();
    let again = HALTED.send_replace(true);
    if *running == 0 {
        end();
    }
    progress::print(match again {
        false => "halted: rolling back and taking everything away, then this process ends",
        true => "halted already: still rolling back",
    });
}
