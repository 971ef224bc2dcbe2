//! Changes of instances that no fault of the experiment made: somebody else was at work.
//!
//! An instance that crashes is the system's own answer to a fault. One that is removed, paused, taken off its network, or ended
//! by a signal that processes do not send themselves was changed from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fault::{Fault, FaultKind};
use crate::hypothesis::ExternalChange;
use crate::runtime::{Capability, State, Status};
use crate::topology::InstanceId;

/// For how long after its rollback a fault accounts for changes: the runtime tells of them a moment later.
pub(super) const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// What a fault accounts for while it is in force, and a moment longer.
#[derive(Debug)]
struct Accounted {
    fault: String,
    services: Vec<String>,
    ends: bool,
    pauses: bool,
    disconnects: bool,
    from: Duration,
    /// When it began to be rolled back.
    undone_from: Option<Duration>,
    /// When it had been rolled back.
    until: Option<Duration>,
}

/// Tells the changes that faults account for from the others.
#[derive(Debug, Default)]
pub(super) struct External {
    /// What was changed before is part of the start.
    since: Duration,
    faults: Vec<Accounted>,
    now: BTreeMap<InstanceId, Status>,
    found: Vec<(InstanceId, ExternalChange)>,
}

impl External {
    pub(super) fn since(since: Duration) -> Self {
        Self { since, ..Self::default() }
    }

    /// `fault` is being applied from `from` on. It is known by its number from then on.
    pub(super) fn begin(&mut self, fault: &Fault, from: Duration) -> usize {
        let does = |capabilities: &[Capability]| does(fault, capabilities);
        self.faults.push(Accounted {
            fault: fault.to_string(),
            services: fault.services().into_iter().map(str::to_owned).collect(),
            ends: does(&[
                Capability::Kill,
                Capability::Stop,
                Capability::Signals,
                Capability::MemoryLimit,
                Capability::ProcessLimit,
                Capability::Pressure,
            ]),
            pauses: does(&[Capability::Pause, Capability::Signals]),
            disconnects: does(&[Capability::Disconnect]),
            from,
            undone_from: None,
            until: None,
        });
        self.faults.len() - 1
    }

    /// It is being rolled back: what it did is taken back from now on.
    pub(super) fn undo(&mut self, fault: usize, at: Duration) {
        if let Some(fault) = self.faults.get_mut(fault) {
            fault.undone_from.get_or_insert(at);
        }
    }

    /// It has been rolled back, or was not applied.
    pub(super) fn end(&mut self, fault: usize, at: Duration) {
        if let Some(fault) = self.faults.get_mut(fault) {
            fault.until.get_or_insert(at);
        }
    }

    /// An instance is told to be like this now. `held_down`: a fault keeps it from running.
    pub(super) fn told(&mut self, at: Duration, id: &InstanceId, status: &Status, held_down: bool) -> Option<String> {
        let before = self.now.insert(id.clone(), status.clone());
        // It was for want of memory after all.
        if matches!(status.state, State::Exited { oom: true, .. }) {
            self.found.retain(|(of, change)| of != id || !change.ends || at.saturating_sub(change.at) > TOLD_WITHIN);
        }
        let (what, ends) = self.change(at, id, before.as_ref(), status, held_down)?;
        if at < self.since {
            return None;
        }
        let change = ExternalChange { at, what: format!("{id} {what}{}", self.place(at)), ends };
        let text = format!("no fault of this experiment did this: {}", change.what);
        self.found.push((id.clone(), change));
        Some(text)
    }

    /// What changed that no fault accounts for, and whether nothing of the instance's life is left.
    fn change(
        &self,
        at: Duration,
        id: &InstanceId,
        before: Option<&Status>,
        now: &Status,
        held_down: bool,
    ) -> Option<(String, bool)> {
        let hits = |fault: &&Accounted| fault.services.contains(&id.service) && fault.from <= at;
        let faults = || self.faults.iter().filter(hits);
        let by = |does: fn(&Accounted) -> bool| {
            faults().filter(|fault| does(fault)).any(|fault| fault.until.is_none_or(|end| at < end + TOLD_WITHIN))
        };
        // What is meant to be so until it is rolled back.
        let meant = |does: fn(&Accounted) -> bool| {
            faults()
                .filter(|fault| does(fault))
                .any(|fault| fault.undone_from.or(fault.until).is_none_or(|end| at < end))
        };
        let was = before.map(|status| status.state);
        let was_on_network = before.is_some_and(|status| status.address.is_some());
        match now.state {
            State::Removed if was != Some(State::Removed) => Some(("was removed".to_owned(), true)),
            State::Paused if was != Some(State::Paused) && !by(|fault| fault.pauses) => {
                Some(("was paused".to_owned(), false))
            }
            State::Running if was == Some(State::Paused) && meant(|fault| fault.pauses) => {
                Some(("was unpaused".to_owned(), false))
            }
            State::Running if matches!(was, Some(State::Exited { .. })) && held_down => {
                Some(("was started".to_owned(), false))
            }
            State::Running if was == Some(State::Running) && was_on_network != now.address.is_some() => {
                let is_back = now.address.is_some();
                let is_ours = if is_back { !meant(|fault| fault.disconnects) } else { by(|fault| fault.disconnects) };
                let what = if is_back { "was put back on its network" } else { "was taken off its network" };
                (!is_ours).then(|| (what.to_owned(), false))
            }
            State::Exited { code, oom: false }
                if !matches!(was, Some(State::Exited { .. })) && !by(|fault| fault.ends) =>
            {
                Some((ended(code)?, true))
            }
            _ => None,
        }
    }

