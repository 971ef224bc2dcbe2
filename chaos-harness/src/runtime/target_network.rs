//! The network namespace of an instance, as data: another process finds the same one later, or finds that it is gone.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use chaos_harness_netns::{Done, Job, NameDelay, Namespace, NetnsError};
use serde::{Deserialize, Serialize};

use super::delayed_names::DelayedNames;
#[cfg(feature = "docker")]
use super::docker;
use super::session::start_time;
use super::{Process, RuntimeError};
use crate::safety::undo::Scope;

/// How the network namespace of an instance is entered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "through")]
#[non_exhaustive]
pub enum TargetNetwork {
    /// By this process itself.
    Process {
        /// A process that lives there,
        pid: u32,
        /// told apart from a later one of that number by when it started,
        started: u64,
        /// and the namespace from a later one of that process by its number.
        inode: u64,
    },
    /// By a helper container in the network of the target's.
    Helper {
        /// The target's container, by its id.
        container: String,
        /// The helper's image.
        image: String,
        /// What the helper carries, so that it is found should it be left.
        labels: BTreeMap<String, String>,
    },
}

impl TargetNetwork {
    /// That of process `pid`; `None` when this process may not enter it, or cannot see it.
    #[cfg(any(feature = "docker", test))]
    pub(super) fn of_process(pid: u32) -> Option<Self> {
        let started = start_time(pid)?;
        let namespace = Namespace::of_process(pid).ok()?;
        namespace.run(|| ()).ok()?;
        Some(Self::Process { pid, started, inode: namespace.inode().ok()? })
    }

    /// Does `job` there.
    ///
    /// # Errors
    /// [`NetnsError::Gone`] when the namespace is gone, and all rules with it; else what the kernel or the engine refuses.
    pub async fn perform(&self, job: Job) -> Result<Done, RuntimeError> {
        match self {
            Self::Process { pid, started, inode } => {
                enter_elsewhere((*pid, *started, *inode), move || job.perform()).await
            }
            #[cfg(feature = "docker")]
            Self::Helper { container, image, labels } => docker::perform(container, image, labels, &job).await,
            #[cfg(not(feature = "docker"))]
            Self::Helper { .. } => Err(RuntimeError::NotBuilt),
        }
    }

    /// The same where it is that of a target within `scope`, and never this machine's own; `None` once it is gone.
    ///
    /// # Errors
    /// [`RuntimeError::NotOfEnvironment`] for any other.
    async fn within(&self, scope: &Scope) -> Result<Option<Self>, RuntimeError> {
        match self {
            Self::Process { pid, started, inode } => {
                let process = Process { pid: *pid, started: *started };
                if process.is_there() && is_of_this_machine(*inode) {
                    return Err(scope.refusal(format!("the network of this machine (through process {pid})")));
                }
                Ok(process.is_within(scope).await?.then(|| self.clone()))
            }
            #[cfg(feature = "docker")]
            Self::Helper { container, labels, .. } => docker::network_within(container, labels, scope).await,
            #[cfg(not(feature = "docker"))]
            Self::Helper { .. } => Err(RuntimeError::NotBuilt),
        }
    }

    /// Holds questions to name servers back there, for as long as this process lives and what is returned is not ended.
    ///
    /// # Errors
    /// As [`perform`](Self::perform); nothing is held back then.
    pub(crate) async fn delay_names(&self, delay: NameDelay) -> Result<DelayedNames, RuntimeError> {
        match self {
            Self::Process { pid, started, inode } => {
                let begun = enter_elsewhere((*pid, *started, *inode), move || delay.begin()).await?;
                DelayedNames::here(begun)
            }
            #[cfg(feature = "docker")]
            Self::Helper { container, image, labels } => {
                Ok(DelayedNames::through(docker::delay_names(container, image, labels, &delay).await?))
            }
            #[cfg(not(feature = "docker"))]
            Self::Helper { .. } => Err(RuntimeError::NotBuilt),
        }
    }
}

/// Whether a network namespace is that of this process or of the machine's first one.
fn is_of_this_machine(inode: u64) -> bool {
    let of = |process| std::fs::metadata(format!("/proc/{process}/ns/net")).ok();
    ["self", "1"].into_iter().filter_map(of).any(|namespace| namespace.ino() == inode)
}

