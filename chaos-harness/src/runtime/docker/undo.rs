//! Takes a step back at the engine.

use super::client::{connect, engine, status_code};
use super::{resources, throttle};
use crate::runtime::RuntimeError;
use crate::runtime::docker_undo::DockerUndo;

/// Takes the step; a container that is gone has nothing to undo.
pub(crate) async fn undo(undo: &DockerUndo) -> Result<(), RuntimeError> {
    if let DockerUndo::Throttle { container, knobs } = undo {
        return throttle::set_back(container, knobs);
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
