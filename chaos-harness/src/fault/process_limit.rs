//! A service gets no more processes and threads.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::{FaultError, FaultKind, Injected, Instances, limited, target};
use crate::environment::Environment;
use crate::runtime::{Capability, Limit, Resource};
use crate::topology::Topology;

/// Lets each instance of a service have at most so many processes and threads together, counting the init that runs
/// in every container. Those that it has stay; another is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessLimit {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
    /// Processes and threads.
    pub most: u64,
}

impl Catalogued for ProcessLimit {
    fn entries() -> Vec<Entry> {
        let limit = [target("product").process_limit(1)];
        vec![Entry::new("limit on processes and threads", "`target(\"a\").process_limit(8)`", limit)]
    }
}

#[async_trait]
impl FaultKind for ProcessLimit {
    fn describe(&self) -> String {
        format!("limit of {} processes and threads on {}", self.most, self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::ProcessLimit]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        if !(1..=1 << 22).contains(&self.most) {
            let (given, range) = (self.most.to_string(), format!("1 to {}", 1 << 22));
            return Err(FaultError::BadValue { fault: self.describe(), what: "a limit", given, range });
        }
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let limit = Limit { resource: Resource::Processes, most: self.most };
        limited::inject(environment, &self.on, limit, self.describe()).await
    }
}