/// Does `work` in the namespace of a process, told by its id, its start and the number of the namespace.
async fn enter_elsewhere<T: Send + 'static>(
    (pid, started, inode): (u32, u64, u64),
    work: impl FnOnce() -> Result<T, NetnsError> + Send + 'static,
) -> Result<T, RuntimeError> {
    let entered = tokio::task::spawn_blocking(move || enter(pid, started, inode, work)).await;
    Ok(entered.map_err(|error| RuntimeError::io("finish a job in a namespace")(error.into()))??)
}

fn enter<T: Send>(
    pid: u32,
    started: u64,
    inode: u64,
    work: impl FnOnce() -> Result<T, NetnsError> + Send,
) -> Result<T, NetnsError> {
    let not_permitted = || NetnsError::NotPermitted { action: format!("enter the network of process {pid}") };
    let is_there = || start_time(pid) == Some(started);
    if !is_there() {
        return Err(NetnsError::Gone);
    }
    let namespace = match Namespace::of_process(pid) {
        Ok(namespace) => namespace,
        Err(_) if !is_there() => return Err(NetnsError::Gone),
        Err(_) => return Err(not_permitted()),
    };
    if namespace.inode().ok() != Some(inode) || !is_there() {
        return Err(NetnsError::Gone);
    }
    namespace.run(work).map_err(|_| not_permitted())?
}

/// For the journal: `in the network of process 4711`.
impl std::fmt::Display for TargetNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Process { pid, .. } => write!(f, "in the network of process {pid}"),
            Self::Helper { container, .. } => {
                write!(f, "through a helper in the network of container {}", container.get(..12).unwrap_or(container))
            }
        }
    }
}

/// What undoes a change of a network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "undo")]
#[non_exhaustive]
pub enum NetworkUndo {
    /// Remove a table of rules.
    Table {
        /// Where.
        network: TargetNetwork,
        /// Its name.
        table: String,
    },
    /// Take the queueing discipline away, whatever it is for.
    Shape {
        /// Where.
        network: TargetNetwork,
    },
}

