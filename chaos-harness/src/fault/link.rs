//! A toxic on a declared link.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attestation, FaultError, FaultKind, Injected, protocol};
use crate::environment::Environment;
use crate::link::http::Unread;
use crate::link::{CountersSnapshot, LinkError, LinkName, LinkProxy, Toxic, ToxicSpec};
use crate::runtime::Capability;
use crate::safety::BlastRadius;
use crate::topology::{Protocol, Topology};

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
        let comma = if toxic.is_unconditional() { "" } else { "," };
        format!("{toxic}{comma} on {caller} -> {callee}")
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

    fn radius(&self) -> BlastRadius {
        match &self.toxic.spec {
            ToxicSpec::Http(http) if http.when.is_single_request() => BlastRadius::SingleRequest,
            _ => BlastRadius::SingleService,
        }
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        let needed = if matches!(self.toxic.spec, ToxicSpec::Http(_)) { Protocol::Http } else { Protocol::Tcp };
        protocol::require(topology, (&self.caller, &self.callee), needed, || self.describe())?;
        let invalid = |source| LinkError::Invalid { name: self.describe(), source };
        Ok(self.toxic.validate().map_err(invalid)?)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let proxies = environment.links(&self.caller, &self.callee);
        let mut injected = InjectedToxic { name: fresh_name(), fault: self.clone() };
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

/// Names are unique in the process, so that faults on one link compose.
pub(super) fn fresh_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("injection-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

struct InjectedToxic {
    name: String,
    fault: LinkFault,
}

/// How many connections of the links HTTP toxics do not act on, and why; `None` when they act on all.
fn unread(proxies: &[&LinkProxy]) -> Option<String> {
    let (mut accepted, mut reasons) = (0, BTreeMap::<Unread, u64>::new());
    for counted in proxies.iter().map(|proxy| proxy.counters()) {
        accepted += counted.accepted;
        for (reason, count) in counted.http_unread() {
            *reasons.entry(reason).or_default() += count;
        }
    }
    let unread: u64 = reasons.values().sum();
    let words: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    (unread > 0).then(|| format!("{unread} of {accepted} connections could not be read as HTTP: {}", words.join(", ")))
}

impl InjectedToxic {
    fn proxies<'a>(&self, environment: &'a Environment) -> Vec<&'a LinkProxy> {
        environment.links(&self.fault.caller, &self.fault.callee)
    }

    /// What this toxic itself, and no other on the same links, has counted on each proxy.
    fn counted(&self, proxies: &[&LinkProxy]) -> Vec<CountersSnapshot> {
        proxies.iter().filter_map(|proxy| proxy.toxics().counters(&self.name).ok()).collect()
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
        let counted = self.counted(&proxies);
        let bites: Vec<_> = counted.iter().map(|counted| self.fault.toxic.bites(counted)).collect();
        let count: u64 = bites.iter().map(|(count, _)| count).sum();
        let what = bites.first().map_or("proxies", |(_, what)| what);
        if !self.fault.toxic.refuses() {
            let unread = unread(&proxies).map(|unread| format!("; {unread}")).unwrap_or_default();
            return Attestation::when(count > 0, format!("{count} {what}{unread}"));
        }
        let (links, refusing) = (proxies.len(), refusing(&proxies).await);
        let closings: u64 = counted.iter().map(|counted| counted.closings).sum();
        let looked_at = format!("{refusing} of {links} links refuse, {count} {what}, ports closed {closings} times");
        // A port that closes and opens by turns may well be open at this moment.
        let by_turns = !self.fault.toxic.is_unconditional() && closings > 0;
        Attestation::when(refusing == links || count > 0 || by_turns, looked_at)
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
