//! Names are found late.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chaos_harness_netns::{Counted, NameDelay};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::in_networks::{Look, Treatment, treat};
use super::rules;
use crate::environment::Environment;
use crate::fault::{FaultError, FaultKind, Injected, Instances};
use crate::runtime::{Capability, DelayedNames, RuntimeError, TargetNetwork};
use crate::safety::undo::UndoLog;
use crate::topology::{InstanceId, Topology};

const INSTEAD: &str = "use `link(..).udp().delay(..)` where the name server is a declared UDP link";
/// Whoever asks has given up by then.
const LONGEST: Duration = Duration::from_secs(60);

/// Every question to a name server, be it local or not, leaves later, and so is answered later. Those over TCP pass as
/// they are. Declared links are addresses and need no names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsDelay {
    /// Whose questions.
    #[serde(flatten)]
    pub on: Instances,
    /// By how much.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub delay: Duration,
}

#[async_trait]
impl FaultKind for DnsDelay {
    fn describe(&self) -> String {
        format!("names answered {} later on {}", humantime::format_duration(self.delay), self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::NetworkNamespace]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        if self.delay.is_zero() || self.delay > LONGEST {
            let (fault, given) = (self.describe(), self.delay);
            return Err(FaultError::OutOfRange { fault, what: "delay", given, range: "above 0s, to 1m" });
        }
        self.on.ids(topology).map(drop)
    }

    fn check_machine(&self) -> Result<(), FaultError> {
        let trial = NameDelay { table: rules::TRIAL.to_owned(), delay: self.delay };
        rules::check(&self.describe(), INSTEAD, trial.check())
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let delay = NameDelay { table: rules::fresh_table(environment), delay: self.delay };
        let ids = self.on.running(environment)?;
        let treated = treat(Delayed { delay, names: BTreeMap::new() }, ids, environment).await;
        treated.map_err(|error| rules::refusal(&self.describe(), INSTEAD, error))
    }
}

struct Delayed {
    delay: NameDelay,
    names: BTreeMap<TargetNetwork, DelayedNames>,
}

#[async_trait]
impl Treatment for Delayed {
    const MEANS: &str = "nfnetlink_queue";

    async fn begin(&mut self, _: &InstanceId, network: &TargetNetwork, log: &UndoLog) -> Result<(), RuntimeError> {
        log.note(rules::undo(network, &self.delay.table))?;
        self.names.insert(network.clone(), network.delay_names(self.delay.clone()).await?);
        Ok(())
    }

    async fn look(&mut self, _: &InstanceId, network: &TargetNetwork) -> Result<Look, RuntimeError> {
        let is_there = rules::count(network, &self.delay.table).await?.is_some();
        let counted = match self.names.get_mut(network) {
            Some(names) => names.count().await.map(|waited| Counted { seen: waited, bitten: waited }),
            None => return Ok(Look { is_there, counted: None }),
        };
        // One whose network is gone has ended by itself, and may be silent.
        if is_there {
            Ok(Look { is_there, counted: Some(counted?) })
        } else {
            Ok(Look { is_there, counted: counted.ok() })
        }
    }

    async fn end(&mut self, network: &TargetNetwork, log: &UndoLog) -> Result<(), RuntimeError> {
        let ended = match self.names.get_mut(network) {
            Some(names) => names.end().await,
            None => Ok(()),
        };
        if ended.is_ok() {
            self.names.remove(network);
        }
        ended.and(log.take(&rules::undo(network, &self.delay.table)).await)
    }

    fn words(&self, waited: Counted) -> String {
        format!("{} questions over UDP held back", waited.bitten)
    }
}
