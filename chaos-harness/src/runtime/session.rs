//! Who owns an environment: the marks by which a later run tells a live one from a dead one.

use std::collections::BTreeMap;
#[cfg(feature = "docker")]
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, getpid, kill_process, test_kill_process};

/// Every label of the harness begins with this.
#[cfg(feature = "docker")]
pub(crate) const PREFIX: &str = "chaos-harness.";
/// The label that everything of the harness carries; its value is the environment.
pub(crate) const LABEL_ENVIRONMENT: &str = "chaos-harness.environment";
pub(crate) const LABEL_OWNER: &str = "chaos-harness.owner";
/// When the environment is a leftover whatever its owner does, in seconds since 1970.
const LABEL_UNTIL: &str = "chaos-harness.until";

/// Names one environment on this machine, and the test process that owns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentId {
    name: String,
    owner: Owner,
    limit: Duration,
    began: SystemTime,
}

/// The process that owns an environment, told apart from a later process of the same id by its start time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) pid: u32,
    pub(crate) started: u64,
    pub(crate) machine: Machine,
}

/// A machine as process ids see it: within one boot and one process namespace they mean the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// `/etc/machine-id`; empty where there is none.
    id: String,
    boot: String,
    namespace: String,
}

/// No experiment may run for longer.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// How long after its limit nobody can be at work on an environment any more: the guard of a live owner takes it away
/// after a minute.
const SURELY: Duration = Duration::from_secs(10 * 60);

/// So much of when its owner started is in the name of an environment.
const STARTED_MODULO: u64 = 100_000;

static NEXT: AtomicU32 = AtomicU32::new(1);

impl EnvironmentId {
    /// A new environment of this process, for the topology `topology`.
    pub fn new(topology: &str) -> Self {
        let owner = Owner::this_process();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("chaos-{topology}-{}-{}-{number}", owner.pid, owner.started % STARTED_MODULO);
        Self { name, owner, limit: LONGEST, began: SystemTime::now() }
    }

    /// The same, to be taken away from outside a minute after `limit`; half an hour unless told, and at most.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit.min(LONGEST);
        self
    }

    /// For how long it may be there.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// The name: part of every container, network and folder of the environment.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The labels that everything of the environment carries.
    pub fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (LABEL_ENVIRONMENT.to_owned(), self.name.clone()),
            (LABEL_OWNER.to_owned(), self.owner.to_string()),
            (LABEL_UNTIL.to_owned(), seconds(self.began + self.limit + SURELY).to_string()),
        ])
    }
}

/// Whether what carries these labels is left: its owner is gone, or its time is up for good. The owner may be in a
/// container, with processes of its own, on the engine that this machine uses, and so be out of sight.
#[cfg(feature = "docker")]
pub(crate) fn is_left(labels: &HashMap<String, String>) -> bool {
    let owner = labels.get(LABEL_OWNER).and_then(|owner| owner.parse::<Owner>().ok());
    let until = labels.get(LABEL_UNTIL).and_then(|until| until.parse::<u64>().ok());
    // Of an owner in sight it is known whether it lives; the wall clock, which may jump, says nothing of it.
    let is_late = |owner: &Owner| {
        owner.machine != Machine::this() && until.is_some_and(|until| until < seconds(SystemTime::now()))
    };
    owner.is_some_and(|owner| owner.is_gone() || is_late(&owner))
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Owner {
    pub(crate) fn this_process() -> Self {
        let pid = Pid::as_raw(Some(getpid())).unsigned_abs();
        Self { pid, started: start_time(pid).unwrap_or_default(), machine: Machine::this() }
    }

    /// Whether the owner is known to be gone: ended, or this machine was started anew since. An owner on another
    /// machine, or in another process namespace, cannot be seen from here and counts as alive.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone_on(&Machine::this())
    }

    fn is_gone_on(&self, here: &Machine) -> bool {
        let is_earlier_boot = !here.id.is_empty() && here.id == self.machine.id && here.boot != self.machine.boot;
        is_earlier_boot || (self.machine == *here && has_ended(self.pid, self.started))
    }
}

/// This process, as it is written into labels and journals.
pub(crate) fn owner_of_this_process() -> String {
    Owner::this_process().to_string()
}

/// Whether the process that `owner` names is known to be gone; what names none is not.
pub(crate) fn is_owner_gone(owner: &str) -> bool {
    owner.parse::<Owner>().is_ok_and(|owner| owner.is_gone())
}

/// Whether `owner` names a process that is not known to be gone.
pub(crate) fn is_owner_alive(owner: &str) -> bool {
    owner.parse::<Owner>().is_ok_and(|owner| !owner.is_gone())
}

/// Whether a process runs that may have made `environment`, by what its name says of it. A name that says nothing is of
/// nobody.
pub(crate) fn is_maker_there(environment: &str) -> bool {
    let mut parts = environment.rsplit('-').skip(1);
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (Some(started), Some(pid)) = (number(), number()) else { return false };
    let runs_since = u32::try_from(pid).ok().and_then(start_time);
    runs_since.is_some_and(|since| since % STARTED_MODULO == started)
}

