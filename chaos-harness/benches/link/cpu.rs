//! Which thread runs on which core.

use rustix::thread::{CpuSet, sched_setaffinity};

/// Where those who call and those who answer run.
pub const PEERS: usize = 0;
/// Where the proxies run, one at a time.
pub const PROXY: usize = 1;

/// Keeps this thread, and those it starts, on `core`.
pub fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).unwrap();
}
