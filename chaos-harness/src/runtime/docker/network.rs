//! The network of an environment.

use std::net::{IpAddr, TcpListener};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{Network as Net, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptions;
use futures::future::join_all;
use ipnet::IpNet;

use super::client::{engine, status_code};
use crate::progress;
use crate::runtime::session::LABEL_ENVIRONMENT;
use crate::runtime::{EnvironmentId, RuntimeError};

/// The pause between tries to make a network.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a container that is going may hold its network.
const HELD_FOR: Duration = Duration::from_secs(3);

/// A bridge network of our own.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) name: String,
    /// The address at which its containers find this machine.
    pub(super) gateway: IpAddr,
    /// The addresses of its containers.
    pub(super) subnets: Vec<IpNet>,
}

/// How long other environments have to give back addresses, when the engine has none left for another network.
const ADDRESSES_WITHIN: Duration = Duration::from_secs(60);

/// Makes the network. When its gateway is no address of this machine, it is removed again.
pub(super) async fn create(docker: &Docker, id: &EnvironmentId) -> Result<Network, RuntimeError> {
    create_within(docker, id, ADDRESSES_WITHIN).await
}

async fn create_within(docker: &Docker, id: &EnvironmentId, patience: Duration) -> Result<Network, RuntimeError> {
    let request = NetworkCreateRequest {
        name: id.name().to_owned(),
        driver: Some("bridge".to_owned()),
        labels: Some(id.labels().into_iter().collect()),
        ..Default::default()
    };
    let since = Instant::now();
    let mut has_told = false;
    while let Err(error) = docker.create_network(request.clone()).await {
        if !has_no_addresses(&error) {
            return Err(engine(format!("create network {}", id.name()))(error));
        }
        if since.elapsed() >= patience {
            return Err(no_addresses(docker, patience).await);
        }
        if !has_told {
            progress::print(
                "the engine has no addresses left for another network; waiting for other experiments to end",
            );
            has_told = true;
        }
        tokio::time::sleep(PAUSE.min(patience)).await;
    }
    match look_at(docker, id.name()).await {
        Ok(network) => Ok(network),
        Err(error) => {
            remove(docker, id.name()).await?;
            Err(error)
        }
    }
}

/// The engine's words differ between versions; there is no code for it.
fn has_no_addresses(error: &bollard::errors::Error) -> bool {
    let text = error.to_string();
    ["non-overlapping IPv4 address pool", "address pools have been fully subnetted"].iter().any(|it| text.contains(it))
}

/// Says who has the addresses.
async fn no_addresses(docker: &Docker, waited: Duration) -> RuntimeError {
    let networks = docker.list_networks(None::<ListNetworksOptions>).await.unwrap_or_default();
    let is_ours = |network: &&Net| network.labels.as_ref().is_some_and(|it| it.contains_key(LABEL_ENVIRONMENT));
    let ours = networks.iter().filter(is_ours).count();
    RuntimeError::NoAddresses { waited, networks: networks.len(), ours }
}

async fn look_at(docker: &Docker, name: &str) -> Result<Network, RuntimeError> {
    let details = docker.inspect_network(name, None).await.map_err(engine(format!("inspect network {name}")))?;
    let configs = details.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    let subnets = configs.iter().filter_map(|config| config.subnet.as_deref()?.parse().ok()).collect();
    let text = configs.into_iter().find_map(|config| config.gateway).unwrap_or_default();
    let remote = || RuntimeError::RemoteEngine { gateway: text.clone() };
    let gateway: IpAddr = text.split('/').next().unwrap_or_default().parse().map_err(|_| remote())?;
    TcpListener::bind((gateway, 0)).map_err(|_| remote())?;
    Ok(Network { name: name.to_owned(), gateway, subnets })
}

/// Removes networks, and goes on past one that cannot be removed.
pub(super) async fn remove_all(docker: &Docker, names: &[String]) -> Result<(), RuntimeError> {
    let removals = join_all(names.iter().map(|name| remove(docker, name))).await;
    removals.into_iter().collect()
}