    /// When that was, told from the latest injection.
    fn place(&self, at: Duration) -> String {
        match self.faults.iter().rfind(|fault| fault.from <= at) {
            Some(Accounted { fault, from, .. }) => {
                format!(" {:.1} s after the injection of `{fault}`", (at - *from).as_secs_f64())
            }
            None => " before any fault was injected".to_owned(),
        }
    }

    /// What was changed, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = &ExternalChange> {
        self.found.iter().map(|(_, change)| change)
    }

    /// What was changed of these services since `from`, in order.
    pub(super) fn of<'a>(&'a self, services: &'a [String], from: Duration) -> impl Iterator<Item = &'a ExternalChange> {
        let hits =
            move |(id, change): &&(InstanceId, ExternalChange)| services.contains(&id.service) && change.at >= from;
        self.found.iter().filter(hits).map(|(_, change)| change)
    }
}

/// Whether a fault, or one that it consists of, does what takes one of these.
fn does(fault: &Fault, capabilities: &[Capability]) -> bool {
    fault.requires().iter().any(|capability| capabilities.contains(capability))
        || fault.members().iter().any(|member| does(member, capabilities))
}

/// How an instance was ended from outside; `None` for a crash, and for an exit with a status of its own.
fn ended(code: i32) -> Option<String> {
    let signal = match code {
        0 => return Some("ended with status 0".to_owned()),
        129 => "SIGHUP",
        130 => "SIGINT",
        131 => "SIGQUIT",
        137 => "SIGKILL",
        143 => "SIGTERM",
        _ => return None,
    };
    Some(format!("was ended by {signal}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{link, target};
    use crate::topology::USERS;

    const RUNNING: State = State::Running;

    /// A fault, the states that follow at their moments, and what is said of them.
    type Case<'a> = (&'a Fault, &'a [(u64, State)], &'a str);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn status(state: State) -> Status {
        let address = (state == RUNNING).then(|| ([127, 0, 0, 1], 80).into());
        Status { state, address, pid: None, restarts: 0 }
    }

    fn exited(code: i32) -> State {
        State::Exited { code, oom: false }
    }

    /// What is said of `a-1`, which runs, where `fault` is in force from 2 s to 4 s and the states follow at their moments.
    fn told(fault: &Fault, states: &[(u64, State)]) -> Vec<String> {
        let (mut external, id) = (External::since(s(1)), InstanceId::new("a", 1));
        external.told(s(0), &id, &status(RUNNING), false);
        let number = external.begin(fault, s(2));
        if states.iter().any(|(at, _)| *at >= 4) {
            external.undo(number, s(4));
            external.end(number, s(5));
        }
        states.iter().for_each(|(at, state)| drop(external.told(s(*at), &id, &status(*state), false)));
        external.all().map(|change| change.what.clone()).collect()
    }

    #[test]
    fn what_no_fault_does_is_named() {
        let slow = link(USERS, "a").latency(s(1)).fault;
        let pause = target("a").pause().fault;
        let cases: [Case<'_>; 8] = [
            (
                &slow,
                &[(3, exited(137))],
                "a-1 was ended by SIGKILL 1.0 s after the injection of `latency 1s on users -> a`",
            ),
            (&slow, &[(1, exited(143))], "a-1 was ended by SIGTERM before any fault was injected"),
            (&slow, &[(3, State::Paused)], "a-1 was paused 1.0 s after"),
            (&slow, &[(3, State::Removed)], "a-1 was removed 1.0 s after"),
            (&slow, &[(3, exited(0)), (3, RUNNING)], "a-1 ended with status 0"),
            (&pause, &[(2, State::Paused), (3, RUNNING)], "a-1 was unpaused"),
            (&pause, &[(2, State::Paused), (3, exited(137))], "a-1 was ended by SIGKILL"),
            (&pause, &[(2, State::Paused), (3, State::Removed)], "a-1 was removed"),
        ];
        for (fault, states, expected) in cases {
            let told = told(fault, states);
            assert!(matches!(told.as_slice(), [one] if one.starts_with(expected)), "{expected}: {told:?}");
        }
    }

    #[test]
    fn what_faults_and_crashes_do_is_not() {
        let slow = link(USERS, "a").latency(s(1)).fault;
        let (pause, kill) = (target("a").pause().fault, target("a").kill().fault);
        let cases: [(&Fault, &[(u64, State)]); 7] = [
            (&slow, &[(3, exited(1)), (3, RUNNING), (3, exited(139))]),
            (&slow, &[(3, State::Exited { code: 137, oom: true })]),
            // The engine tells of want of memory a moment later.
            (&slow, &[(3, exited(137)), (3, State::Exited { code: 137, oom: true })]),
            (&slow, &[(0, exited(137)), (0, RUNNING)]),
            (&pause, &[(2, State::Paused), (4, RUNNING)]),
            (&kill, &[(2, exited(137)), (3, RUNNING)]),
            (&kill, &[(5, exited(137))]),
        ];
        for (fault, states) in cases {
            assert_eq!(told(fault, states), [] as [String; 0], "{states:?}");
        }
    }
}
