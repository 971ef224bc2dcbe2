//! A disk of a service is slow.

use std::path::Path;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::{FaultError, FaultKind, Injected, Instances, slowed, target};
use crate::environment::Environment;
use crate::runtime::{Capability, DiskPace};
use crate::topology::Topology;

/// Lets each instance of a service read from the disk of a folder, and write to it, only so fast: all that it has on
/// that disk, not the folder alone.
///
/// The kernel holds back what waits for the disk: reads of what is not cached, direct writes, `fsync` and its like. A write
/// into the cache returns at once as ever. An instance that is started anew during the hold has a fast disk again, and
/// the attestation says so. The folder is one that was declared with [`Service::disk`](crate::topology::Service::disk).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlowDisk {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
    /// A declared folder, or one in it.
    pub folder: String,
    /// How fast it is.
    pub at_most: DiskPace,
}

impl Catalogued for SlowDisk {
    fn entries() -> Vec<Entry> {
        let slow = [target("product").slow_disk("/disk", 10), target("product").disk_bandwidth("/disk", 16 << 10)];
        let written =
            "`target(\"a\").slow_disk(\"/data\", 10)` operations a second, `.disk_bandwidth(\"/data\", 1 << 20)`";
        let entry = Entry::new("a slow disk, for a folder declared with `Service::disk`", written, slow);
        vec![entry.privileges("root")]
    }
}

#[async_trait]
impl FaultKind for SlowDisk {
    fn describe(&self) -> String {
        let pace = match self.at_most {
            DiskPace::Operations(most) => format!("{most} operations"),
            DiskPace::Bytes(most) => format!("{most} bytes"),
        };
        format!("disk of {} of {} at {pace} a second", self.folder, self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::DiskSpeed, Capability::Pressure]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        let (fits, given, range) = match self.at_most {
            DiskPace::Operations(most) => ((1..=1 << 20).contains(&most), most, "1 to 1048576 operations"),
            DiskPace::Bytes(most) => ((4096..=1 << 40).contains(&most), most, "4096 to 2^40 bytes"),
        };
        let bad = |what, given, range| Err(FaultError::BadValue { fault: self.describe(), what, given, range });
        if !fits {
            return bad("a pace", given.to_string(), format!("{range} a second"));
        }
        let declared = &topology.get(&self.on.service)?.disks;
        if !declared.iter().any(|disk| Path::new(&self.folder).starts_with(disk)) {
            let known: Vec<&str> = declared.iter().map(String::as_str).collect();
            let range = format!("those declared with `Service::disk`: {}", known.join(", "));
            return bad("a folder", format!("`{}`", self.folder), range);
        }
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        slowed::inject(environment, self).await
    }
}
