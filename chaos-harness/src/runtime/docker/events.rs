//! Lives of containers, as the engine tells of them.

use std::collections::HashMap;
use std::time::Instant;

use bollard::Docker;
use bollard::query_parameters::EventsOptionsBuilder;
use futures::StreamExt;
use tokio::sync::broadcast;

use super::container::{self, LABEL_INSTANCE};
use super::memory::OutOfMemory;
use crate::runtime::session::LABEL_ENVIRONMENT;
use crate::runtime::{Change, EnvironmentId, State, Status};
use crate::topology::InstanceId;

/// The label that tells on which port the service of a container listens.
pub(super) const LABEL_PORT: &str = "chaos-harness.port";

/// Sends a [`Change`] for every event in the life of a container of the environment, until the
/// engine's stream ends.
pub(super) async fn listen(
    docker: Docker,
    id: EnvironmentId,
    network: String,
    changes: broadcast::Sender<Change>,
    out_of_memory: OutOfMemory,
) {
    let label = format!("{LABEL_ENVIRONMENT}={}", id.name());
    let lives = ["start", "die", "oom", "pause", "unpause"].map(str::to_owned).to_vec();
    let filters = HashMap::from([
        ("type".to_owned(), vec!["container".to_owned()]),
        ("label".to_owned(), vec![label]),
        ("event".to_owned(), lives),
    ]);
    let mut events = Box::pin(docker.events(Some(EventsOptionsBuilder::new().filters(&filters).build())));
    while let Some(Ok(event)) = events.next().await {
        let at = Instant::now();
        let action = event.action.unwrap_or_default();
        let labels = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
        let Some((instance, port)) = instance(&labels) else { continue };
        // No receiver is no loss: nobody is interested yet.
        let tell = |status| drop(changes.send(Change { id: instance.clone(), at, status }));
        match action.as_str() {
            "oom" => {
                out_of_memory.killed(&instance, at).into_iter().for_each(tell);
                continue;
            }
            "start" => out_of_memory.started(&instance),
            _ => {}
        }
        // The event says what happened; the inspection says where the container can be reached now.
        if let Ok(details) = docker.inspect_container(&container::name(&id, &instance), None).await {
            let mut status = container::status(&details, &network, port);
            if action == "die" {
                // By the time of the inspection the engine may have started it again, of which the next event tells.
                let code = labels.get("exitCode").and_then(|code| code.parse().ok()).unwrap_or(-1);
                let ended = Status { state: State::Exited { code, oom: false }, address: None, pid: None, ..status };
                status = out_of_memory.ended(&instance, at, ended);
            }
            tell(status);
        }
    }
}

fn instance(labels: &HashMap<String, String>) -> Option<(InstanceId, u16)> {
    let (service, ordinal) = labels.get(LABEL_INSTANCE)?.rsplit_once('-')?;
    let port = labels.get(LABEL_PORT)?.parse().ok()?;
    Some((InstanceId::new(service, ordinal.parse().ok()?), port))
}
