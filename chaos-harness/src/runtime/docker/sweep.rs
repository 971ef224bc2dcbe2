//! Removes what dead test processes left with the engine.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{Network, Volume};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptions,
};
use futures::future::join_all;

use super::client::{connect, engine, status_code};
use super::network;
use crate::runtime::session::{LABEL_ENVIRONMENT, LABEL_OWNER, is_left};
use crate::runtime::{Leftover, RuntimeError};

/// How long no new container or network may have come before an environment counts as gone.
const QUIET: Duration = Duration::from_millis(1500);
/// The pause between looks.
const PAUSE: Duration = Duration::from_millis(150);

/// Finds the containers, volumes and networks whose owner is gone or whose time is up, and removes them unless `check` is
/// set: what was found, and what of it could not be removed.
pub(crate) async fn sweep(check: bool) -> Result<(Vec<Leftover>, Option<RuntimeError>), RuntimeError> {
    let docker = connect().await?;
    let containers = containers(&docker, LABEL_ENVIRONMENT).await?;
    let left_containers = containers.into_iter().filter(|(_, labels)| is_left(labels));
    let containers: Vec<String> = left_containers.map(|(name, _)| name).collect();
    // Most go with their containers.
    let volumes = volumes(&docker, LABEL_ENVIRONMENT).await?.into_iter().filter(|volume| is_left(&volume.labels));
    let volumes: Vec<String> = volumes.map(|volume| volume.name).collect();
    let networks = left_networks(&docker).await?;
    let failed = if check { None } else { remove(&docker, &containers, &volumes, &networks).await.err() };
    let containers = containers.into_iter().map(|name| Leftover::new("container", name));
    let containers = containers.chain(volumes.into_iter().map(|name| Leftover::new("volume", name)));
    let found = containers.chain(networks.into_iter().map(|name| Leftover::new("network", name)));
    Ok((found.collect(), failed))
}

/// Removes all of them, and goes on past what cannot be removed.
async fn remove(
    docker: &Docker,
    containers: &[String],
    volumes: &[String],
    networks: &[String],
) -> Result<(), RuntimeError> {
    let containers = remove_containers(docker, containers).await;
    let volumes = remove_volumes(docker, volumes).await;
    containers.and(volumes).and(network::remove_all(docker, networks).await)
}

/// Takes away all that carries the name of `environment`.
pub(crate) async fn remove_environment(environment: &str) -> Result<(), RuntimeError> {
    remove_until_quiet(&connect().await?, &format!("{LABEL_ENVIRONMENT}={environment}")).await
}

/// Takes away all that process `owner` has made. Unless something is known to be there, one look will do.
pub(crate) async fn remove_of_owner(owner: &str, is_known: bool) -> Result<(), RuntimeError> {
    let (docker, label) = (connect().await?, format!("{LABEL_OWNER}={owner}"));
    if !is_known && remove_with_label(&docker, &label).await?.count == 0 {
        return Ok(());
    }
    remove_until_quiet(&docker, &label).await
}

/// A request of a dead process may still be carried out, so what it made is looked for until nothing has come for a
/// while.
async fn remove_until_quiet(docker: &Docker, label: &str) -> Result<(), RuntimeError> {
    let mut quiet_since = Instant::now();
    loop {
        let removed = remove_with_label(docker, label).await?;
        if removed.count > 0 {
            quiet_since = Instant::now();
        }
        if quiet_since.elapsed() >= QUIET {
            return removed.held.map_or(Ok(()), Err);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What came of a removal.
pub(super) struct Removed {
    /// How many containers, volumes and networks there were.
    count: usize,
    /// A network that stays, since a container of somebody else is on it.
    pub(super) held: Option<RuntimeError>,
}

/// Removes what there is of an environment.
pub(super) async fn remove_labelled(docker: &Docker, environment: &str) -> Result<Removed, RuntimeError> {
    remove_with_label(docker, &format!("{LABEL_ENVIRONMENT}={environment}")).await
}

/// Removes the containers, then the volumes and networks that carry `label`.
async fn remove_with_label(docker: &Docker, label: &str) -> Result<Removed, RuntimeError> {
    let containers: Vec<String> = containers(docker, label).await?.into_iter().map(|(name, _)| name).collect();
    let volumes: Vec<String> = volumes(docker, label).await?.into_iter().map(|volume| volume.name).collect();
    let networks: Vec<String> = networks(docker, label).await?.into_iter().filter_map(|network| network.name).collect();
    let count = containers.len() + volumes.len();
    match remove(docker, &containers, &volumes, &networks).await {
        Ok(()) => Ok(Removed { count: count + networks.len(), held: None }),
        // The same ones at every look: they are not news.
        Err(held @ RuntimeError::NetworkHeld { .. }) => Ok(Removed { count, held: Some(held) }),
        Err(error) => Err(error),
    }
}

/// The containers that carry `label` (`key` or `key=value`), running or not, with their labels.
pub(super) async fn containers(
    docker: &Docker,
    label: &str,
) -> Result<Vec<(String, HashMap<String, String>)>, RuntimeError> {
    let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = docker.list_containers(Some(options)).await.map_err(engine("list containers"))?;
    let named = found.into_iter().filter_map(|container| {
        let name = container.names?.into_iter().next()?.trim_start_matches('/').to_owned();
        Some((name, container.labels.unwrap_or_default()))
    });
    Ok(named.collect())
}

/// The networks that carry `label` (`key` or `key=value`).
async fn networks(docker: &Docker, label: &str) -> Result<Vec<Network>, RuntimeError> {
    let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    docker.list_networks(Some(options)).await.map_err(engine("list networks"))
}

/// The volumes that carry `label` (`key` or `key=value`).
async fn volumes(docker: &Docker, label: &str) -> Result<Vec<Volume>, RuntimeError> {
    let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
    let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
    let found = docker.list_volumes(Some(options)).await.map_err(engine("list volumes"))?;
    Ok(found.volumes.unwrap_or_default())
}

/// Removes volumes; those that are gone already are fine.
async fn remove_volumes(docker: &Docker, names: &[String]) -> Result<(), RuntimeError> {
    for name in names {
        match docker.remove_volume(name, None::<RemoveVolumeOptions>).await {
            // 404: gone; 409: its container is being removed by somebody else this moment, and it goes with that.
            Err(error) if !matches!(status_code(&error), Some(404 | 409)) => {
                return Err(engine(format!("remove volume {name}"))(error));
            }
            _ => {}
        }
    }
    Ok(())
}

async fn left_networks(docker: &Docker) -> Result<Vec<String>, RuntimeError> {
    let networks = networks(docker, LABEL_ENVIRONMENT).await?;
    let left = networks.into_iter().filter(|network| network.labels.as_ref().is_some_and(is_left));
    Ok(left.filter_map(|network| network.name).collect())
}

/// Removes containers by force, all at once; those that are gone already are fine.
pub(super) async fn remove_containers(docker: &Docker, names: &[String]) -> Result<(), RuntimeError> {
    let removals = names.iter().map(|name| async move {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match docker.remove_container(name, Some(options)).await {
            // 404: gone; 409: being removed by somebody else this moment.
            Err(error) if !matches!(status_code(&error), Some(404 | 409)) => {
                Some(format!("container {name} ({error})"))
            }
            _ => None,
        }
    });
    let failed: Vec<String> = join_all(removals).await.into_iter().flatten().collect();
    if failed.is_empty() { Ok(()) } else { Err(RuntimeError::LeftBehind { what: failed }) }
}
