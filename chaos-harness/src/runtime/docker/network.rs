//! The network of an environment.

use std::net::{IpAddr, TcpListener};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::NetworkCreateRequest;
use futures::future::join_all;

use super::client::{engine, status_code};
use crate::runtime::{EnvironmentId, RuntimeError};

/// How long a container that is going may hold its network.
const HELD_FOR: Duration = Duration::from_secs(3);

/// A bridge network of our own, and the address at which its containers find this machine.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) name: String,
    pub(super) gateway: IpAddr,
}

/// Makes the network. When its gateway is no address of this machine, it is removed again.
pub(super) async fn create(docker: &Docker, id: &EnvironmentId) -> Result<Network, RuntimeError> {
    let request = NetworkCreateRequest {
        name: id.name().to_owned(),
        driver: Some("bridge".to_owned()),
        labels: Some(id.labels().into_iter().collect()),
        ..Default::default()
    };
    docker.create_network(request).await.map_err(engine(format!("create network {}", id.name())))?;
    match gateway(docker, id.name()).await {
        Ok(gateway) => Ok(Network { name: id.name().to_owned(), gateway }),
        Err(error) => {
            remove(docker, id.name()).await?;
            Err(error)
        }
    }
}

async fn gateway(docker: &Docker, name: &str) -> Result<IpAddr, RuntimeError> {
    let details = docker.inspect_network(name, None).await.map_err(engine(format!("inspect network {name}")))?;
    let configs = details.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    let text = configs.into_iter().find_map(|config| config.gateway).unwrap_or_default();
    let remote = || RuntimeError::RemoteEngine { gateway: text.clone() };
    let gateway: IpAddr = text.split('/').next().unwrap_or_default().parse().map_err(|_| remote())?;
    TcpListener::bind((gateway, 0)).map_err(|_| remote())?;
    Ok(gateway)
}

/// Removes networks, and goes on past one that cannot be removed.
pub(super) async fn remove_all(docker: &Docker, names: &[String]) -> Result<(), RuntimeError> {
    let removals = join_all(names.iter().map(|name| remove(docker, name))).await;
    removals.into_iter().collect()
}

/// Removes the network; one that is gone already is fine. A container that is being removed may still hold it for a
/// moment, which the engine answers with 403.
pub(super) async fn remove(docker: &Docker, name: &str) -> Result<(), RuntimeError> {
    let since = Instant::now();
    loop {
        match docker.remove_network(name).await {
            Err(error) if status_code(&error) == Some(403) && since.elapsed() < HELD_FOR => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) if status_code(&error) != Some(404) => {
                return Err(engine(format!("remove network {name}"))(error));
            }
            _ => return Ok(()),
        }
    }
}
