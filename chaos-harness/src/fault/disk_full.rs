//! A volume of a service is full.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::pressed::{self, Amount};
use super::{FaultError, FaultKind, Injected, Instances, target};
use crate::environment::Environment;
use crate::runtime::{Capability, Pressure};
use crate::topology::Topology;

/// Fills a declared volume of each instance of a service with a file, up to a share of it; 1 leaves no byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiskFull {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
    /// The folder of the volume, as it was declared.
    pub volume: String,
    /// Of its size, from 0 to 1.
    pub share: f64,
}

impl Catalogued for DiskFull {
    fn entries() -> Vec<Entry> {
        vec![Entry::new(
            "a full disk, on a volume declared with `Service::volume`",
            "`target(\"a\").disk_full(\"/data\")`",
            [target("product").disk_full("/data")],
        )]
    }
}

#[async_trait]
impl FaultKind for DiskFull {
    fn describe(&self) -> String {
        format!("{} of {} full to {}%", self.volume, self.on, (self.share * 1e3).round() / 10.0)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Pressure, Capability::Volumes]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        if !(0.01..=1.0).contains(&self.share) {
            let (given, range) = (self.share.to_string(), "0.01 to 1".to_owned());
            return Err(FaultError::BadValue { fault: self.describe(), what: "a share", given, range });
        }
        let declared = &topology.get(&self.on.service)?.volumes;
        if !declared.contains_key(&self.volume) {
            let known: Vec<&str> = declared.keys().map(String::as_str).collect();
            let (given, range) = (format!("`{}`", self.volume), format!("the declared ones: {}", known.join(", ")));
            return Err(FaultError::BadValue { fault: self.describe(), what: "a volume", given, range });
        }
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let amount = Amount::Same(Pressure::Disk {
            folder: self.volume.clone(),
            permille: (self.share * 1000.0).round() as u16,
        });
        pressed::inject(environment, &self.on, amount, self.describe()).await
    }
}
