//! Rules in force in the namespaces of instances: applied all or none, counted, removed.

use async_trait::async_trait;
use chaos_harness_netns::{Action, Counted, Done, Job, NetnsError, Packets, Rule, Rules, Way};

use super::in_networks::{Look, Treatment, treat};
use super::traffic::Traffic;
use crate::environment::Environment;
use crate::fault::link::fresh_name;
use crate::fault::{FaultError, Injected};
use crate::runtime::{NetworkUndo, RuntimeError, TargetNetwork, tables_of};
use crate::safety::undo::{UndoLog, UndoStep};
use crate::topology::InstanceId;

/// The table of what is only tried.
pub(super) const TRIAL: &str = "chaos_trial";

/// What is to be done to which packets.
pub(super) struct Planned<'a> {
    /// The fault, in words.
    pub(super) fault: String,
    /// What to use where the kernel cannot.
    pub(super) instead: &'static str,
    pub(super) traffic: Traffic,
    pub(super) action: Action,
    /// Whether local packets are meant too.
    pub(super) loopback: bool,
    pub(super) environment: &'a Environment,
}

/// Refuses what this machine's kernel cannot do. Who may not try learns it when the fault is applied.
pub(super) fn check(fault: &str, instead: &'static str, tried: Result<(), NetnsError>) -> Result<(), FaultError> {
    match tried {
        Err(error @ NetnsError::Missing { .. }) => Err(lacking(fault, instead, error)),
        _ => Ok(()),
    }
}

/// Tries rules with `action`.
pub(super) fn trial(action: Action) -> Result<(), NetnsError> {
    let rule = |way| Rule { way, packets: Packets::default(), action };
    let rules = vec![rule(Way::In), rule(Way::Out)];
    Job::Apply(Rules { table: TRIAL.to_owned(), loopback: false, rules }).check()
}

pub(super) fn lacking(fault: &str, instead: &'static str, error: NetnsError) -> FaultError {
    FaultError::Kernel { fault: fault.to_owned(), source: error, instead }
}

/// Why a fault was not applied.
pub(super) fn refusal(fault: &str, instead: &'static str, error: RuntimeError) -> FaultError {
    match error {
        RuntimeError::Network(error @ NetnsError::Missing { .. }) => lacking(fault, instead, error),
        other => other.into(),
    }
}

/// A table that nobody has.
pub(super) fn fresh_table(environment: &Environment) -> String {
    tables_of(environment.runtime().undo_log().environment()) + &fresh_name()
}

/// Applies the rules in every namespace, or in none.
pub(super) async fn apply(planned: Planned<'_>) -> Result<Box<dyn Injected>, FaultError> {
    let Planned { fault, instead, traffic, action, loopback, environment } = planned;
    let table = fresh_table(environment);
    let ids: Vec<InstanceId> = traffic.keys().cloned().collect();
    let treated = treat(Tables { table, action, loopback, traffic }, ids, environment).await;
    treated.map_err(|error| refusal(&fault, instead, error))
}

/// What takes a table away.
pub(super) fn undo(network: &TargetNetwork, table: &str) -> UndoStep {
    UndoStep::Network(NetworkUndo::Table { network: network.clone(), table: table.to_owned() })
}

/// What a table has counted; `None` when it is not there, be it that the namespace is gone.
pub(super) async fn count(network: &TargetNetwork, table: &str) -> Result<Option<Counted>, RuntimeError> {
    match network.perform(Job::Count { table: table.to_owned() }).await {
        Ok(Done::Counted(counted)) => Ok(Some(counted)),
        Ok(_) | Err(RuntimeError::Network(NetnsError::Gone)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A table for each instance, of the same name.
struct Tables {
    table: String,
    action: Action,
    loopback: bool,
    traffic: Traffic,
}

impl Tables {
    fn rules(&self, id: &InstanceId) -> Rules {
        let packets = self.traffic.get(id).into_iter().flatten();
        let rules = packets.map(|&(way, packets)| Rule { way, packets, action: self.action }).collect();
        Rules { table: self.table.clone(), loopback: self.loopback, rules }
    }
}

#[async_trait]
impl Treatment for Tables {
    const MEANS: &str = "nftables";

    async fn begin(&mut self, id: &InstanceId, network: &TargetNetwork, log: &UndoLog) -> Result<(), RuntimeError> {
        log.note(undo(network, &self.table))?;
        network.perform(Job::Apply(self.rules(id))).await.map(drop)
    }

    async fn look(&mut self, _: &InstanceId, network: &TargetNetwork) -> Result<Look, RuntimeError> {
        let counted = count(network, &self.table).await?;
        Ok(Look { is_there: counted.is_some(), counted })
    }

    async fn end(&mut self, network: &TargetNetwork, log: &UndoLog) -> Result<(), RuntimeError> {
        log.take(&undo(network, &self.table)).await
    }

    fn words(&self, Counted { seen, bitten }: Counted) -> String {
        let what = if self.action == Action::Reject { "rejected" } else { "dropped" };
        format!("{bitten} of {seen} packets {what}")
    }
}
