//! Faults in the network namespace of a target: what a kernel does to packets, so that a partition is one.
//!
//! The rules of each injection are a table of nftables of their own: they compose, and go without touching others.
//! An instance that is started again has a new namespace, and they are applied there too, a moment after it has started;
//! where packets past the links are told by its address, that is the address that it had first. A container that was there
//! before the environment is not followed. The dice are the kernel's own, which no seed decides.

mod builder;
mod catalogue;
mod cut;
mod dns;
mod dns_delay;
mod in_networks;
mod loss;
mod netem;
mod partition;
mod place;
mod rate;
mod rules;
mod shapes;
mod traffic;

pub use builder::{NetworkRef, network, partition};
pub use cut::Cut;
pub use dns::DnsFailure;
pub use dns_delay::DnsDelay;
pub use loss::{Losses, NetworkLoss};
pub use netem::{Mechanism, NetemFault};
pub use partition::Partition;
pub use place::{NetworkPlace, Ways};
pub use rate::NetworkRate;
