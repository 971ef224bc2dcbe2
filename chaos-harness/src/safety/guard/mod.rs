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
//! It leads a process group of its own, so that Ctrl-C and a runner that kills a test's group do not reach it, and it
//! outlives every signal that can be caught. When it is killed, the test process starts another one at once and tells it
//! all that the first one knew; when it is stopped, the test process wakes it, and a shell that waits for the end of the test process does
//! should both be stopped. Where there is no shell the kernel may: the guard's process group has become orphaned.
//!
//! The variable that makes a guard of a process proves nothing: anybody may have set it. See [`proof`].
//!
//! Outside `#[chaos_test]` and [`Lab::run`](crate::Lab::run) there is no guard; what is left is then swept by the next run.
//!
//! | file | holds |
//! |---|---|
//! | `watch.rs`, `start.rs` | the test process: it starts the guard, tells it, and sees that it stands |
//! | `stand.rs`, `proof.rs` | the guard: it checks that it was asked, waits, and cleans up |

mod proof;
mod stand;
mod start;
mod watch;

pub(crate) use stand::stand;
pub(super) use watch::tell;
pub(crate) use watch::{allow, ensure, of_test};

/// Tells a process that it is a guard: of which process, and the word that proves it.
pub(crate) const VARIABLE: &str = "CHAOS_GUARD_OF";

/// What a guard says once it stands, before its word.
const STANDS: &str = "guarding";
