//! Where a container is reached from this machine: asked of the engine at every look, since a restart or a reconnect
//! may change it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bollard::Docker;
use bollard::models::{ContainerInspectResponse, EndpointSettings};

use super::client::{engine, find, status_code};
use crate::runtime::RuntimeError;

/// Drivers of networks whose addresses this machine has no route to, though others may.
const OUT_OF_REACH: [&str; 4] = ["macvlan", "ipvlan", "overlay", "null"];
/// A container may share the network of one that shares another's; nobody builds longer chains.
const LONGEST_CHAIN: usize = 8;

/// Whose network a container is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NetworkMode {
    /// Its own, in any number of networks of the engine.
    Own,
    /// That of the machine.
    Host,
    /// That of another container.
    Container(String),
}

impl NetworkMode {
    pub(super) fn of(details: &ContainerInspectResponse) -> Self {
        let mode = details.host_config.as_ref().and_then(|host| host.network_mode.as_deref()).unwrap_or_default();
        match mode.strip_prefix("container:") {
            Some(other) => Self::Container(other.to_owned()),
            None if mode == "host" => Self::Host,
            None => Self::Own,
        }
    }
}

/// Where `port` of a container in `network` is, if it is there.
pub(super) fn in_network(details: &ContainerInspectResponse, network: &str, port: u16) -> Option<SocketAddr> {
    Some(SocketAddr::new(ip(endpoints(details).get(network)?)?, port))
}

/// Where `port` of a container that was there before is: in `shared` where it is there too, else on the first of its
/// networks, by name, that this machine can reach, else where it is published. `None` when it is nowhere.
pub(super) async fn of_existing(
    docker: &Docker,
    details: &ContainerInspectResponse,
    shared: &str,
    port: u16,
) -> Result<Option<SocketAddr>, RuntimeError> {
    let mut details = details.clone();
    for _ in 0..LONGEST_CHAIN {
        match NetworkMode::of(&details) {
            NetworkMode::Host => return Ok(Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))),
            NetworkMode::Container(other) => {
                let found = find(docker, &other).await.map_err(engine(format!("inspect container {other}")))?;
                let Some(other) = found else { return Ok(None) };
                details = other;
            }
            NetworkMode::Own => return in_own_networks(docker, &details, shared, port).await,
        }
    }
    Ok(None)
}

async fn in_own_networks(
    docker: &Docker,
    details: &ContainerInspectResponse,
    shared: &str,
    port: u16,
) -> Result<Option<SocketAddr>, RuntimeError> {
    if let Some(address) = in_network(details, shared, port) {
        return Ok(Some(address));
    }
    let mut out_of_reach = None;
    for (name, endpoint) in endpoints(details) {
        let Some(ip) = ip(endpoint) else { continue };
        if is_in_reach(docker, name).await? {
            return Ok(Some(SocketAddr::new(ip, port)));
        }
        out_of_reach = out_of_reach.or(Some(SocketAddr::new(ip, port)));
    }
    Ok(published(details, port).or(out_of_reach))
}

/// By name: the engine's own order is a different one each time.
fn endpoints(details: &ContainerInspectResponse) -> BTreeMap<&str, &EndpointSettings> {
    let networks = details.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    networks.into_iter().flatten().map(|(name, endpoint)| (name.as_str(), endpoint)).collect()
}

fn ip(endpoint: &EndpointSettings) -> Option<IpAddr> {
    let given = [&endpoint.ip_address, &endpoint.global_ipv6_address];
    given.into_iter().find_map(|address| address.as_deref()?.parse().ok())
}

async fn is_in_reach(docker: &Docker, network: &str) -> Result<bool, RuntimeError> {
    match docker.inspect_network(network, None).await {
        Ok(network) => Ok(network.driver.is_none_or(|driver| !OUT_OF_REACH.contains(&driver.as_str()))),
        Err(error) if status_code(&error) == Some(404) => Ok(false),
        Err(error) => Err(engine(format!("inspect network {network}"))(error)),
    }
}

/// Where this machine publishes `port`.
fn published(details: &ContainerInspectResponse, port: u16) -> Option<SocketAddr> {
    let ports = details.network_settings.as_ref()?.ports.as_ref()?;
    ports.get(&format!("{port}/tcp"))?.as_deref().unwrap_or_default().iter().find_map(|binding| {
        let port = binding.host_port.as_deref()?.parse().ok()?;
        let ip = match binding.host_ip.as_deref().unwrap_or_default() {
            "" | "0.0.0.0" => Ipv4Addr::LOCALHOST.into(),
            "::" => Ipv6Addr::LOCALHOST.into(),
            other => other.parse().ok()?,
        };
        Some(SocketAddr::new(ip, port))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn container(details: Value) -> ContainerInspectResponse {
        serde_json::from_value(details).unwrap()
    }

    #[test]
    fn a_mode_says_whose_network_it_is() {
        for (mode, expected) in [
            ("host", NetworkMode::Host),
            ("default", NetworkMode::Own),
            ("none", NetworkMode::Own),
            ("host-like-name", NetworkMode::Own),
            ("container:abc", NetworkMode::Container("abc".to_owned())),
        ] {
            assert_eq!(NetworkMode::of(&container(json!({ "HostConfig": { "NetworkMode": mode } }))), expected);
        }
    }

    #[test]
    fn an_address_is_of_either_family_and_an_empty_one_is_none() {
        let networks = json!({
            "a": { "IPAddress": "", "GlobalIPv6Address": "" },
            "b": { "IPAddress": "", "GlobalIPv6Address": "fd00::2" },
            "c": { "IPAddress": "10.0.0.2", "GlobalIPv6Address": "fd00::3" },
        });
        let details = container(json!({ "NetworkSettings": { "Networks": networks } }));
        assert_eq!(in_network(&details, "a", 80), None);
        assert_eq!(in_network(&details, "b", 80), Some("[fd00::2]:80".parse().unwrap()));
        assert_eq!(in_network(&details, "c", 80), Some("10.0.0.2:80".parse().unwrap()));
        assert_eq!(in_network(&details, "d", 80), None);
    }

    #[test]
    fn a_published_port_is_found_where_it_is_bound() {
        let ports = json!({
            "80/tcp": [{ "HostIp": "0.0.0.0", "HostPort": "49153" }],
            "81/tcp": [{ "HostIp": "127.0.0.5", "HostPort": "81" }],
            "82/tcp": [{ "HostIp": "::", "HostPort": "82" }],
            "83/tcp": null,
            "84/udp": [{ "HostIp": "0.0.0.0", "HostPort": "84" }],
        });
        let details = container(json!({ "NetworkSettings": { "Ports": ports } }));
        let at = |port| published(&details, port).map(|address| address.to_string());
        assert_eq!(at(80).as_deref(), Some("127.0.0.1:49153"));
        assert_eq!(at(81).as_deref(), Some("127.0.0.5:81"));
        assert_eq!(at(82).as_deref(), Some("[::1]:82"));
        assert_eq!((at(83), at(84)), (None, None));
    }
}
