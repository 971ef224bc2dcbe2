//! Packets arrive late, twice, out of order or damaged.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chaos_harness_netns::{Counted, Job, Netem, Packets, Shaping};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::in_networks::{Look, Treatment, treat};
use super::{NetworkPlace, Ways, rules, shapes, traffic};
use crate::environment::Environment;
use crate::fault::link::fresh_name;
use crate::fault::{Attestation, FaultError, FaultKind, Injected, Instances, LinkFault, protocol};
use crate::link::toxic::Latency;
use crate::link::{Direction, Toxic};
use crate::runtime::{Capability, RuntimeError, TargetNetwork};
use crate::safety::undo::UndoLog;
use crate::topology::{InstanceId, Protocol, Topology};

const INSTEAD: &str = "use `link(..).latency(..)`, or `link(..).udp()` for datagrams";
/// Longer is no latency but a partition.
const LONGEST: Duration = Duration::from_secs(600);

/// What the kernel's `netem` does to the packets that a service sends, to everybody or to one that it calls.
///
/// Several of them on one service combine: times add up, shares as those of independent events do, and what is done to
/// all packets is done to those for a peer as well. What waits when one comes or goes may be lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NetemFault {
    /// Who sends, and to whom; what arrives cannot be shaped.
    #[serde(flatten)]
    pub place: NetworkPlace,
    /// Packets arrive later by so much,
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub latency: Duration,
    /// give or take so much, by which they overtake each other.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub jitter: Duration,
    /// This share arrives twice, from 0 to 1.
    pub duplicate: f64,
    /// This share is not delayed, and so overtakes what is.
    pub reorder: f64,
    /// In this share one bit is flipped.
    pub corrupt: f64,
    /// How it is done.
    pub mechanism: Mechanism,
}

/// How a fault is done that can be done in two ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mechanism {
    /// By the kernel where it can, else by the link proxy where that can. The journal says which it was.
    #[default]
    Auto,
    /// By the kernel, or not at all.
    Kernel,
}

impl NetemFault {
    fn netem(&self) -> Netem {
        let Self { latency, jitter, duplicate, reorder, corrupt, .. } = *self;
        Netem { latency, jitter, duplicate, reorder, corrupt }
    }

    fn trial(&self) -> Job {
        let packets = self.place.peer.iter().map(|_| Packets::default()).collect();
        Job::Shape(Shaping { faults: vec![(packets, self.netem())] })
    }

    /// The same on the link, where the link proxy can do it.
    fn on_link(&self) -> Option<LinkFault> {
        let only_late = self.duplicate == 0.0 && self.reorder == 0.0 && self.corrupt == 0.0;
        let callee = self.place.peer.clone().filter(|_| only_late && self.place.on.instance.is_none())?;
        if self.mechanism == Mechanism::Kernel {
            return None;
        }
        let latency = Latency { latency: self.latency, jitter: self.jitter, ..Latency::default() };
        let toxic = Toxic::new(latency).direction(Direction::Up);
        Some(LinkFault { caller: self.place.on.service.clone(), callee, toxic })
    }

    async fn inject_in_kernel(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let mut packets = BTreeMap::new();
        for id in self.place.on.running(environment)? {
            let of_id = self.packets(&id, environment).await?;
            packets.insert(id, of_id);
        }
        let ids: Vec<InstanceId> = packets.keys().cloned().collect();
        let shaped = Shaped { name: fresh_name(), netem: self.netem(), packets, before: BTreeMap::new() };
        let treated = treat(shaped, ids, environment).await;
        treated.map_err(|error| rules::refusal(&self.describe(), INSTEAD, error))
    }

    /// What `id` sends to the peer; nothing in particular without one.
    async fn packets(&self, id: &InstanceId, environment: &Environment) -> Result<Vec<Packets>, FaultError> {
        let Some(peer) = &self.place.peer else { return Ok(Vec::new()) };
        let mut packets = Vec::new();
        for peer in (Instances { service: peer.clone(), instance: None }).ids(environment.topology())? {
            packets.extend(traffic::on_link(id, &peer, environment));
            if environment.is_on_standby(&peer) {
                continue;
            }
            let address = environment.runtime().status(&peer).await?.address;
            packets.extend(address.map(|it| Packets { remote: Some(it.ip()), ..Packets::default() }));
        }
        Ok(packets)
    }
}

