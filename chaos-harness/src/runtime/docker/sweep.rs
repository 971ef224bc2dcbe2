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
use crate::runtime::session::{LABEL_ENVIRONMENT, is_left};
use crate::runtime::{Leftover, RuntimeError};

/// How long no new container or network may have come before an environment counts as gone.
const QUIET: Duration = Duration::from_millis(1500);
/// The pause between looks.
const PAUSE: Duration = Duration::from_millis(150);

/// Finds the containers, volumes and networks whose owner is gone or whose time is up, and removes them unless `check` is set.
pub(crate) async fn sweep(check: bool) -> Result<Vec<Leftover>, RuntimeError> {
    let docker = connect().await?;
    let containers = containers(&docker, LABEL_ENVIRONMENT).await?;
    let left_containers = containers.into_iter().filter(|(_, labels)| is_left(labels));
    let containers: Vec<String> = left_containers.map(|(name, _)| name).collect();
    // Most go with their containers.
    let volumes = volumes(&docker, LABEL_ENVIRONMENT).await?.into_iter().filter(|volume| is_left(&volume.labels));
    let volumes: Vec<String> = volumes.map(|volume| volume.name).collect();
    let networks = left_networks(&docker).await?;
    if !check {
        remove_containers(&docker, &containers).await?;
        remove_volumes(&docker, &volumes).await?;
        network::remove_all(&docker, &networks).await?;
    }
    let containers = containers.into_iter().map(|name| Leftover::new("container", name));
    let containers = containers.chain(volumes.into_iter().map(|name| Leftover::new("volume", name)));
    Ok(containers.chain(networks.into_iter().map(|name| Leftover::new("network", name))).collect())
}

/// Takes away all that carries the name of `environment`. A request of a dead process may still be carried out, so
/// what it made is looked for until nothing has come for a while.
pub(crate) async fn remove_environment(environment: &str) -> Result<(), RuntimeError> {
    let docker = connect().await?;
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < QUIET {
        if remove_labelled(&docker, environment).await? > 0 {
            quiet_since = Instant::now();
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Removes the containers, then the volumes and networks of an environment; how many there were.
pub(super) async fn remove_labelled(docker: &Docker, environment: &str) -> Result<usize, RuntimeError> {
    let label = format!("{LABEL_ENVIRONMENT}={environment}");
    let containers: Vec<String> = containers(docker, &label).await?.into_iter().map(|(name, _)| name).collect();
    remove_containers(docker, &containers).await?;
    let volumes: Vec<String> = volumes(docker, &label).await?.into_iter().map(|volume| volume.name).collect();
    remove_volumes(docker, &volumes).await?;
    let networks = networks(docker, &label).await?.into_iter().filter_map(|network| network.name);
    let networks: Vec<String> = networks.collect();
    network::remove_all(docker, &networks).await?;
    Ok(containers.len() + volumes.len() + networks.len())
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
