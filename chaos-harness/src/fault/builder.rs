//! How a test writes a fault: `link("order", "inventory").latency(5.secs())`, `target("inventory").kill()`.

use std::time::Duration;

use super::{Injection, Instances, Kill, LinkFault, Pause, Stop, UdpLinkRef};
use crate::link::toxic::{
    Bandwidth, BlackHole, ConnectionLimit, Corrupt, Distribution, Excess, HalfOpen, Latency, LimitData, Refuse, Reset,
    Slicer, SlowClose, SlowOpen, Victims,
};
use crate::link::{Direction, Profile, Selection, Toxic, ToxicSpec};

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
    LinkRef {
        caller: caller.into(),
        callee: callee.into(),
        direction: None,
        probability: 1.0,
        connections: None,
        profile: Profile::Always,
    }
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
    connections: Option<Selection>,
    profile: Profile,
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

    /// The datagrams of the link, which must be declared over UDP. They have no connections, and a fault on them acts
    /// for all of its hold: with a selection ([`first`](Self::first), [`every`](Self::every)) or a
    /// [profile](Self::profile), the plan is refused before anything starts.
    ///
    /// ```
    /// use chaos_harness::fault::link;
    ///
    /// let lossy = link("app", "dns").udp().loss(0.1);
    /// assert_eq!(lossy.fault.to_string(), "10% of datagrams lost on app -> dns");
    /// ```
    pub fn udp(self) -> UdpLinkRef {
        let direction = self.direction.unwrap_or(Direction::Up);
        let Self { caller, callee, probability, connections, profile, .. } = self;
        UdpLinkRef { caller, callee, direction, probability, connections, profile }
    }

    /// Only the first `n` new connections, counted from the injection; those after them work. Connections that
    /// are open already are left alone, so a caller that keeps its connections meets the fault late or never.
    ///
    /// ```
    /// use chaos_harness::fault::link;
    ///
    /// let flaky = link("order", "inventory").first(3).refuse();
    /// assert_eq!(flaky.fault.to_string(), "refused connections, the first 3, on order -> inventory");
    /// ```
    pub fn first(mut self, n: u64) -> Self {
        self.connections = Some(Selection::First(n));
        self
    }

    /// Only every `n`th new connection, counted from the injection, the `n`th being the first to meet it;
    /// connections that are open already are left alone.
    ///
    /// ```
    /// use chaos_harness::fault::link;
    ///
    /// let leaky = link("order", "inventory").every(5).reset();
    /// assert_eq!(leaky.fault.to_string(), "reset connections, every 5th, on order -> inventory");
    /// ```
    pub fn every(mut self, n: u64) -> Self {
        self.connections = Some(Selection::Every(n));
        self
    }

    /// The fault grows steadily over the first `over` of its hold: a latency in size, any other in the share of
    /// the connections that meet it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use chaos_harness::fault::link;
    ///
    /// let growing = link("order", "inventory").ramp(Duration::from_secs(10)).latency(Duration::from_secs(2));
    /// assert_eq!(growing.fault.to_string(), "latency 2s, ramped over 10s, on order -> inventory");
    /// ```
    pub fn ramp(self, over: Duration) -> Self {
        self.profile(Profile::Ramp { over })
    }

    /// The fault acts once within its hold: from `after` for `lasts`.
    pub fn pulse(self, after: Duration, lasts: Duration) -> Self {
        self.profile(Profile::Pulse { after, lasts })
    }

    /// The fault acts for `on` of every `period` of its hold, beginning at once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use chaos_harness::fault::link;
    ///
    /// let flapping = link("order", "inventory").square(Duration::from_secs(4), Duration::from_secs(1)).refuse();
    /// assert_eq!(flapping.fault.to_string(), "refused connections, 1s of every 4s, on order -> inventory");
    /// ```
    pub fn square(self, period: Duration, on: Duration) -> Self {
        self.profile(Profile::Square { period, on })
    }

    /// The fault acts for about `on`, then not for about `off`, and so on through its hold, beginning at once;
    /// each time lasts half to one and a half times as long, as the seed draws it.
    pub fn windows(self, on: Duration, off: Duration) -> Self {
        self.profile(Profile::windows(on, off))
    }

    /// The fault acts when `profile` says, counted from the injection.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Answers arrive later by `latency`; with [`up`](Self::up), requests do.
    pub fn latency(self, latency: Duration) -> Injection {
        self.jittery_latency(latency, Duration::ZERO)
    }

    /// Answers arrive later by `latency`, give or take up to `jitter`.
    pub fn jittery_latency(self, latency: Duration, jitter: Duration) -> Injection {
        self.distributed_latency(latency, jitter, Distribution::Uniform)
    }

    /// Answers arrive later by `latency`, spread by `jitter` as `distribution` says.
    ///
    /// ```
    /// use std::time::Duration;
    /// use chaos_harness::fault::link;
    /// use chaos_harness::link::toxic::Distribution;
    ///
    /// let (mean, jitter) = (Duration::from_millis(80), Duration::from_millis(30));
    /// let tailed = link("order", "inventory").distributed_latency(mean, jitter, Distribution::Pareto);
    /// assert_eq!(tailed.fault.to_string(), "latency 80ms +/- 30ms (pareto) on order -> inventory");
    /// ```
    pub fn distributed_latency(self, latency: Duration, jitter: Duration, distribution: Distribution) -> Injection {
        self.usual(Latency { latency, jitter, distribution })
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
        let Self { probability, connections, profile, .. } = self;
        let toxic = Toxic { spec: spec.into(), direction, probability, connections, profile };
        Injection::new(LinkFault { caller: self.caller, callee: self.callee, toxic })
    }
}

/// A service to apply a fault to; see [`target`].
#[derive(Clone, Debug)]
#[must_use = "a target by itself does nothing; name a fault, such as `.kill()`"]
pub struct TargetRef(pub(super) Instances);

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
