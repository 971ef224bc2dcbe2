//! Faults that a service has inside: switched over its control endpoint, and kept on by renewing their lease.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chaos_layer::{Order, Refused, Report};
use futures::future::join_all;
use reqwest::{Client, RequestBuilder};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Attestation, FaultError, Injected, Instances};
use crate::environment::Environment;
use crate::runtime::Runtime;
use crate::topology::{InstanceId, Topology};

/// How long a fault outlives a test process that dies: well within the 10 s after which nothing may be left.
const LEASE: Duration = Duration::from_secs(5);
/// A few renewals may be lost before a fault ends too early. A restarted instance has none until the next.
const RENEWAL: Duration = Duration::from_secs(1);
/// An endpoint that stands still is no reason to stand still.
const PATIENCE: Duration = Duration::from_secs(2);

/// The control port of the service, which every fault of this sort needs.
pub(super) fn check_port(
    topology: &Topology,
    on: &Instances,
    fault: impl FnOnce() -> String,
) -> Result<u16, FaultError> {
    let port = topology.get(&on.service)?.control_port;
    port.ok_or_else(|| FaultError::NoControlPort { fault: fault(), service: on.service.clone() })
}

/// The seed of a fault on one instance.
pub(super) fn seed_for(environment: u64, fault: u64, id: &InstanceId) -> u64 {
    let hash = Sha256::new().chain_update(environment.to_le_bytes()).chain_update(fault.to_le_bytes());
    let hash = hash.chain_update(id.to_string()).finalize();
    hash.iter().take(8).fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
}

/// What is switched.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Rule,
    Point,
}

impl Kind {
    fn path(self) -> &'static str {
        match self {
            Self::Rule => "rules",
            Self::Point => "points",
        }
    }

    /// Matched and bitten, if it is in force.
    fn counts(self, report: &Report, name: &str) -> Option<(u64, u64)> {
        match self {
            Self::Rule => report.rules.get(name).map(|rule| (rule.matched, rule.bitten)),
            Self::Point => report.points.get(name).map(|point| (point.matched, point.bitten)),
        }
    }
}

/// The control endpoints of a service, and the place of one fault in them.
#[derive(Clone)]
struct Endpoints {
    runtime: Arc<dyn Runtime>,
    client: Client,
    port: u16,
    kind: Kind,
    name: String,
}

impl Endpoints {
    /// `None` while the instance does not run.
    async fn address(&self, id: &InstanceId) -> Result<Option<SocketAddr>, FaultError> {
        let status = self.runtime.status(id).await?;
        Ok(status.address.map(|address| SocketAddr::new(address.ip(), self.port)))
    }

    fn url(&self, address: SocketAddr) -> String {
        format!("http://{address}/{}/{}", self.kind.path(), self.name)
    }

    async fn put(&self, id: &InstanceId, order: &impl Serialize) -> Result<(), FaultError> {
        let action = "put a fault in force";
        let problem = || FaultError::Control { instance: id.clone(), action, problem: "it is not running".to_owned() };
        let address = self.address(id).await?.ok_or_else(problem)?;
        ask(self.client.put(self.url(address)).json(order), id, action).await.map(drop)
    }

    /// Two faults at one point would take turns with every renewal.
    async fn check_free(&self, id: &InstanceId) -> Result<(), FaultError> {
        if self.kind.counts(&self.report(id).await?, &self.name).is_none() {
            return Ok(());
        }
        let problem = format!("`{}` has a fault already; roll that one back first", self.name);
        Err(FaultError::Control { instance: id.clone(), action: "put a fault in force", problem })
    }

    /// Where nobody listens there is no fault either: it lives in the process.
    async fn delete(&self, id: &InstanceId) -> Result<(), FaultError> {
        let Some(address) = self.address(id).await? else { return Ok(()) };
        if is_refused(address).await {
            return Ok(());
        }
        ask(self.client.delete(self.url(address)), id, "take a fault away").await.map(drop)
    }

    /// What is in force; nothing where nobody listens.
    async fn report(&self, id: &InstanceId) -> Result<Report, FaultError> {
        let Some(address) = self.address(id).await? else { return Ok(Report::default()) };
        if is_refused(address).await {
            return Ok(Report::default());
        }
        let action = "report";
        let answer = ask(self.client.get(format!("http://{address}/")), id, action).await?;
        let report = answer.json().await;
        report.map_err(|error| FaultError::Control { instance: id.clone(), action, problem: error.to_string() })
    }
}

async fn is_refused(address: SocketAddr) -> bool {
    let attempt = tokio::time::timeout(PATIENCE, tokio::net::TcpStream::connect(address)).await;
    matches!(attempt, Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused)
}

async fn ask(request: RequestBuilder, id: &InstanceId, action: &'static str) -> Result<reqwest::Response, FaultError> {
    let failed = |problem| FaultError::Control { instance: id.clone(), action, problem };
    let answer = request.send().await.map_err(|error| failed(no_answer(&error)))?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status();
    let refused = answer.json::<Refused>().await;
    Err(failed(refused.map_or_else(|_| status.to_string(), |Refused { name, problem }| format!("`{name}`: {problem}"))))
}

