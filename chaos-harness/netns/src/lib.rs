//! Network faults inside a network namespace: nftables rules and queueing disciplines, over netlink.
//!
//! This is a part of `chaos-harness`, in a crate of its own so that the helper program can be built from little: it is the
//! build script of `chaos-harness`.
//! Use the faults of `chaos-harness` rather than this crate.
//!
//! A [`Job`] is plain data. [`Job::perform`] does it in the network namespace of the calling thread;
//! [`Namespace::run`] puts a thread into the namespace of a process; [`Job::check`] tries it in a namespace that is
//! thrown away, to learn whether this kernel can do it. What takes a process for as long as it lasts is no job:
//! [`NameDelay`].

mod error;
mod fresh;
mod helper;
mod interfaces;
mod job;
mod names;
mod namespace;
mod netlink;
mod nft;
mod qdisc;
mod question;
mod queue;
mod rules;
mod shaping;

pub use error::NetnsError;
pub use helper::helper;
pub use job::{Done, Job};
pub use names::{DelayedNames, NameDelay};
pub use namespace::Namespace;
pub use nft::Counted;
pub use rules::{Action, Packets, Rule, Rules, Transport, Way};
pub use shaping::{Netem, Shaping};

#[cfg(test)]
mod tests;
