//! A service can start few more processes and threads.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::pressed::{self, Amount};
use super::{FaultError, FaultKind, Injected, Instances, target};
use crate::environment::Environment;
use crate::runtime::{Capability, Pressure};
use crate::topology::Topology;

/// What one program can have: every thread takes two mappings of the 65530 that Linux lets it have by default.
const MOST: u64 = 30_000;

/// Fills the limit on processes and threads of each instance of a service with threads that sleep. Each takes about
/// 30 KiB of the memory that the instance may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessStress {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
    /// How many.
    pub up_to: ProcessGoal,
}

/// How many processes and threads there are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProcessGoal {
    /// So many that the instance has this share of its limit, from 0 to 1. One that has no limit fails the injection:
    /// give it one with a [`ProcessLimit`](super::ProcessLimit) first.
    Share(f64),
    /// So many, beside those that the instance has.
    Count(u64),
}

impl Catalogued for ProcessStress {
    fn entries() -> Vec<Entry> {
        vec![Entry::new(
            "processes and threads used up, to a share of the limit or by number",
            "`target(\"a\").process_stress(0.9)`, `target(\"a\").process_stress_by(100)`",
            [target("product").process_stress_by(100)],
        )]
    }
}

#[async_trait]
impl FaultKind for ProcessStress {
    fn describe(&self) -> String {
        match self.up_to {
            ProcessGoal::Share(share) => {
                format!("process stress up to {}% of the limit of {}", (share * 1e3).round() / 10.0, self.on)
            }
            ProcessGoal::Count(count) => format!("process stress by {count} processes and threads in {}", self.on),
        }
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Pressure]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        let (fits, given, range) = match self.up_to {
            ProcessGoal::Share(share) => ((0.01..=1.0).contains(&share), share.to_string(), "0.01 to 1".to_owned()),
            ProcessGoal::Count(count) => ((1..=MOST).contains(&count), count.to_string(), format!("1 to {MOST}")),
        };
        if !fits {
            return Err(FaultError::BadValue { fault: self.describe(), what: "an amount", given, range });
        }
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let amount = match self.up_to {
            ProcessGoal::Share(share) => Amount::ProcessShare((share * 1000.0).round() as u16),
            ProcessGoal::Count(count) => Amount::Same(Pressure::Processes { count }),
        };
        pressed::inject(environment, &self.on, amount, self.describe()).await
    }
}