fn no_answer(error: &reqwest::Error) -> String {
    if error.is_connect() {
        return "nobody listens; does the service call `listen_from_env` of chaos-layer?".to_owned();
    }
    if error.is_timeout() { format!("no answer within {PATIENCE:?}") } else { error.to_string() }
}

/// A fault that is on in some instances.
pub(super) struct Switched {
    endpoints: Endpoints,
    ids: Vec<InstanceId>,
    /// Dropped, it ends the renewals.
    renewals: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Switched {
    /// Puts each instance's fault in force, or none.
    pub(super) async fn on<T: Serialize + Send + Sync + 'static>(
        environment: &Environment,
        port: u16,
        kind: Kind,
        name: String,
        faults: Vec<(InstanceId, T)>,
    ) -> Result<Self, FaultError> {
        let client = Client::builder().no_proxy().timeout(PATIENCE).pool_max_idle_per_host(0).build();
        let client = client.map_err(|error| crate::runtime::RuntimeError::Io {
            action: "make an HTTP client".to_owned(),
            source: std::io::Error::other(error),
        })?;
        let endpoints = Endpoints { runtime: environment.shared_runtime(), client, port, kind, name };
        let orders: Vec<_> = faults.into_iter().map(|(id, fault)| (id, Order { ttl: LEASE, fault })).collect();
        let ids = orders.iter().map(|(id, _)| id.clone()).collect();
        let mut switched = Self { endpoints, ids, renewals: None };
        for (id, _) in &orders {
            switched.endpoints.check_free(id).await?;
        }
        for (id, order) in &orders {
            if let Err(error) = switched.endpoints.put(id, order).await {
                // What was put is taken away again; what cannot be ends with its lease.
                let _ = switched.roll_back(environment).await;
                return Err(error);
            }
        }
        let (stop, stopped) = oneshot::channel();
        let renewals = tokio::spawn(renew(switched.endpoints.clone(), orders, stopped));
        switched.renewals = Some((stop, renewals));
        Ok(switched)
    }

    async fn reports(&self) -> Vec<Result<Option<(u64, u64)>, FaultError>> {
        let reports = self.ids.iter().map(|id| self.endpoints.report(id));
        let counts = |report: Report| self.endpoints.kind.counts(&report, &self.endpoints.name);
        join_all(reports).await.into_iter().map(|report| report.map(counts)).collect()
    }
}

/// Keeps the fault on in instances that live, and puts it in force in those that come back.
async fn renew<T: Serialize>(
    endpoints: Endpoints,
    orders: Vec<(InstanceId, Order<T>)>,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            () = tokio::time::sleep(RENEWAL) => {}
        }
        let renewals = orders.iter().map(|(id, order)| endpoints.put(id, order));
        for error in join_all(renewals).await.into_iter().filter_map(Result::err) {
            tracing::debug!(%error, "a fault was not renewed");
        }
    }
}

#[async_trait]
impl Injected for Switched {
    fn mechanism(&self) -> String {
        match self.endpoints.kind {
            Kind::Rule => "chaos layer in the process".to_owned(),
            Kind::Point => "fail point in the process".to_owned(),
        }
    }

    async fn attest(&mut self, _: &Environment) -> Attestation {
        let (mut on, mut matched, mut bitten, mut silent) = (0, 0, 0, 0);
        for report in self.reports().await {
            match report {
                Ok(Some(counts)) => (on, matched, bitten) = (on + 1, matched + counts.0, bitten + counts.1),
                Ok(None) => {}
                Err(_) => silent += 1,
            }
        }
        let what = if matches!(self.endpoints.kind, Kind::Rule) { "requests" } else { "calls" };
        let among = format!("{bitten} of {matched} {what} bitten, in force in {on} of {} instances", self.ids.len());
        let silence = if silent > 0 { format!(", {silent} did not answer") } else { String::new() };
        Attestation::when(bitten > 0, among + &silence)
    }

    async fn roll_back(&mut self, _: &Environment) -> Result<(), FaultError> {
        if let Some((stop, renewals)) = self.renewals.take() {
            drop(stop);
            // A renewal that is under way must not come after the end.
            let _ = renewals.await;
        }
        let ends = join_all(self.ids.iter().map(|id| self.endpoints.delete(id))).await;
        ends.into_iter().collect()
    }

    async fn attest_gone(&mut self, _: &Environment) -> Attestation {
        let reports = self.reports().await;
        if let Some(error) = reports.iter().find_map(|report| report.as_ref().err()) {
            return Attestation::not_shown(error.to_string());
        }
        let still = reports.iter().filter(|report| matches!(report, Ok(Some(_)))).count();
        Attestation::when(still == 0, format!("in force in {still} of {} instances", self.ids.len()))
    }
}