#[async_trait]
impl FaultKind for NetemFault {
    fn describe(&self) -> String {
        let time = humantime::format_duration;
        let share = |share: f64| format!("{}%", (share * 1e5).round() / 1e3);
        let mut what = Vec::new();
        if self.jitter > Duration::ZERO {
            what.push(format!("delayed by {} +/- {}", time(self.latency), time(self.jitter)));
        } else if self.latency > Duration::ZERO {
            what.push(format!("delayed by {}", time(self.latency)));
        }
        for (given, words) in [(self.duplicate, "duplicated"), (self.reorder, "reordered"), (self.corrupt, "corrupted")]
        {
            if given > 0.0 {
                what.push(format!("{} {words}", share(given)));
            }
        }
        format!("packets {} on {}", what.join(", "), self.place)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.place.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        if self.on_link().is_some() { &[Capability::Links] } else { &[Capability::NetworkNamespace] }
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        self.place.on.ids(topology)?;
        if self.place.ways == Ways::In {
            return Err(FaultError::Inbound { fault: self.describe() });
        }
        if let Some(peer) = &self.place.peer {
            let needed = if topology.has_udp(&self.place.on.service, peer) { Protocol::Udp } else { Protocol::Tcp };
            protocol::require(topology, (&self.place.on.service, peer), needed, || self.describe())?;
        }
        for (what, given) in [("duplicate", self.duplicate), ("reorder", self.reorder), ("corrupt", self.corrupt)] {
            if !(0.0..=1.0).contains(&given) {
                return Err(FaultError::Number { fault: self.describe(), what, given, range: "0 to 1" });
            }
        }
        let out_of_range = |what, given, range| FaultError::OutOfRange { fault: self.describe(), what, given, range };
        if self.latency > LONGEST {
            return Err(out_of_range("latency", self.latency, "0s to 10m"));
        }
        if self.jitter > self.latency {
            return Err(out_of_range("jitter", self.jitter, "0s to the latency"));
        }
        if self.reorder > 0.0 && self.latency.is_zero() {
            return Err(out_of_range("latency", self.latency, "above 0s, for others to overtake"));
        }
        Ok(())
    }

    fn check_machine(&self) -> Result<(), FaultError> {
        if self.on_link().is_some() {
            return Ok(());
        }
        rules::check(&self.describe(), INSTEAD, self.trial().check())
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let Some(on_link) = self.on_link() else { return self.inject_in_kernel(environment).await };
        let reason = if environment.runtime().capabilities().contains(&Capability::NetworkNamespace) {
            match self.inject_in_kernel(environment).await {
                Ok(injected) => return Ok(injected),
                Err(FaultError::Kernel { source, .. }) => source.to_string(),
                Err(error) => return Err(error),
            }
        } else {
            format!("the {} runtime has no network namespaces", environment.runtime().kind())
        };
        Ok(Box::new(OnLink { injected: on_link.inject(environment).await?, reason }))
    }
}

struct Shaped {
    name: String,
    netem: Netem,
    packets: BTreeMap<InstanceId, Vec<Packets>>,
    /// How many had been shaped as this is before, for other faults.
    before: BTreeMap<TargetNetwork, u64>,
}

#[async_trait]
impl Treatment for Shaped {
    const MEANS: &str = "netem";

    async fn begin(&mut self, id: &InstanceId, network: &TargetNetwork, log: &UndoLog) -> Result<(), RuntimeError> {
        let packets = self.packets.get(id).cloned().unwrap_or_default();
        shapes::add(network, log, &self.name, (packets.clone(), self.netem)).await?;
        let before = shapes::count(network, &packets).await?.unwrap_or(0);
        self.before.insert(network.clone(), before);
        Ok(())
    }

    async fn look(&mut self, id: &InstanceId, network: &TargetNetwork) -> Result<Look, RuntimeError> {
        if !shapes::has(network, &self.name).await {
            return Ok(Look { is_there: false, counted: None });
        }
        let now = shapes::count(network, self.packets.get(id).map_or(&[], Vec::as_slice)).await?;
        let before = self.before.get(network).copied().unwrap_or(0);
        // A discipline that was made anew for another fault has begun anew.
        let counted = now.map(|now| now.checked_sub(before).unwrap_or(now));
        Ok(Look { is_there: now.is_some(), counted: counted.map(|shaped| Counted { seen: shaped, bitten: shaped }) })
    }

    async fn end(&mut self, network: &TargetNetwork, log: &UndoLog) -> Result<(), RuntimeError> {
        shapes::remove(network, log, &self.name).await
    }

    fn words(&self, shaped: Counted) -> String {
        format!("{} packets passed netem", shaped.bitten)
    }
}

/// Done by the link proxy in the kernel's stead.
struct OnLink {
    injected: Box<dyn Injected>,
    reason: String,
}

#[async_trait]
impl Injected for OnLink {
    fn mechanism(&self) -> String {
        format!("{}, since {}", self.injected.mechanism(), self.reason)
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        self.injected.attest(environment).await
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        self.injected.roll_back(environment).await
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        self.injected.attest_gone(environment).await
    }
}
