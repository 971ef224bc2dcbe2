//! Who owns an environment: the marks by which a later run tells a live one from a dead one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, getpid};

/// Every label of the harness begins with this.
#[cfg(feature = "docker")]
pub(crate) const PREFIX: &str = "chaos-harness.";
/// The label that everything of the harness carries; its value is the environment.
pub(crate) const LABEL_ENVIRONMENT: &str = "chaos-harness.environment";
const LABEL_OWNER: &str = "chaos-harness.owner";

/// Names one environment on this machine, and the test process that owns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentId {
    name: String,
    owner: Owner,
}

/// The process that owns an environment, told apart from a later process of the same id by its start time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) pid: u32,
    pub(crate) started: u64,
    pub(crate) machine: String,
}

static NEXT: AtomicU32 = AtomicU32::new(1);

impl EnvironmentId {
    /// A new environment of this process, for the topology `topology`.
    pub fn new(topology: &str) -> Self {
        let owner = Owner::this_process();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { name: format!("chaos-{topology}-{}-{}-{number}", owner.pid, owner.started % 100_000), owner }
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
        ])
    }
}

impl Owner {
    pub(crate) fn this_process() -> Self {
        let pid = Pid::as_raw(Some(getpid())).unsigned_abs();
        Self { pid, started: start_time(pid).unwrap_or_default(), machine: machine() }
    }

    #[cfg(feature = "docker")]
    pub(crate) fn from_labels(labels: &std::collections::HashMap<String, String>) -> Option<Self> {
        labels.get(LABEL_OWNER)?.parse().ok()
    }

    /// Whether the owner is known to be gone. An owner on another machine, or in another process
    /// namespace, cannot be seen from here and counts as alive.
    pub(crate) fn is_gone(&self) -> bool {
        self.machine == machine() && start_time(self.pid) != Some(self.started)
    }
}

/// This process, as it is written into labels and journals.
pub(crate) fn owner_of_this_process() -> String {
    Owner::this_process().to_string()
}

/// Whether the process that `owner` names is known to be gone; what names no process is.
pub(crate) fn is_owner_gone(owner: &str) -> bool {
    owner.parse::<Owner>().map_or(true, |owner| owner.is_gone())
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.pid, self.started, self.machine)
    }
}

impl std::str::FromStr for Owner {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '/');
        let mut next = || parts.next().ok_or(());
        let pid = next()?.parse().map_err(|_| ())?;
        let started = next()?.parse().map_err(|_| ())?;
        Ok(Self { pid, started, machine: next()?.to_owned() })
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

/// This boot of this machine and this process namespace; process ids mean nothing elsewhere.
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{}/{}", boot.trim(), namespace.display())
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
        let owner = Owner { machine: "elsewhere".to_owned(), started: 1, ..Owner::this_process() };
        assert!(!owner.is_gone());
    }

    #[test]
    fn environments_have_names_of_their_own() {
        assert_ne!(EnvironmentId::new("shop").name(), EnvironmentId::new("shop").name());
    }
}
