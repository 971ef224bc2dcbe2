//! Takes a step back at the engine.

use std::collections::{BTreeMap, HashMap};

use bollard::Docker;
use bollard::models::ContainerInspectResponse;

use super::client::{connect, engine, find, status_code};
use super::{helper, resources, throttle};
use crate::runtime::docker_undo::DockerUndo;
use crate::runtime::session::LABEL_ENVIRONMENT;
use crate::runtime::{RuntimeError, TargetNetwork};
use crate::safety::undo::Scope;

/// The engine's ids are so many hexadecimal digits.
const ID_LENGTH: usize = 64;

/// Takes the step; a container that is gone has nothing to undo.
pub(crate) async fn undo(undo: &DockerUndo) -> Result<(), RuntimeError> {
    if let DockerUndo::Throttle { container, knobs } = undo {
        let docker = connect().await?;
        return match inspect(&docker, container).await? {
            Some(details) => throttle::set_back(&details, knobs),
            None => Ok(()),
        };
    }
    let docker = connect().await?;
    let taken = match undo {
        DockerUndo::Unpause { container } => docker.unpause_container(container).await,
        DockerUndo::Start { container } => docker.start_container(container, None).await,
        DockerUndo::Limit { container, resource, most } => {
            resources::update_container(&docker, container, || resources::update(*resource, *most)).await
        }
        DockerUndo::Throttle { .. } => Ok(()),
        DockerUndo::Connect { container, network, aliases } => {
            resources::connect_again(&docker, container, network, aliases).await
        }
    };
    match taken {
        // 304: it runs already; 404: it is gone.
        Err(error) if matches!(status_code(&error), Some(304 | 404)) => Ok(()),
        Err(error) if matches!(undo, DockerUndo::Unpause { .. }) && is_not_paused(&error) => Ok(()),
        other => other.map_err(engine(undo.to_string())),
    }
}

/// 409, and 500 from older engines.
fn is_not_paused(error: &bollard::errors::Error) -> bool {
    matches!(status_code(error), Some(409 | 500)) && error.to_string().contains("not paused")
}

/// The same where the container is within `scope`, and a network that it is to be connected to is the environment's.
///
/// # Errors
/// [`RuntimeError::NotOfEnvironment`] where it is not; else as [`undo`].
pub(crate) async fn undo_within(step: &DockerUndo, scope: &Scope) -> Result<(), RuntimeError> {
    let docker = connect().await?;
    if !is_within(&docker, step.container(), scope).await? {
        return Ok(());
    }
    if let DockerUndo::Connect { network, .. } = step
        && !is_network_of(&docker, network, &scope.environment).await?
    {
        return Err(scope.refusal(format!("network {network}")));
    }
    undo(step).await
}

/// Whether process `pid` runs in a container within `scope`; `false` when that container is gone.
///
/// # Errors
/// [`RuntimeError::NotOfEnvironment`] when it runs in none, or in another.
pub(crate) async fn holds_process(pid: u32, scope: &Scope) -> Result<bool, RuntimeError> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    match groups.split(|character: char| !character.is_ascii_hexdigit()).find(|word| word.len() == ID_LENGTH) {
        Some(container) => is_within(&connect().await?, container, scope).await,
        None => Err(scope.refusal(format!("process {pid}"))),
    }
}

/// The network of `container` where that is within `scope`, to be entered by our own helper: what else a log may name is not
/// run. `None` when the container is gone.
///
/// # Errors
/// [`RuntimeError::NotOfEnvironment`] when it is another, or the helper would not be found by its labels.
pub(in crate::runtime) async fn network_within(
    container: &str,
    labels: &BTreeMap<String, String>,
    scope: &Scope,
) -> Result<Option<TargetNetwork>, RuntimeError> {
    let docker = connect().await?;
    if labels.get(LABEL_ENVIRONMENT) != Some(&scope.environment) {
        return Err(scope.refusal("a network helper with other labels"));
    }
    if !is_within(&docker, container, scope).await? {
        return Ok(None);
    }
    let image = helper::ready(&docker).await?;
    Ok(Some(TargetNetwork::Helper { container: container.to_owned(), image, labels: labels.clone() }))
}

/// Whether `container` is within `scope`: it carries the label of the environment, or is on the allow-list by its name or
/// its id. `false` when it is gone.
async fn is_within(docker: &Docker, container: &str, scope: &Scope) -> Result<bool, RuntimeError> {
    // Anything else may come to mean another one, or be more than a name in the path of a request.
    if container.len() != ID_LENGTH || !container.chars().all(|character| character.is_ascii_hexdigit()) {
        return Err(scope.refusal(format!("`{container}`, which is no container's id,")));
    }
    let Some(details) = inspect(docker, container).await? else { return Ok(false) };
    let labels = details.config.and_then(|config| config.labels);
    let (id, name) = (details.id.unwrap_or_default(), details.name.unwrap_or_default());
    let name = name.trim_start_matches('/');
    let is_ours = carries(labels.as_ref(), &scope.environment) || scope.allowed.allows(name, &id);
    if is_ours && id == container {
        return Ok(true);
    }
    Err(scope.refusal(format!("container {name} ({container})")))
}

/// `None` when it is gone.
async fn inspect(docker: &Docker, container: &str) -> Result<Option<ContainerInspectResponse>, RuntimeError> {
    find(docker, container).await.map_err(engine(format!("inspect container {container}")))
}

/// Whether `network` is that of `environment`, whose name it has; one that is gone is as good.
async fn is_network_of(docker: &Docker, network: &str, environment: &str) -> Result<bool, RuntimeError> {
    if network != environment {
        return Ok(false);
    }
    match docker.inspect_network(network, None).await {
        Err(error) if status_code(&error) == Some(404) => Ok(true),
        other => {
            let details = other.map_err(engine(format!("inspect network {network}")))?;
            Ok(carries(details.labels.as_ref(), environment))
        }
    }
}

fn carries(labels: Option<&HashMap<String, String>>, environment: &str) -> bool {
    labels.and_then(|labels| labels.get(LABEL_ENVIRONMENT)).is_some_and(|label| label == environment)
}
