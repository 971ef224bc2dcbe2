//! What queueing disciplines do to the packets that leave, as plain data, and how several such faults combine.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rules::Packets;

/// All that is done to the packets that leave a namespace.
///
/// There is one root queueing discipline, so what is in force is worked out anew from all faults whenever one comes or
/// goes: faults on the same packets are [combined](Netem::and), and those on everything act on chosen packets as well.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shaping {
    /// Each fault: on which packets it acts (on all when none are named), and what it does.
    pub faults: Vec<(Vec<Packets>, Netem)>,
}

/// What `netem` does to packets. Shares are from 0 to 1; the kernel's own dice decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Netem {
    /// They arrive later by so much,
    pub latency: Duration,
    /// give or take so much, by which they overtake each other.
    pub jitter: Duration,
    /// This share arrives twice.
    pub duplicate: f64,
    /// This share is not delayed, and so overtakes those before it.
    pub reorder: f64,
    /// In this share one bit is flipped.
    pub corrupt: f64,
}

impl Netem {
    /// Both at once: times add up, and shares as those of independent events do.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let either = |a: f64, b: f64| 1.0 - (1.0 - a) * (1.0 - b);
        Self {
            latency: self.latency + other.latency,
            jitter: self.jitter + other.jitter,
            duplicate: either(self.duplicate, other.duplicate),
            reorder: either(self.reorder, other.reorder),
            corrupt: either(self.corrupt, other.corrupt),
        }
    }
}

impl Shaping {
    /// What happens to every packet, and what to chosen ones.
    pub(crate) fn combined(&self) -> (Netem, Vec<(Vec<Packets>, Netem)>) {
        let on_all = |(packets, _): &&(Vec<Packets>, Netem)| packets.is_empty();
        let all = self.faults.iter().filter(on_all).fold(Netem::default(), |sum, (_, netem)| sum.and(*netem));
        let mut chosen: Vec<(Vec<Packets>, Netem)> = Vec::new();
        for (packets, netem) in self.faults.iter().filter(|(packets, _)| !packets.is_empty()) {
            match chosen.iter_mut().find(|(known, _)| known == packets) {
                Some((_, sum)) => *sum = sum.and(*netem),
                None => chosen.push((packets.clone(), all.and(*netem))),
            }
        }
        (all, chosen)
    }
}
