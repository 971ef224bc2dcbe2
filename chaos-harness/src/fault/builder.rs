//! How a test writes a fault: `link("order", "inventory").latency(5.secs())`, `target("inventory").kill()`.

use std::time::Duration;

use super::{Injection, Instances, Kill, LinkFault, Pause, Stop};
use crate::link::toxic::{
    Bandwidth, BlackHole, ConnectionLimit, Corrupt, Excess, HalfOpen, Latency, LimitData, Refuse, Reset, Slicer,
    SlowClose, SlowOpen, Victims,
};
use crate::link::{Direction, Toxic, ToxicSpec};

/// The link from `caller` to `callee`, to apply a fault to.
///
/// ```
/// use std::time::Duration;
/// use chaos_harness::fault::link;
///
/// let slow = link("order", "inventory").latency(Duration::from_secs(5)).hold(Duration::from_secs(10));
/// assert_eq!(slow.fault.to_string(), "latency 5s on order -> inventory");
/// ```
pub fn link(caller: impl Into<String>, callee: impl Into<String>) -> LinkRef {
    LinkRef { caller: caller.into(), callee: callee.into(), direction: None, probability: 1.0 }
}

/// The service `name`, to apply a fault to; all of its instances unless [`instance`](TargetRef::instance) picks one.
///
/// ```
/// use chaos_harness::fault::target;
///
/// assert_eq!(target("inventory").instance(2).kill().fault.to_string(), "kill inventory-2");
/// ```
pub fn target(name: impl Into<String>) -> TargetRef {
    TargetRef(Instances { service: name.into(), instance: None })
}

/// A link to apply a fault to; see [`link`].
#[derive(Clone, Debug)]
#[must_use = "a link by itself does nothing; name a fault, such as `.latency(...)`"]
pub struct LinkRef {
    caller: String,
    callee: String,
    direction: Option<Direction>,
    probability: f64,
}

impl LinkRef {
    /// Only what the caller sends.
    pub fn up(mut self) -> Self {
        self.direction = Some(Direction::Up);
        self
    }

    /// Only what the callee answers.
    pub fn down(mut self) -> Self {
        self.direction = Some(Direction::Down);
        self
    }

    /// Only this share of the connections, from 0 to 1, chosen by the seed.
    pub fn probability(mut self, share: f64) -> Self {
        self.probability = share;
        self
    }

    /// Answers arrive later by `latency`; with [`up`](Self::up), requests do.
    pub fn latency(self, latency: Duration) -> Injection {
        self.jittery_latency(latency, Duration::ZERO)
    }

    /// Answers arrive later by `latency`, give or take up to `jitter`.
    pub fn jittery_latency(self, latency: Duration, jitter: Duration) -> Injection {
        self.usual(Latency { latency, jitter })
    }

    /// Nothing arrives, and connections hang; what was sent arrives once the fault is gone.
    pub fn black_hole(self) -> Injection {
        self.toxic(BlackHole::default())
    }

    /// New connections are refused, live ones reset.
    pub fn refuse(self) -> Injection {
        self.toxic(Refuse {})
    }

    /// Connections are reset.
    pub fn reset(self) -> Injection {
        self.toxic(Reset::default())
    }

    /// Each connection passes at most `rate` bytes per second each way.
    pub fn bandwidth(self, rate: u64) -> Injection {
        self.usual(Bandwidth::new(rate))
    }

    /// All connections together pass at most `rate` bytes per second each way, in equal parts.
    pub fn shared_bandwidth(self, rate: u64) -> Injection {
        self.usual(Bandwidth::new(rate).shared())
    }

    /// New connections reach the callee `delay` later.
    pub fn slow_open(self, delay: Duration) -> Injection {
        self.usual(SlowOpen { delay })
    }

    /// The end of a connection, or of one of its streams, arrives `delay` later.
    pub fn slow_close(self, delay: Duration) -> Injection {
        self.usual(SlowClose { delay })
    }

    /// Connections are closed after `bytes` of what the callee answers; with [`up`](Self::up), of what the caller sends.
    /// To have them reset instead, name the [toxic](LimitData).
    pub fn limit_data(self, bytes: u64) -> Injection {
        self.usual(LimitData { bytes, ..LimitData::default() })
    }

    /// Bytes arrive in pieces of `size`, `delay` apart.
    pub fn slicer(self, size: u32, delay: Duration) -> Injection {
        self.usual(Slicer { size, delay, ..Slicer::default() })
    }

    /// One bit is flipped in this share of the bytes: above 0, at most 1.
    pub fn corrupt(self, share: f64) -> Injection {
        self.usual(Corrupt { bytes: Victims::Share(share), bit: None })
    }

    /// The callee's ends of connections are gone, and the caller is not told; with [`down`](Self::down) it is the other
    /// way round.
    pub fn half_open(self) -> Injection {
        self.usual(HalfOpen::default())
    }

    /// Connections are reset while there are `max` others.
    pub fn connection_limit(self, max: u32) -> Injection {
        self.usual(ConnectionLimit { max, then: Excess::Refuse })
    }

    /// Connections wait while there are `max` others.
    pub fn connection_queue(self, max: u32) -> Injection {
        self.usual(ConnectionLimit { max, then: Excess::Wait })
    }

    /// A toxic in the direction that people mean when they name none. A latency both ways would count twice in a
    /// round trip.
    fn usual(mut self, spec: impl Into<ToxicSpec>) -> Injection {
        let spec = spec.into();
        self.direction = self.direction.or(Some(spec.usual()));
        self.toxic(spec)
    }

    /// Any toxic; it acts both ways, unless [`up`](Self::up) or [`down`](Self::down) say otherwise.
    pub fn toxic(self, spec: impl Into<ToxicSpec>) -> Injection {
        let direction = self.direction.unwrap_or_default();
        let toxic = Toxic::new(spec).direction(direction).probability(self.probability);
        Injection::new(LinkFault { caller: self.caller, callee: self.callee, toxic })
    }
}

/// A service to apply a fault to; see [`target`].
#[derive(Clone, Debug)]
#[must_use = "a target by itself does nothing; name a fault, such as `.kill()`"]
pub struct TargetRef(Instances);

impl TargetRef {
    /// Only the instance with this ordinal, from 1.
    pub fn instance(mut self, ordinal: u16) -> Self {
        self.0.instance = Some(ordinal);
        self
    }

    /// The processes end at once; the service's restart policy applies.
    pub fn kill(self) -> Injection {
        Injection::new(Kill { on: self.0 })
    }

    /// The processes stand still for the hold.
    pub fn pause(self) -> Injection {
        Injection::new(Pause { on: self.0 })
    }

    /// The service is shut down for the hold, then started again.
    pub fn stop(self) -> Injection {
        Injection::new(Stop { on: self.0 })
    }
}
