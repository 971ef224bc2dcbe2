//! Lives of containers, as the engine tells of them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures::StreamExt;
use tokio::sync::broadcast;

use super::container::{self, LABEL_INSTANCE};
use crate::runtime::session::LABEL_ENVIRONMENT;
use crate::runtime::{Change, EnvironmentId, State, Status};
use crate::topology::InstanceId;

/// The label that tells on which port the service of a container listens.
pub(super) const LABEL_PORT: &str = "chaos-harness.port";

/// The pause before an engine that has ended its stream is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// Sends a [`Change`] for every event in the life of a container of the environment, also after the engine was
/// restarted.
pub(super) async fn listen(docker: Docker, id: EnvironmentId, network: String, changes: broadcast::Sender<Change>) {
    let label = format!("{LABEL_ENVIRONMENT}={}", id.name());
    let lives = ["start", "die", "pause", "unpause"].map(str::to_owned).to_vec();
    let filters = HashMap::from([
        ("type".to_owned(), vec!["container".to_owned()]),
        ("label".to_owned(), vec![label]),
        ("event".to_owned(), lives),
    ]);
    loop {
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        let mut events = Box::pin(docker.events(Some(options)));
        while let Some(Ok(event)) = events.next().await {
            let at = Instant::now();
            if let Some((instance, status)) = told(&docker, &id, &network, event).await {
                // No receiver is no loss: nobody is interested yet.
                let _ = changes.send(Change { id: instance, at, status });
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What an event tells of which instance.
async fn told(docker: &Docker, id: &EnvironmentId, network: &str, event: EventMessage) -> Option<(InstanceId, Status)> {
    let died = event.action.as_deref() == Some("die");
    let labels = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
    let (instance, port) = instance(&labels)?;
    // The event says what happened; the inspection says where the container can be reached now.
    let details = docker.inspect_container(&container::name(id, &instance), None).await.ok()?;
    let mut status = container::status(&details, network, port);
    if died {
        // By the time of the inspection the engine may have started it again, of which the next event tells.
        let code = labels.get("exitCode").and_then(|code| code.parse().ok()).unwrap_or(-1);
        status = Status { state: State::Exited { code, oom: false }, address: None, pid: None, ..status };
    }
    Some((instance, status))
}

fn instance(labels: &HashMap<String, String>) -> Option<(InstanceId, u16)> {
    let (service, ordinal) = labels.get(LABEL_INSTANCE)?.rsplit_once('-')?;
    let port = labels.get(LABEL_PORT)?.parse().ok()?;
    Some((InstanceId::new(service, ordinal.parse().ok()?), port))
}
