//! Who ran out of memory: the engine tells of that apart from the end that comes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::runtime::{State, Status};
use crate::topology::InstanceId;

/// What the kernel sends; an end that comes of something else has nothing to do with memory.
const KILLED: i32 = 137;
/// How long an end may come after the kill that it comes of.
const SOON: Duration = Duration::from_secs(2);

/// The kernel's kills for want of memory, by instance.
#[derive(Clone, Debug, Default)]
pub(super) struct OutOfMemory(Arc<Mutex<BTreeMap<InstanceId, Life>>>);

#[derive(Debug, Default)]
struct Life {
    kills: u64,
    last: Option<Instant>,
    /// How it ended, until it starts again.
    end: Option<Status>,
}

impl OutOfMemory {
    /// How many there were.
    pub(super) fn count(&self, id: &InstanceId) -> u64 {
        self.0.lock().get(id).map_or(0, |life| life.kills)
    }

    /// The kernel killed something in it. When the end was told before, the same end is to be told again, with its reason.
    pub(super) fn killed(&self, id: &InstanceId, at: Instant) -> Option<Status> {
        let mut lives = self.0.lock();
        let life = lives.entry(id.clone()).or_default();
        life.kills += 1;
        life.last = Some(at);
        let end = life.end.take()?;
        Some(Status { state: because(end.state, true), ..end })
    }

    /// It ended with `status`; returns that with the reason, as far as it is known.
    pub(super) fn ended(&self, id: &InstanceId, at: Instant, status: Status) -> Status {
        let mut lives = self.0.lock();
        let life = lives.entry(id.clone()).or_default();
        let oom = life.last.take().is_some_and(|killed| at.duration_since(killed) < SOON);
        let status = Status { state: because(status.state, oom), ..status };
        life.end =
            Some(status.clone()).filter(|status| matches!(status.state, State::Exited { code: KILLED, oom: false }));
        status
    }

    /// It started.
    pub(super) fn started(&self, id: &InstanceId) {
        if let Some(life) = self.0.lock().get_mut(id) {
            (life.last, life.end) = (None, None);
        }
    }
}

fn because(state: State, out_of_memory: bool) -> State {
    match state {
        State::Exited { code: KILLED, oom } => State::Exited { code: KILLED, oom: oom || out_of_memory },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(code: i32) -> Status {
        Status { state: State::Exited { code, oom: false }, address: None, pid: None, restarts: 0 }
    }

    const OOM: State = State::Exited { code: KILLED, oom: true };

    #[test]
    fn the_reason_may_come_before_the_end_or_after() {
        let (memory, id, now) = (OutOfMemory::default(), InstanceId::new("a", 1), Instant::now());
        assert_eq!(memory.killed(&id, now), None);
        assert_eq!(memory.ended(&id, now, end(KILLED)).state, OOM);
        memory.started(&id);
        assert_eq!(memory.ended(&id, now, end(KILLED)), end(KILLED));
        assert_eq!(memory.killed(&id, now).map(|status| status.state), Some(OOM));
        assert_eq!(memory.count(&id), 2);
    }

    #[test]
    fn another_end_has_nothing_to_do_with_memory() {
        let (memory, id, now) = (OutOfMemory::default(), InstanceId::new("a", 1), Instant::now());
        memory.killed(&id, now);
        assert_eq!(memory.ended(&id, now, end(1)), end(1));
        memory.killed(&id, now);
        assert_eq!(memory.ended(&id, now + SOON, end(KILLED)), end(KILLED), "something else in it was killed");
        memory.killed(&id, now);
        memory.started(&id);
        assert_eq!(memory.ended(&id, now, end(KILLED)), end(KILLED));
    }
}