/// Removes the network; one that is gone already is fine. A container that is being removed may still hold it for a
/// moment, which the engine answers with 403.
///
/// # Errors
/// [`RuntimeError::NetworkHeld`], without delay, when only containers of somebody else hold it.
pub(super) async fn remove(docker: &Docker, name: &str) -> Result<(), RuntimeError> {
    let since = Instant::now();
    loop {
        match docker.remove_network(name).await {
            Err(error) if status_code(&error) == Some(403) => {
                if let Some(holders) = strangers(docker, name).await {
                    return Err(RuntimeError::NetworkHeld { network: name.to_owned(), holders });
                }
                if since.elapsed() > HELD_FOR {
                    return Err(engine(format!("remove network {name}"))(error));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) if status_code(&error) != Some(404) => {
                return Err(engine(format!("remove network {name}"))(error));
            }
            _ => return Ok(()),
        }
    }
}

/// The containers on the network, where none of them carries labels of the harness.
async fn strangers(docker: &Docker, network: &str) -> Option<Vec<String>> {
    let details = docker.inspect_network(network, None).await.ok()?;
    let mut holders = Vec::new();
    for id in details.containers.unwrap_or_default().into_keys() {
        let container = docker.inspect_container(&id, None).await.ok()?;
        let config = container.config.unwrap_or_default();
        if config.labels.unwrap_or_default().contains_key(LABEL_ENVIRONMENT) {
            return None;
        }
        let (name, image) = (container.name.unwrap_or(id), config.image.unwrap_or_default());
        holders.push(format!("{} ({image})", name.trim_start_matches('/')));
    }
    holders.sort();
    (!holders.is_empty()).then_some(holders)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::http::StatusCode;
    use axum::routing::{get, post};
    use axum::{Json, Router};
    use serde_json::{Value, json};

    use super::*;

    const EXHAUSTED: &str =
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network";

    /// An engine that has no addresses for the first `refusals` networks.
    async fn engine_with(refusals: u32) -> Docker {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let first = ASKED.fetch_add(1000, Ordering::Relaxed);
        let asked = std::sync::Arc::new(AtomicU32::new(first));
        let create = move || async move {
            match asked.fetch_add(1, Ordering::Relaxed) - first < refusals {
                true => (StatusCode::FORBIDDEN, Json(json!({ "message": EXHAUSTED }))),
                false => (StatusCode::CREATED, Json(json!({ "Id": "1", "Warning": "" }))),
            }
        };
        let networks = json!([{ "Name": "bridge" }, { "Name": "x", "Labels": { LABEL_ENVIRONMENT: "x" } }]);
        let details = json!({ "Name": "x", "IPAM": { "Config": [{ "Gateway": "127.0.0.1" }] } });
        let answer = |value: Value| get(move || async move { Json(value) });
        let api = Router::new().route("/networks/create", post(create)).route("/networks", answer(networks));
        let api = api.route("/networks/{name}", answer(details));
        let router = Router::new().nest("/{version}", api.clone()).merge(api);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Docker::connect_with_http(&address, 10, bollard::API_DEFAULT_VERSION).unwrap()
    }

    #[tokio::test]
    async fn addresses_are_waited_for_and_missed_by_name() {
        let id = EnvironmentId::new("shop");
        let docker = engine_with(2).await;
        let network = create_within(&docker, &id, Duration::from_secs(20)).await.unwrap();
        assert_eq!(network.gateway, IpAddr::from([127, 0, 0, 1]));
        let docker = engine_with(999).await;
        let error = create_within(&docker, &id, Duration::from_millis(20)).await.unwrap_err().to_string();
        assert!(error.contains("1 of its 2 networks are of this harness"), "{error}");
        assert!(error.contains("docker network prune") && error.contains("default-address-pools"), "{error}");
    }
}
