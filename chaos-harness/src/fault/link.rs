//! A toxic on a declared link.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attestation, FaultError, FaultKind, Injected};
use crate::environment::Environment;
use crate::link::toxic::Latency;
use crate::link::{CountersSnapshot, Direction, LinkError, LinkProxy, Toxic, ToxicSpec};
use crate::runtime::Capability;
use crate::safety::BlastRadius;
use crate::topology::{Topology, USERS};

/// A toxic on every connection from `caller` to `callee`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LinkFault {
    /// Who calls; `users` for the load.
    pub caller: String,
    /// Who is called.
    pub callee: String,
    /// What is wrong with the link.
    pub toxic: Toxic,
}

#[async_trait]
impl FaultKind for LinkFault {
    fn describe(&self) -> String {
        let Self { caller, callee, toxic } = self;
        format!("{} on {caller} -> {callee}", describe_toxic(toxic))
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.callee]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Links]
    }

    fn radius(&self) -> BlastRadius {
        match &self.toxic.spec {
            ToxicSpec::Http(http) if http.when.is_single_request() => BlastRadius::SingleRequest,
            _ => BlastRadius::SingleService,
        }
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        for name in [&self.caller, &self.callee].into_iter().filter(|name| *name != USERS) {
            topology.get(name)?;
        }
        if !topology.has_link(&self.caller, &self.callee) {
            let declared: Vec<String> = topology.links.iter().map(ToString::to_string).collect();
            return Err(FaultError::UnknownLink {
                caller: self.caller.clone(),
                callee: self.callee.clone(),
                declared: if declared.is_empty() { "none".to_owned() } else { declared.join(", ") },
            });
        }
        let invalid = |source| LinkError::Invalid { name: self.describe(), source };
        Ok(self.toxic.validate().map_err(invalid)?)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let proxies = environment.links(&self.caller, &self.callee);
        let before = proxies.iter().map(|proxy| proxy.counters()).collect();
        let mut injected = InjectedToxic { name: fresh_name(), fault: self.clone(), before };
        for proxy in proxies {
            if let Err(error) = proxy.toxics().add(&injected.name, self.toxic.clone()) {
                // All or nothing: those that were added are taken away again.
                injected.roll_back(environment).await?;
                return Err(error.into());
            }
        }
        Ok(Box::new(injected))
    }
}

/// `latency 5s`, `25% black hole up`: what people call a toxic.
fn describe_toxic(toxic: &Toxic) -> String {
    let share = if toxic.probability < 1.0 { format!("{:.0}% ", toxic.probability * 100.0) } else { String::new() };
    let time = humantime::format_duration;
    let what = match &toxic.spec {
        ToxicSpec::Latency(Latency { latency, jitter }) if jitter.is_zero() => format!("latency {}", time(*latency)),
        ToxicSpec::Latency(Latency { latency, jitter }) => format!("latency {} +/- {}", time(*latency), time(*jitter)),
        ToxicSpec::BlackHole(_) => "black hole".to_owned(),
        ToxicSpec::Refuse(_) => "refused connections".to_owned(),
        ToxicSpec::Reset(_) => "reset connections".to_owned(),
        ToxicSpec::Http(http) => http.to_string(),
    };
    let way = match (&toxic.spec, toxic.direction) {
        (_, Direction::Up) => " upwards",
        (ToxicSpec::Latency(_), Direction::Down) | (_, Direction::Both) => "",
        (_, Direction::Down) => " downwards",
    };
    format!("{share}{what}{way}")
}

/// Names are unique in the process, so that faults on one link compose.
fn fresh_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("injection-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

struct InjectedToxic {
    name: String,
    fault: LinkFault,
    /// What each proxy had counted before.
    before: Vec<CountersSnapshot>,
}

impl InjectedToxic {
    fn proxies<'a>(&self, environment: &'a Environment) -> Vec<&'a LinkProxy> {
        environment.links(&self.fault.caller, &self.fault.callee)
    }

    /// The sum over all proxies of what `count` picks, since the injection.
    fn counted(&self, proxies: &[&LinkProxy], count: impl Fn(&CountersSnapshot) -> u64) -> u64 {
        proxies.iter().zip(&self.before).map(|(proxy, before)| count(&proxy.counters().since(before))).sum()
    }
}

/// How many of the proxies refuse a connection at this moment.
async fn refusing(proxies: &[&LinkProxy]) -> usize {
    let mut refusing = 0;
    for proxy in proxies {
        let attempt = tokio::net::TcpStream::connect(proxy.addr()).await;
        refusing += usize::from(attempt.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused));
    }
    refusing
}

#[async_trait]
impl Injected for InjectedToxic {
    fn mechanism(&self) -> String {
        "link proxy".to_owned()
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        let proxies = self.proxies(environment);
        let counted = |count: fn(&CountersSnapshot) -> u64, what: &str| {
            let count = self.counted(&proxies, count);
            Attestation::when(count > 0, format!("{count} {what}"))
        };
        match &self.fault.toxic.spec {
            ToxicSpec::Latency(_) => counted(|c| c.delayed_chunks, "chunks delayed"),
            ToxicSpec::BlackHole(_) => counted(|c| c.stalls, "connections held"),
            ToxicSpec::Reset(_) => counted(|c| c.reset, "connections reset"),
            ToxicSpec::Http(http) => {
                let count = self.counted(&proxies, |counted| http.bites(counted).0);
                Attestation::when(count > 0, format!("{count} {}", http.bites(&CountersSnapshot::default()).1))
            }
            ToxicSpec::Refuse(_) => {
                let (cut, refusing) = (self.counted(&proxies, |c| c.refused), refusing(&proxies).await);
                let looked_at = format!("{refusing} of {} links refuse, {cut} connections cut", proxies.len());
                Attestation::when(refusing == proxies.len() || cut > 0, looked_at)
            }
        }
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        let mut first_error = None;
        for proxy in self.proxies(environment) {
            match proxy.toxics().remove(&self.name) {
                Ok(_) | Err(LinkError::Unknown { .. } | LinkError::Closed(_)) => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        let proxies = self.proxies(environment);
        let has_it = |proxy: &&&LinkProxy| proxy.toxics().list().iter().any(|(name, _)| *name == self.name);
        let still = proxies.iter().filter(has_it).count();
        Attestation::when(still == 0, format!("toxic on {still} of {} links", proxies.len()))
    }
}