impl NetworkUndo {
    /// Takes the step; in a namespace that is gone there is nothing to undo.
    ///
    /// # Errors
    /// When the change may still be there.
    pub(crate) async fn take(&self) -> Result<(), RuntimeError> {
        let (network, job) = match self {
            Self::Table { network, table } => (network, Job::Remove { table: table.clone() }),
            Self::Shape { network } => (network, Job::Shape(Default::default())),
        };
        match network.perform(job).await {
            Ok(_) | Err(RuntimeError::Network(NetnsError::Gone)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes the step where the network is that of a target within `scope` and, for a table, its name is one that the
    /// harness gives in that environment.
    ///
    /// # Errors
    /// [`RuntimeError::NotOfEnvironment`] where it is not; else as [`take`](Self::take).
    pub(crate) async fn take_within(&self, scope: &Scope) -> Result<(), RuntimeError> {
        let (Self::Table { network, .. } | Self::Shape { network }) = self;
        if let Self::Table { table, .. } = self
            && !table.starts_with(&tables_of(&scope.environment))
        {
            return Err(scope.refusal(format!("table {table}")));
        }
        let Some(network) = network.within(scope).await? else { return Ok(()) };
        match self.clone() {
            Self::Table { table, .. } => Self::Table { network, table },
            Self::Shape { .. } => Self::Shape { network },
        }
        .take()
        .await
    }
}

/// What the name of each table begins with that is for `environment`.
pub(crate) fn tables_of(environment: &str) -> String {
    format!("chaos_{environment}_")
}

impl std::fmt::Display for NetworkUndo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Table { network, table } => write!(f, "remove table {table} {network}"),
            Self::Shape { network } => write!(f, "take the queueing discipline away {network}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Child, Command};

    use chaos_harness_netns::{Action, Counted, Packets, Rule, Rules, Way};

    use super::*;

    /// A process in a network of its own; `None`, visibly, where that is not permitted.
    fn process() -> Option<(Child, TargetNetwork)> {
        let Ok(namespace) = Namespace::fresh() else {
            std::io::stderr().lock().write_all(b"not run: no network namespace can be made; it takes root\n").unwrap();
            return None;
        };
        let child = namespace.run(|| Command::new("sleep").arg("600").spawn().unwrap()).unwrap();
        let network = TargetNetwork::of_process(child.id()).unwrap();
        Some((child, network))
    }

    fn drop_all(table: &str) -> Job {
        let rule = Rule { way: Way::Out, packets: Packets::default(), action: Action::Drop };
        Job::Apply(Rules { table: table.to_owned(), loopback: true, rules: vec![rule] })
    }

    #[tokio::test]
    async fn what_was_noted_is_undone_twice_by_another_process_and_after_the_target_is_gone() {
        let Some((mut child, network)) = process() else { return };
        let undo = NetworkUndo::Table { network: network.clone(), table: "chaos_test".to_owned() };
        // As the guard reads it.
        let undo: NetworkUndo = serde_json::from_str(&serde_json::to_string(&undo).unwrap()).unwrap();
        let count = || network.perform(Job::Count { table: "chaos_test".to_owned() });
        undo.take().await.unwrap();
        network.perform(drop_all("chaos_test")).await.unwrap();
        assert_eq!(count().await.unwrap(), Done::Counted(Counted::default()));
        undo.take().await.unwrap();
        undo.take().await.unwrap();
        assert_eq!(count().await.unwrap(), Done::Nothing);
        NetworkUndo::Shape { network: network.clone() }.take().await.unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        undo.take().await.unwrap();
        assert!(matches!(count().await, Err(RuntimeError::Network(NetnsError::Gone))));
    }

    /// What a log says is looked at first: the table's name, whose network it is, and whose process is in it.
    #[tokio::test]
    async fn only_tables_and_networks_of_the_environment_are_within_its_scope() {
        use crate::safety::AllowList;

        let Some((mut stranger, foreign)) = process() else { return };
        let namespace = Namespace::fresh().unwrap();
        let mut command = Command::new("sleep");
        command.arg("600").env("CHAOS_HARNESS_ENVIRONMENT", "chaos-e-1-1-1").env("CHAOS_HARNESS_OWNER", "of it");
        let mut target = namespace.run(|| command.spawn().unwrap()).unwrap();
        let own = TargetNetwork::of_process(target.id()).unwrap();
        let pid = std::process::id();
        let inode = Namespace::of_process(pid).unwrap().inode().unwrap();
        let machine = TargetNetwork::Process { pid, started: start_time(pid).unwrap(), inode };
        let scope = Scope { environment: "chaos-e-1-1-1".to_owned(), allowed: AllowList::default() };
        let table = |network: &TargetNetwork, table: &str| NetworkUndo::Table {
            network: network.clone(),
            table: table.to_owned(),
        };
        let ours = "chaos_chaos-e-1-1-1_x";
        own.perform(drop_all(ours)).await.unwrap();
        for (step, named) in [
            (table(&own, "chaos_chaos-e-1-1-2_x"), "table chaos_chaos-e-1-1-2_x".to_owned()),
            (table(&own, "filter"), "table filter".to_owned()),
            (table(&machine, ours), "the network of this machine".to_owned()),
            (NetworkUndo::Shape { network: machine.clone() }, "the network of this machine".to_owned()),
            (table(&foreign, ours), format!("process {}", stranger.id())),
            (NetworkUndo::Shape { network: foreign.clone() }, format!("process {}", stranger.id())),
        ] {
            let error = step.take_within(&scope).await.unwrap_err();
            assert!(error.is_refusal() && error.to_string().contains(&named), "{step}: {error}");
        }
        table(&own, ours).take_within(&scope).await.unwrap();
        assert_eq!(own.perform(Job::Count { table: ours.to_owned() }).await.unwrap(), Done::Nothing);
        for child in [&mut stranger, &mut target] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        table(&foreign, ours).take_within(&scope).await.unwrap();
    }

    #[tokio::test]
    async fn a_later_process_of_the_same_id_is_left_alone() {
        let Some((mut child, network)) = process() else { return };
        let TargetNetwork::Process { pid, started, inode } = network else { panic!("entered by this process") };
        for other in [
            TargetNetwork::Process { pid, started: started + 1, inode },
            TargetNetwork::Process { pid, started, inode: inode + 1 },
        ] {
            let error = other.perform(drop_all("chaos_test")).await.unwrap_err();
            assert!(matches!(error, RuntimeError::Network(NetnsError::Gone)), "{error}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
