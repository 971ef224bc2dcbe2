//! A service can open nothing more.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::{FaultError, FaultKind, Injected, Instances, squeezed, target};
use crate::environment::Environment;
use crate::runtime::Capability;
use crate::topology::Topology;

/// More than the kernel lets a process have by default.
const MOST: u64 = 1 << 20;

/// Leaves every process of each instance of a service room for at most so many more descriptors: files, connections,
/// pipes. What it has open stays open, and what it closes it cannot open again, as if something had leaked the rest.
///
/// Descriptors are a limit of single processes, so theirs is lowered, and set back afterwards. A process that is started
/// anew has a limit of its own again; an instance of which that is true was not hit for the whole hold, and the
/// attestation says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DescriptorsLeft {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
    /// How many more each process can open.
    pub left: u64,
}

impl Catalogued for DescriptorsLeft {
    fn entries() -> Vec<Entry> {
        let none = [target("product").descriptors_left(0)];
        let entry = Entry::new("no file descriptors left, or few", "`target(\"a\").descriptors_left(0)`", none);
        vec![entry.privileges("none; on docker root, or the user that the target runs as")]
    }
}

#[async_trait]
impl FaultKind for DescriptorsLeft {
    fn describe(&self) -> String {
        format!("{} file descriptors left in {}", self.left, self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::ProcessLimits]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        if self.left > MOST {
            let (given, range) = (self.left.to_string(), format!("0 to {MOST}"));
            return Err(FaultError::BadValue { fault: self.describe(), what: "a number of descriptors", given, range });
        }
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        squeezed::inject(environment, &self.on, self.left).await
    }
}