/// Sends `SIGTERM` to the process that `owner` names, if it is on this machine and still the same.
pub(crate) fn ask_owner_to_end(owner: &str) {
    let Ok(owner) = owner.parse::<Owner>() else { return };
    let is_here = owner.machine == Machine::this() && start_time(owner.pid) == Some(owner.started);
    if let Some(pid) = i32::try_from(owner.pid).ok().and_then(Pid::from_raw).filter(|_| is_here) {
        // A failure means that it has ended meanwhile.
        let _ = kill_process(pid, Signal::TERM);
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Machine { id, boot, namespace } = &self.machine;
        write!(f, "{}/{}/{id}/{boot}/{namespace}", self.pid, self.started)
    }
}

impl std::str::FromStr for Owner {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(5, '/');
        let mut next = || parts.next().ok_or(());
        let pid = next()?.parse().map_err(|_| ())?;
        let started = next()?.parse().map_err(|_| ())?;
        let (id, boot, namespace) = (next()?.to_owned(), next()?.to_owned(), next()?.to_owned());
        Ok(Self { pid, started, machine: Machine { id, boot, namespace } })
    }
}

/// Whether the process that started then is known to have ended. One that may not be looked at has not.
fn has_ended(pid: u32, started: u64) -> bool {
    match start_time(pid) {
        Some(now) => now != started,
        None => {
            let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
            // A process that has ended and was not waited for yet can still be signalled, and read.
            let is_there = raw.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH));
            !is_there || std::fs::read(format!("/proc/{pid}/stat")).is_ok()
        }
    }
}

/// When a process started, in clock ticks since boot (`starttime`, field 22 of proc(5) stat).
/// A process that has ended but was not yet waited for counts as gone.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

impl Machine {
    fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Self {
            id: read("/etc/machine-id"),
            boot: read("/proc/sys/kernel/random/boot_id"),
            namespace: namespace.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_survives_its_label() {
        let owner = Owner::this_process();
        assert_eq!(owner.to_string().parse(), Ok(owner.clone()));
        assert!(!owner.is_gone());
    }

    #[test]
    fn a_later_process_of_the_same_id_is_not_the_owner() {
        let owner = Owner { started: 1, ..Owner::this_process() };
        assert!(owner.is_gone());
    }

    #[test]
    fn an_owner_on_another_machine_counts_as_alive() {
        let machine = Machine { id: "elsewhere".to_owned(), boot: "its own".to_owned(), ..Machine::this() };
        let owner = Owner { machine, started: 1, ..Owner::this_process() };
        assert!(!owner.is_gone());
    }

    #[test]
    fn nobody_survives_a_restart_of_the_machine() {
        let here = Machine { id: "this".to_owned(), ..Machine::this() };
        let before = Machine { boot: "an earlier one".to_owned(), ..here.clone() };
        assert!(Owner { machine: before, ..Owner::this_process() }.is_gone_on(&here));
        let elsewhere = Machine { id: "another".to_owned(), ..here.clone() };
        assert!(!Owner { machine: elsewhere, ..Owner::this_process() }.is_gone_on(&here));
    }

    #[cfg(feature = "docker")]
    #[test]
    fn what_an_owner_out_of_sight_has_left_is_known_by_its_time() {
        let machine = Machine { namespace: "a container's".to_owned(), ..Machine::this() };
        let mut id = EnvironmentId::new("shop").with_limit(Duration::from_secs(60));
        id.owner.machine = machine;
        let labels = |id: &EnvironmentId| id.labels().into_iter().collect::<HashMap<_, _>>();
        assert!(!is_left(&labels(&id)), "it may be at work");
        id.began -= Duration::from_secs(60) + SURELY + Duration::from_secs(2);
        assert!(is_left(&labels(&id)));
        let in_sight = EnvironmentId { owner: Owner::this_process(), ..id.clone() };
        assert!(!is_left(&labels(&in_sight)), "its owner lives, and the wall clock has jumped");
        let before: HashMap<_, _> = labels(&id).into_iter().filter(|(key, _)| key != LABEL_UNTIL).collect();
        assert!(!is_left(&before), "no time is written on it");
    }

    #[test]
    fn the_name_of_an_environment_tells_of_its_maker() {
        let id = EnvironmentId::new("two-words");
        assert!(is_maker_there(id.name()));
        let pid = std::process::id();
        let gone = Owner::this_process().started % STARTED_MODULO + 1;
        for other in [&*format!("chaos-shop-{pid}-{gone}-1"), "chaos-shop-4294967295-1-1", "shop", "", "-", "a-b-c"] {
            assert!(!is_maker_there(other), "{other}");
        }
    }

    #[test]
    fn environments_have_names_of_their_own() {
        assert_ne!(EnvironmentId::new("shop").name(), EnvironmentId::new("shop").name());
    }
}
