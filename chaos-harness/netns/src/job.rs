//! What can be done in a network namespace, as plain data, so that a helper can do it as well.

use serde::{Deserialize, Serialize};

use crate::error::NetnsError;
use crate::interfaces::{Interface, interfaces};
use crate::namespace::Namespace;
use crate::nft::{self, Counted};
use crate::qdisc;
use crate::rules::{Packets, Rules};
use crate::shaping::Shaping;

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "job")]
#[non_exhaustive]
pub enum Job {
    /// Puts rules in force, all at once.
    Apply(Rules),
    /// Removes the rules of a table; none is fine.
    Remove {
        /// The table.
        table: String,
    },
    /// Reads what a table has counted.
    Count {
        /// The table.
        table: String,
    },
    /// Makes what leaves be as told, whatever it was before; nothing is to be done to it when no fault is named.
    Shape(Shaping),
    /// Reads how many packets were shaped.
    Shaped {
        /// What was made.
        shaping: Shaping,
        /// On which of its packets; all when none are named.
        packets: Vec<Packets>,
    },
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "done")]
pub enum Done {
    /// It is done.
    Done,
    /// The table has counted this.
    Counted(Counted),
    /// There is no such table, or nothing is shaped.
    Nothing,
}

impl Job {
    /// Does it in the network namespace of the calling thread.
    ///
    /// # Errors
    /// When the kernel refuses; then nothing is applied.
    pub fn perform(&self) -> Result<Done, NetnsError> {
        let all = interfaces().map_err(NetnsError::of("list the network interfaces"))?;
        let outward: Vec<Interface> = all.into_iter().filter(|interface| !interface.is_loopback).collect();
        self.perform_on(&outward)
    }

    /// Tries it in a namespace of its own that is then thrown away, to learn whether this kernel can do it.
    ///
    /// # Errors
    /// What the kernel lacks, or that this process may not try.
    pub fn check(&self) -> Result<(), NetnsError> {
        let fresh = Namespace::fresh().map_err(NetnsError::of("make a network namespace"))?;
        // Nothing but a loopback interface is there; to try things on it will do.
        let tried = fresh.run(|| {
            let all = interfaces().map_err(NetnsError::of("list the network interfaces"))?;
            self.perform_on(&all).map(drop)
        });
        tried.map_err(NetnsError::of("enter a network namespace"))?
    }

    fn perform_on(&self, interfaces: &[Interface]) -> Result<Done, NetnsError> {
        match self {
            Self::Apply(rules) => {
                let devices: Vec<String> = interfaces.iter().map(|interface| interface.name.clone()).collect();
                nft::apply(rules, &devices).map(|()| Done::Done)
            }
            Self::Remove { table } => nft::remove(table).map(|()| Done::Done),
            Self::Count { table } => Ok(nft::count(table)?.map_or(Done::Nothing, Done::Counted)),
            Self::Shaped { shaping, packets } => {
                let counted = qdisc::count(shaping, packets, interfaces)?;
                Ok(counted.map_or(Done::Nothing, |packets| Done::Counted(Counted { seen: packets, bitten: packets })))
            }
            Self::Shape(shaping) => qdisc::shape(shaping, interfaces).map(|()| Done::Done),
        }
    }
}
