//! Lives of containers, as the engine tells of them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures::StreamExt;
use futures::stream::select;
use tokio::sync::broadcast;

use super::address;
use super::client::find;
use super::container::{self, LABEL_INSTANCE, LABEL_PORT};
use super::memory::OutOfMemory;
use crate::runtime::session::LABEL_ENVIRONMENT;
use crate::runtime::{Change, EnvironmentId, State, Status};
use crate::topology::InstanceId;

/// The pause before an engine that has ended its stream is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// Whom to listen to, and where to note what is not a change by itself.
pub(super) struct Listener {
    pub(super) docker: Docker,
    pub(super) id: EnvironmentId,
    /// The environment's network.
    pub(super) network: String,
    pub(super) out_of_memory: OutOfMemory,
}

/// Sends a [`Change`] for every event in the life of a container of the environment, also after the engine was
/// restarted.
pub(super) async fn listen(listener: Listener, changes: broadcast::Sender<Change>) {
    let label = format!("{LABEL_ENVIRONMENT}={}", listener.id.name());
    let lives = filters("container", &["start", "die", "oom", "pause", "unpause", "destroy"], ("label", label));
    let places = filters("network", &["connect", "disconnect"], ("network", listener.network.clone()));
    loop {
        let of = |filters| EventsOptionsBuilder::new().filters(filters).build();
        let lives = listener.docker.events(Some(of(&lives)));
        let mut events = Box::pin(select(lives, listener.docker.events(Some(of(&places)))));
        while let Some(Ok(event)) = events.next().await {
            let at = Instant::now();
            if let Some((instance, status)) = listener.told(event, at).await {
                // No receiver is no loss: nobody is interested yet.
                let _ = changes.send(Change { id: instance, at, status });
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn filters(of: &str, events: &[&str], (key, value): (&str, String)) -> HashMap<String, Vec<String>> {
    let events = events.iter().map(|event| (*event).to_owned()).collect();
    HashMap::from([
        ("type".to_owned(), vec![of.to_owned()]),
        ("event".to_owned(), events),
        (key.to_owned(), vec![value]),
    ])
}

impl Listener {
    /// What an event tells of which instance.
    async fn told(&self, event: EventMessage, at: Instant) -> Option<(InstanceId, Status)> {
        let action = event.action.unwrap_or_default();
        if matches!(action.as_str(), "connect" | "disconnect") {
            return self.moved(&event.actor?.attributes?).await;
        }
        let labels = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
        let (instance, port) = instance(&labels)?;
        match action.as_str() {
            "oom" => return Some((instance.clone(), self.out_of_memory.killed(&instance, at)?)),
            "start" => self.out_of_memory.started(&instance),
            "destroy" => return Some((instance, Status::REMOVED)),
            _ => {}
        }
        // The event says what happened; the inspection says where the container can be reached now.
        let details = self.docker.inspect_container(&container::name(&self.id, &instance), None).await.ok()?;
        let mut status = container::status(&details, address::in_network(&details, &self.network, port));
        if action == "die" {
            // By the time of the inspection the engine may have started it again, of which the next event tells.
            let code = labels.get("exitCode").and_then(|code| code.parse().ok()).unwrap_or(-1);
            let ended = Status { state: State::Exited { code, oom: false }, address: None, pid: None, ..status };
            status = self.out_of_memory.ended(&instance, at, ended);
        }
        Some((instance, status))
    }

    /// The instance that joined or left the network, if it runs: one that starts or ends does so as well.
    async fn moved(&self, attributes: &HashMap<String, String>) -> Option<(InstanceId, Status)> {
        let details = self.docker.inspect_container(attributes.get("container")?, None).await.ok()?;
        let (instance, port) = instance(details.config.as_ref()?.labels.as_ref()?)?;
        let status = container::status(&details, address::in_network(&details, &self.network, port));
        (status.state == State::Running).then_some((instance, status))
    }
}

fn instance(labels: &HashMap<String, String>) -> Option<(InstanceId, u16)> {
    let (service, ordinal) = labels.get(LABEL_INSTANCE)?.rsplit_once('-')?;
    let port = labels.get(LABEL_PORT)?.parse().ok()?;
    Some((InstanceId::new(service, ordinal.parse().ok()?), port))
}

/// A container that was there before, and whose instance it is.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) id: InstanceId,
    /// The environment's network.
    pub(super) network: String,
    pub(super) port: u16,
}

/// Sends a [`Change`] whenever `container` starts, ends, is paused, or joins or leaves a network.
pub(super) async fn watch(docker: Docker, container: String, watch: Watch, changes: broadcast::Sender<Change>) {
    let lives = ["start", "die", "pause", "unpause", "destroy", "connect", "disconnect"].map(str::to_owned).to_vec();
    let types = ["container", "network"].map(str::to_owned).to_vec();
    let filters = HashMap::from([("type".to_owned(), types), ("event".to_owned(), lives)]);
    loop {
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        let mut events = Box::pin(docker.events(Some(options)));
        while let Some(Ok(event)) = events.next().await {
            let at = Instant::now();
            if is_about(&event, &container)
                && let Some(status) = watch.status(&docker, &container).await
            {
                // No receiver is no loss: nobody is interested yet.
                let _ = changes.send(Change { id: watch.id.clone(), at, status });
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Watch {
    async fn status(&self, docker: &Docker, container: &str) -> Option<Status> {
        let Some(details) = find(docker, container).await.ok()? else { return Some(Status::REMOVED) };
        let address = address::of_existing(docker, &details, &self.network, self.port).await.ok()?;
        Some(container::status(&details, address))
    }
}

/// An event of a network names the container among its attributes.
fn is_about(event: &EventMessage, container: &str) -> bool {
    let Some(actor) = &event.actor else { return false };
    let named = actor.attributes.as_ref().and_then(|attributes| attributes.get("container"));
    actor.id.as_deref() == Some(container) || named.is_some_and(|named| named == container)
}
