//! How a test writes a fault on datagrams: `link("app", "dns").udp().loss(0.1)`.

use std::time::Duration;

use super::{Injection, UdpFault};
use crate::link::Direction;
use crate::link::udp::toxic::{BurstLoss, Corrupt, Delay, Duplicate, Loss, Reorder};
use crate::link::udp::{UdpToxic, UdpToxicSpec};

/// A UDP link to apply a fault to; see [`LinkRef::udp`](super::LinkRef::udp).
///
/// A fault acts on what the caller sends unless [`down`](Self::down) or [`both_ways`](Self::both_ways) says otherwise,
/// so that it acts once in a round trip, and on services that never answer.
#[derive(Clone, Debug)]
#[must_use = "a link by itself does nothing; name a fault, such as `.loss(...)`"]
pub struct UdpLinkRef {
    pub(super) caller: String,
    pub(super) callee: String,
    pub(super) direction: Direction,
    pub(super) probability: f64,
}

impl UdpLinkRef {
    /// Only what the caller sends, which is the default.
    pub fn up(self) -> Self {
        Self { direction: Direction::Up, ..self }
    }

    /// Only what the callee answers.
    pub fn down(self) -> Self {
        Self { direction: Direction::Down, ..self }
    }

    /// What the caller sends and what the callee answers.
    pub fn both_ways(self) -> Self {
        Self { direction: Direction::Both, ..self }
    }

    /// Only this share of the datagrams, from 0 to 1, chosen by the seed.
    pub fn probability(self, share: f64) -> Self {
        Self { probability: share, ..self }
    }

    /// This share of the datagrams is lost, from 0 to 1.
    pub fn loss(self, share: f64) -> Injection {
        self.probability(share).toxic(Loss {})
    }

    /// This share of the datagrams is lost, `length` in a row on average.
    pub fn burst_loss(self, share: f64, length: f64) -> Injection {
        self.toxic(BurstLoss::new(share, length))
    }

    /// Datagrams arrive later by `delay`.
    pub fn delay(self, delay: Duration) -> Injection {
        self.toxic(Delay::new(delay))
    }

    /// Datagrams arrive later by `delay`, give or take up to `jitter`, which reorders them.
    pub fn jittery_delay(self, delay: Duration, jitter: Duration) -> Injection {
        self.toxic(Delay::new(delay).jitter(jitter))
    }

    /// This share of the datagrams arrives twice.
    pub fn duplicate(self, share: f64) -> Injection {
        self.probability(share).toxic(Duplicate::default())
    }

    /// This share of the datagrams is overtaken by the next one of the same caller.
    pub fn reorder(self, share: f64) -> Injection {
        self.probability(share).toxic(Reorder::default())
    }

    /// In this share of the datagrams one bit is flipped.
    pub fn corrupt(self, share: f64) -> Injection {
        self.probability(share).toxic(Corrupt::default())
    }

    /// Any toxic for datagrams.
    pub fn toxic(self, spec: impl Into<UdpToxicSpec>) -> Injection {
        let toxic = UdpToxic::new(spec).direction(self.direction).probability(self.probability);
        Injection::new(UdpFault { caller: self.caller, callee: self.callee, toxic })
    }
}
