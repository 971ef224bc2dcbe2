//! A service gets less memory.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::{FaultError, FaultKind, Injected, Instances, limited, target};
use crate::environment::Environment;
use crate::runtime::{Capability, Limit, Resource};
use crate::topology::Topology;

/// The least that an engine takes.
const LEAST: u64 = 6 << 20;
/// The kernel counts in pages, of at most this size.
const PAGE: u64 = 64 << 10;

/// Lets each instance of a service have at most so much memory, and none of it swapped out. When it asks for more, the
/// kernel kills it, and its restart policy applies; without one, the rollback starts it again.
///
/// A limit below what an instance uses makes it give memory back, or be killed. Control groups of version 1 kill only
/// what asks for more, so an instance that does neither within 5 s fails the injection, and nothing is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryLimit {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
    /// Bytes, rounded down to 64 KiB; at least 6 MiB.
    pub bytes: u64,
}

impl Catalogued for MemoryLimit {
    fn entries() -> Vec<Entry> {
        let limit = [target("product").memory_limit(24 << 20)];
        vec![Entry::new("memory limit, down to an OOM kill", "`target(\"a\").memory_limit(64 << 20)`", limit)]
    }
}

#[async_trait]
impl FaultKind for MemoryLimit {
    fn describe(&self) -> String {
        format!("memory limit of {} KiB on {}", self.bytes >> 10, self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::MemoryLimit]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        if !(LEAST..=1 << 50).contains(&self.bytes) {
            let (given, range) = (format!("{} bytes", self.bytes), "6 MiB to 1 PiB".to_owned());
            return Err(FaultError::BadValue { fault: self.describe(), what: "a limit", given, range });
        }
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let limit = Limit { resource: Resource::Memory, most: self.bytes / PAGE * PAGE };
        limited::inject(environment, &self.on, limit, self.describe()).await
    }
}
