//! A service shares its processor time with something that never rests.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::pressed::{self, Amount};
use super::{FaultError, FaultKind, Injected, Instances, target};
use crate::environment::Environment;
use crate::runtime::{Capability, Pressure};
use crate::topology::Topology;

/// Runs threads that never rest inside each instance of a service, within its own limits: where it has a CPU quota, they
/// use that up together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuStress {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
    /// How many threads.
    pub threads: u32,
}

impl Catalogued for CpuStress {
    fn entries() -> Vec<Entry> {
        vec![Entry::new(
            "CPU stress within its limits",
            "`target(\"a\").cpu_stress(2)`",
            [target("product").cpu_stress(1)],
        )]
    }
}

#[async_trait]
impl FaultKind for CpuStress {
    fn describe(&self) -> String {
        format!("cpu stress by {} threads in {}", self.threads, self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Pressure]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        if !(1..=1024).contains(&self.threads) {
            let (given, range) = (self.threads.to_string(), "1 to 1024".to_owned());
            return Err(FaultError::BadValue { fault: self.describe(), what: "a number of threads", given, range });
        }
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let amount = Amount::Same(Pressure::Cpu { threads: self.threads });
        pressed::inject(environment, &self.on, amount, self.describe()).await
    }
}
