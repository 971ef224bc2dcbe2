//! Whether containers can reach this machine, where links are bound: a firewall may keep them out.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use bollard::Docker;
use chaos_harness_netns::Namespace;

use super::client::engine;
use super::{DockerRuntime, kill};
use crate::runtime::{Runtime, RuntimeError};
use crate::topology::InstanceId;

/// On one machine a connection takes microseconds. A firewall that drops lets it run into this.
const WITHIN: Duration = Duration::from_secs(3);

/// Connects from the network of `instance` to this machine. Where this process may not enter that network, nothing is
/// said.
pub(super) async fn check(runtime: &DockerRuntime, instance: &InstanceId) -> Result<(), RuntimeError> {
    let DockerRuntime { docker, network, .. } = runtime;
    let container = runtime.container(instance).await?;
    let pid = runtime.status(instance).await?.pid.filter(|pid| kill::is_of(*pid, &container));
    let Some(pid) = pid else { return Ok(()) };
    let listener = TcpListener::bind((network.gateway, 0)).map_err(RuntimeError::io("listen for a container"))?;
    let address = listener.local_addr().map_err(RuntimeError::io("listen for a container"))?;
    let tried = tokio::task::spawn_blocking(move || connect(pid, address)).await;
    match tried.map_err(|error| RuntimeError::io("ask a container to connect")(error.into()))? {
        Some(Err(error)) => Err(RuntimeError::Firewall {
            instance: instance.clone(),
            address,
            reason: error.to_string(),
            bridge: bridge(docker, &network.name).await?,
        }),
        _ => Ok(()),
    }
}

/// `None` when this process may not try.
fn connect(pid: u32, address: SocketAddr) -> Option<io::Result<()>> {
    let namespace = Namespace::of_process(pid).ok()?;
    namespace.run(|| TcpStream::connect_timeout(&address, WITHIN).map(drop)).ok()
}

/// The interface of a network on this machine.
async fn bridge(docker: &Docker, network: &str) -> Result<String, RuntimeError> {
    let details = docker.inspect_network(network, None).await.map_err(engine(format!("inspect network {network}")))?;
    let named = details.options.unwrap_or_default().remove("com.docker.network.bridge.name");
    let id: String = details.id.unwrap_or_default().chars().take(12).collect();
    Ok(named.unwrap_or_else(|| format!("br-{id}")))
}
