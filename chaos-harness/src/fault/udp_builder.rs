//! How a test writes a fault on datagrams: `link("app", "dns").udp().loss(0.1)`.

use std::time::Duration;

use super::{Injection, UdpFault};
use crate::link::udp::toxic::{BurstLoss, Corrupt, Delay, Duplicate, Loss, Reorder};
use crate::link::udp::{UdpToxic, UdpToxicSpec};
use crate::link::{Direction, Profile, Selection};

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
    /// What was said of the link before it was said to be UDP: told to the validation, which refuses it.
    pub(super) connections: Option<Selection>,
    pub(super) profile: Profile,
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
        let Self { caller, callee, direction, probability, connections, profile } = self;
        let toxic = UdpToxic { spec: spec.into(), direction, probability, connections, profile };
        Injection::new(UdpFault { caller, callee, toxic })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{FaultError, FaultKind, LinkRef, link};
    use crate::link::LinkError;
    use crate::topology::{Protocol, Service, Topology, USERS};

    const SECOND: Duration = Duration::from_secs(1);

    fn topology() -> Topology {
        Topology::new("t").service(Service::new("dns").cargo("p", "b")).link_over(USERS, "dns", Protocol::Udp)
    }

    #[test]
    fn what_datagrams_cannot_do_is_refused_by_name() {
        let dns = || link(USERS, "dns");
        let no_connections = "datagrams have no connections, of which to select";
        let no_course = "a toxic for datagrams has no course in time";
        let cases: [(LinkRef, &str, String); 6] = [
            (dns().first(3), "connections", format!("{no_connections} the first 3")),
            (dns().every(2), "connections", format!("{no_connections} every 2nd")),
            (dns().ramp(SECOND), "profile", format!("{no_course} (ramped over 1s)")),
            (dns().pulse(SECOND, SECOND), "profile", format!("{no_course} (after 1s for 1s)")),
            (dns().square(SECOND * 4, SECOND), "profile", format!("{no_course} (1s of every 4s)")),
            (dns().windows(SECOND, SECOND), "profile", format!("{no_course} (about 1s on, 1s off)")),
        ];
        for (link, field, problem) in cases {
            let injection = link.udp().loss(0.1);
            let written = serde_json::to_string(&injection).unwrap();
            let read: Injection = serde_json::from_str(&written).unwrap();
            assert_eq!(read, injection, "a plan that was written keeps what is wrong with it");
            let error = read.validate(&topology()).unwrap_err();
            let message = format!("toxic `10% of datagrams lost on users -> dns`: `{field}`: {problem}: leave it out");
            assert_eq!(error.to_string(), message);
            let FaultError::Link(LinkError::Invalid { source, .. }) = error else { panic!("{error:?}") };
            assert_eq!(source.field, field);
        }
    }

    #[test]
    fn a_share_a_direction_and_a_hold_are_kept() {
        let injection = link(USERS, "dns").down().probability(0.25).udp().delay(SECOND).hold(SECOND * 3);
        injection.validate(&topology()).unwrap();
        assert_eq!(injection.hold, SECOND * 3);
        assert_eq!(injection.fault.describe(), "25% of datagrams delayed by 1s downwards on users -> dns");
    }
}
