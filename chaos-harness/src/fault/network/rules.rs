//! Rules in force in the namespaces of instances: applied all or none, counted, removed.

use async_trait::async_trait;
use chaos_harness_netns::{Action, Counted, Done, Job, NetnsError, Packets, Rule, Rules, Way};

use super::traffic::Traffic;
use crate::environment::Environment;
use crate::fault::link::fresh_name;
use crate::fault::{Attestation, FaultError, Injected};
use crate::runtime::{NetworkUndo, RuntimeError, TargetNetwork};
use crate::safety::undo::UndoStep;
use crate::topology::InstanceId;

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
pub(super) fn check(fault: &str, instead: &'static str, job: &Job) -> Result<(), FaultError> {
    match job.check() {
        Err(error @ NetnsError::Missing { .. }) => Err(lacking(fault, instead, error)),
        _ => Ok(()),
    }
}

/// A job that has rules with `action`, to be tried.
pub(super) fn trial(action: Action) -> Job {
    let rule = |way| Rule { way, packets: Packets::default(), action };
    Job::Apply(Rules { table: "chaos_trial".to_owned(), loopback: false, rules: vec![rule(Way::In), rule(Way::Out)] })
}

pub(super) fn lacking(fault: &str, instead: &'static str, error: NetnsError) -> FaultError {
    FaultError::Kernel { fault: fault.to_owned(), source: error, instead }
}

/// Applies the rules in every namespace, or in none.
pub(super) async fn apply(planned: Planned<'_>) -> Result<Box<dyn Injected>, FaultError> {
    let Planned { fault, instead, traffic, action, loopback, environment } = planned;
    let log = environment.runtime().undo_log();
    let table = format!("chaos_{}_{}", log.environment(), fresh_name());
    let mut injected = InjectedRules { table, action, targets: Vec::new() };
    for (id, packets) in traffic {
        let rules = packets.into_iter().map(|(way, packets)| Rule { way, packets, action }).collect();
        let rules = Rules { table: injected.table.clone(), loopback, rules };
        let applied = injected.apply_in(id, rules, environment).await;
        if let Err(error) = applied {
            // All or nothing: those that were applied are taken away again.
            injected.roll_back(environment).await?;
            return Err(match error {
                RuntimeError::Network(error @ NetnsError::Missing { .. }) => lacking(&fault, instead, error),
                other => other.into(),
            });
        }
    }
    Ok(Box::new(injected))
}

struct InjectedRules {
    table: String,
    action: Action,
    targets: Vec<(InstanceId, TargetNetwork)>,
}

impl InjectedRules {
    async fn apply_in(&mut self, id: InstanceId, rules: Rules, environment: &Environment) -> Result<(), RuntimeError> {
        let network = environment.runtime().network(&id).await?;
        environment.runtime().undo_log().note(self.undo(&network))?;
        self.targets.push((id, network.clone()));
        network.perform(Job::Apply(rules)).await.map(drop)
    }

    fn undo(&self, network: &TargetNetwork) -> UndoStep {
        UndoStep::Network(NetworkUndo::Table { network: network.clone(), table: self.table.clone() })
    }

    /// What was counted in a namespace; `None` when there are no rules, be it that the namespace is gone.
    async fn count(&self, network: &TargetNetwork) -> Result<Option<Counted>, RuntimeError> {
        match network.perform(Job::Count { table: self.table.clone() }).await {
            Ok(Done::Counted(counted)) => Ok(Some(counted)),
            Ok(_) | Err(RuntimeError::Network(NetnsError::Gone)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Injected for InjectedRules {
    fn mechanism(&self) -> String {
        let mut places: Vec<String> = self.targets.iter().map(|(_, network)| network.to_string()).collect();
        places.dedup();
        format!("nftables {}", places.join(", "))
    }

    async fn attest(&mut self, _: &Environment) -> Attestation {
        let (mut total, mut gone) = (Counted::default(), Vec::new());
        for (id, network) in &self.targets {
            match self.count(network).await {
                Ok(Some(counted)) => {
                    total.seen += counted.seen;
                    total.bitten += counted.bitten;
                }
                Ok(None) => gone.push(id.to_string()),
                Err(error) => return Attestation::not_shown(error.to_string()),
            }
        }
        if !gone.is_empty() {
            let gone = gone.join(", ");
            return Attestation::not_shown(format!("the network of {gone} was replaced meanwhile, and has no rules"));
        }
        let what = if self.action == Action::Reject { "rejected" } else { "dropped" };
        let Counted { seen, bitten } = total;
        Attestation::when(bitten > 0, format!("{bitten} of {seen} packets {what}"))
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        let mut first_error = None;
        for (_, network) in &self.targets {
            let step = self.undo(network);
            let taken = match step.take().await {
                Ok(()) => environment.runtime().undo_log().done(&step).map_err(RuntimeError::from),
                Err(error) => Err(error),
            };
            first_error = first_error.or(taken.err());
        }
        first_error.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn attest_gone(&mut self, _: &Environment) -> Attestation {
        let mut still = 0;
        for (_, network) in &self.targets {
            match self.count(network).await {
                Ok(counted) => still += usize::from(counted.is_some()),
                Err(error) => return Attestation::not_shown(error.to_string()),
            }
        }
        Attestation::when(still == 0, format!("rules in {still} of {} networks", self.targets.len()))
    }
}
