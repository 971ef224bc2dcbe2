//! A service has little memory left.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::pressed::{self, Amount};
use super::{FaultError, FaultKind, Injected, Instances, target};
use crate::environment::Environment;
use crate::runtime::{Capability, Pressure};
use crate::topology::Topology;

/// Uses up memory inside each instance of a service. When the service then asks for more than its limit leaves it, the
/// kernel kills the larger of the two, which may be the program that presses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryStress {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
    /// How much.
    pub up_to: MemoryGoal,
}

/// How much memory is used up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemoryGoal {
    /// So much that the instance uses this share of its memory limit, from 0 to 1. One that has no limit fails the
    /// injection: give it one with a [`MemoryLimit`](super::MemoryLimit) first.
    Share(f64),
    /// So many bytes, beside what the instance uses.
    Bytes(u64),
}

impl Catalogued for MemoryStress {
    fn entries() -> Vec<Entry> {
        vec![Entry::new(
            "memory used up, to a share of the limit or by bytes",
            "`target(\"a\").memory_stress(0.9)`, `target(\"a\").memory_stress_by(64 << 20)`",
            [target("product").memory_stress_by(32 << 20)],
        )]
    }
}

#[async_trait]
impl FaultKind for MemoryStress {
    fn describe(&self) -> String {
        match self.up_to {
            MemoryGoal::Share(share) => {
                format!("memory stress up to {}% of the limit of {}", (share * 1e3).round() / 10.0, self.on)
            }
            MemoryGoal::Bytes(bytes) => format!("memory stress by {} KiB in {}", bytes >> 10, self.on),
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
            MemoryGoal::Share(share) => ((0.01..=0.99).contains(&share), share.to_string(), "0.01 to 0.99"),
            MemoryGoal::Bytes(bytes) => ((1..=1 << 40).contains(&bytes), format!("{bytes} bytes"), "1 byte to 1 TiB"),
        };
        if !fits {
            let (fault, range) = (self.describe(), range.to_owned());
            return Err(FaultError::BadValue { fault, what: "an amount", given, range });
        }
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let amount = match self.up_to {
            MemoryGoal::Share(share) => Amount::MemoryShare((share * 1000.0).round() as u16),
            MemoryGoal::Bytes(bytes) => Amount::Same(Pressure::Memory { bytes }),
        };
        pressed::inject(environment, &self.on, amount, self.describe()).await
    }
}
