//! The services fall into groups that cannot reach each other.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{self, Planned};
use super::traffic::{self, Traffic};
use super::{Cut, NetworkPlace, Ways};
use crate::environment::Environment;
use crate::fault::{FaultError, FaultKind, Injected, Instances};
use crate::runtime::Capability;
use crate::topology::Topology;

const INSTEAD: &str = "use `link(..).black_hole()` on each link between the groups";

/// No packet passes from one group to another. Services that are in no group reach all, and so do users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Partition {
    /// The groups, each of names of services.
    pub groups: Vec<Vec<String>>,
    /// Whether the sender is told, as with [`Cut::reject`].
    #[serde(default)]
    pub reject: bool,
}

impl Partition {
    /// Each two services that are in different groups.
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let groups = self.groups.iter().enumerate();
        groups.flat_map(move |(position, group)| {
            let others = self.groups[position + 1..].iter().flatten();
            let pairs = others.flat_map(move |other| group.iter().map(move |one| (one.as_str(), other.as_str())));
            pairs.collect::<Vec<_>>()
        })
    }
}

#[async_trait]
impl FaultKind for Partition {
    fn describe(&self) -> String {
        let groups: Vec<String> = self.groups.iter().map(|group| group.join(", ")).collect();
        let rejected = if self.reject { ", packets rejected" } else { "" };
        format!("partition {}{rejected}", groups.join(" | "))
    }

    fn services(&self) -> Vec<&str> {
        self.groups.iter().flatten().map(String::as_str).collect()
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::NetworkNamespace]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        let names = self.services();
        for name in &names {
            topology.get(name)?;
        }
        let twice = (0..names.len()).find(|at| names[..*at].contains(&names[*at]));
        if let Some(at) = twice {
            return Err(FaultError::Groups { reason: format!("`{}` is named twice", names[at]) });
        }
        if self.groups.len() < 2 || self.groups.iter().any(Vec::is_empty) {
            return Err(FaultError::Groups { reason: "it takes two groups at least, none of them empty".to_owned() });
        }
        Ok(())
    }

    fn check_machine(&self) -> Result<(), FaultError> {
        rules::check(&self.describe(), INSTEAD, rules::trial(Cut::action(self.reject)))
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let mut traffic = Traffic::new();
        for (one, other) in self.pairs() {
            let on = Instances { service: one.to_owned(), instance: None };
            let place = NetworkPlace { on, peer: Some(other.to_owned()), ways: Ways::Both };
            for (id, mut packets) in traffic::of_place(&place, environment).await? {
                traffic.entry(id).or_default().append(&mut packets);
            }
        }
        let (fault, action) = (self.describe(), Cut::action(self.reject));
        rules::apply(Planned { fault, instead: INSTEAD, traffic, action, loopback: false, environment }).await
    }
}
