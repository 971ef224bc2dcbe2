//! A service gets less processor time.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::{FaultError, FaultKind, Injected, Instances, limited, target};
use crate::environment::Environment;
use crate::runtime::{CPU_PERIOD, Capability, Limit, Resource};
use crate::topology::Topology;

/// The least that an engine takes, and more than any machine has.
const LEAST: f64 = 0.01;
const MOST: f64 = 1024.0;

/// Lets each instance of a service run for at most a share of one core, as a scheduler's quota does: when it has had
/// its part of 100 ms, it stands still until the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuQuota {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
    /// Cores: 0.1 is a tenth of one, 2 is two.
    pub cores: f64,
}

impl Catalogued for CpuQuota {
    fn entries() -> Vec<Entry> {
        let quota = [target("product").cpu_quota(0.1)];
        vec![Entry::new("CPU quota", "`target(\"a\").cpu_quota(0.1)`", quota)]
    }
}

#[async_trait]
impl FaultKind for CpuQuota {
    fn describe(&self) -> String {
        format!("cpu quota of {}% of a core on {}", (self.cores * 1e4).round() / 1e2, self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::CpuLimit]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        if !(LEAST..=MOST).contains(&self.cores) {
            let (given, range) = (self.cores.to_string(), format!("{LEAST} to {MOST} cores"));
            return Err(FaultError::BadValue { fault: self.describe(), what: "a quota", given, range });
        }
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let most = (self.cores * CPU_PERIOD as f64).round() as u64;
        limited::inject(environment, &self.on, Limit { resource: Resource::Cpu, most }, self.describe()).await
    }
}
