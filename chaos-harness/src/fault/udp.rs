//! A toxic on a declared UDP link.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::link::fresh_name;
use super::{Attestation, FaultError, FaultKind, Injected, protocol};
use crate::environment::Environment;
use crate::link::udp::toxic::{BurstLoss, Delay};
use crate::link::udp::{UdpCountersSnapshot, UdpLink, UdpToxic, UdpToxicSpec};
use crate::link::{Direction, LinkError, LinkName};
use crate::runtime::Capability;
use crate::topology::{Protocol, Topology};

/// A toxic on the datagrams between `caller` and `callee`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UdpFault {
    /// Who calls; `users` for the load.
    pub caller: String,
    /// Who is called.
    pub callee: String,
    /// What is wrong with the link.
    pub toxic: UdpToxic,
}

#[async_trait]
impl FaultKind for UdpFault {
    fn describe(&self) -> String {
        let Self { caller, callee, toxic } = self;
        format!("{} on {caller} -> {callee}", describe_toxic(toxic))
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.callee]
    }

    fn link(&self) -> Option<LinkName> {
        Some(LinkName::new(&self.caller, &self.callee))
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Links]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        protocol::require(topology, (&self.caller, &self.callee), Protocol::Udp, || self.describe())?;
        let invalid = |source| LinkError::Invalid { name: self.describe(), source };
        Ok(self.toxic.validate().map_err(invalid)?)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let links = environment.udp_links(&self.caller, &self.callee);
        let before = links.iter().map(|link| link.counters()).collect();
        let mut injected = InjectedUdp { name: fresh_name(), fault: self.clone(), before };
        for link in links {
            if let Err(error) = link.toxics().add(&injected.name, self.toxic.clone()) {
                // All or nothing: those that were added are taken away again.
                injected.roll_back(environment).await?;
                return Err(error.into());
            }
        }
        Ok(Box::new(injected))
    }
}

/// `10% loss of datagrams`, `datagrams delayed by 50ms both ways`: what people call a toxic.
fn describe_toxic(toxic: &UdpToxic) -> String {
    let time = humantime::format_duration;
    let share = if toxic.probability < 1.0 { format!("{}% of ", percent(toxic.probability)) } else { String::new() };
    let what = match &toxic.spec {
        UdpToxicSpec::Loss(_) => "lost".to_owned(),
        UdpToxicSpec::PeriodicLoss(loss) => format!("lost, 1 in {}", loss.nth),
        UdpToxicSpec::BurstLoss(BurstLoss { share, length }) => {
            format!("lost, {}% in bursts of {length}", percent(*share))
        }
        UdpToxicSpec::Delay(Delay { delay, jitter }) if jitter.is_zero() => format!("delayed by {}", time(*delay)),
        UdpToxicSpec::Delay(Delay { delay, jitter }) => format!("delayed by {} +/- {}", time(*delay), time(*jitter)),
        UdpToxicSpec::Duplicate(duplicate) => format!("sent {} times", duplicate.copies + 1),
        UdpToxicSpec::Reorder(reorder) => format!("overtaken by {}", reorder.gap),
        UdpToxicSpec::Corrupt(corrupt) => format!("corrupted in {} bits", corrupt.bits),
        UdpToxicSpec::Bandwidth(bandwidth) => format!("limited to {} B/s", bandwidth.rate),
    };
    let way = match toxic.direction {
        Direction::Up => "",
        Direction::Down => " downwards",
        Direction::Both => " both ways",
    };
    format!("{share}datagrams {what}{way}")
}

/// A share as people write it: `12.5`, `10`.
fn percent(share: f64) -> f64 {
    (share * 1e5).round() / 1e3
}

struct InjectedUdp {
    name: String,
    fault: UdpFault,
    /// What each link had counted before.
    before: Vec<UdpCountersSnapshot>,
}

impl InjectedUdp {
    fn links<'a>(&self, environment: &'a Environment) -> Vec<&'a UdpLink> {
        environment.udp_links(&self.fault.caller, &self.fault.callee)
    }
}

/// What a toxic leaves traces in.
fn trace(spec: &UdpToxicSpec) -> (fn(&UdpCountersSnapshot) -> u64, &'static str) {
    match spec {
        UdpToxicSpec::Loss(_) | UdpToxicSpec::PeriodicLoss(_) | UdpToxicSpec::BurstLoss(_) => {
            (|counted| counted.dropped, "datagrams lost")
        }
        UdpToxicSpec::Delay(_) => (|counted| counted.delayed, "datagrams delayed"),
        UdpToxicSpec::Duplicate(_) => (|counted| counted.duplicated, "copies of datagrams"),
        UdpToxicSpec::Reorder(_) => (|counted| counted.reordered, "datagrams overtaken"),
        UdpToxicSpec::Corrupt(_) => (|counted| counted.corrupted, "datagrams corrupted"),
        UdpToxicSpec::Bandwidth(_) => (|counted| counted.delayed + counted.overflowed, "datagrams delayed or lost"),
    }
}

#[async_trait]
impl Injected for InjectedUdp {
    fn mechanism(&self) -> String {
        "UDP link proxy".to_owned()
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        let (count, what) = trace(&self.fault.toxic.spec);
        let links = self.links(environment);
        let counted: u64 =
            links.iter().zip(&self.before).map(|(link, before)| count(&link.counters().since(before))).sum();
        Attestation::when(counted > 0, format!("{counted} {what}"))
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        let mut first_error = None;
        for link in self.links(environment) {
            match link.toxics().remove(&self.name) {
                Ok(_) | Err(LinkError::Unknown { .. } | LinkError::Closed(_)) => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        let links = self.links(environment);
        let has_it = |link: &&&UdpLink| link.toxics().list().iter().any(|(name, _)| *name == self.name);
        let still = links.iter().filter(has_it).count();
        Attestation::when(still == 0, format!("toxic on {still} of {} links", links.len()))
    }
}
