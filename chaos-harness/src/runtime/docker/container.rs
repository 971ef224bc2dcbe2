//! One container: what it is started with, and what the engine says of it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use bollard::models::{
    ContainerInspectResponse, HostConfig, Mount, MountType, MountVolumeOptions, RestartPolicy as EnginePolicy,
    RestartPolicyNameEnum,
};
use testcontainers::core::ImageExt;
use testcontainers::{ContainerRequest, GenericImage};

use crate::runtime::{EnvironmentId, InstanceSpec, State, Status};
use crate::topology::{InstanceId, RestartPolicy};

/// The label that names the instance of a container.
pub(super) const LABEL_INSTANCE: &str = "chaos-harness.instance";

/// The name of the container of an instance.
pub(super) fn name(environment: &EnvironmentId, instance: &InstanceId) -> String {
    format!("{}-{instance}", environment.name())
}

/// What testcontainers is asked to start. No port is published: links go to the container's own address.
pub(super) fn request(
    environment: &EnvironmentId,
    network: &str,
    image: &str,
    spec: &InstanceSpec,
) -> ContainerRequest<GenericImage> {
    let (repository, tag) = split(image);
    let restart = spec.service.restart;
    let volume = |(folder, bytes): (&String, &u64)| (folder.clone(), format!("rw,size={bytes},mode=1777"));
    let volumes: HashMap<String, String> = spec.service.volumes.iter().map(volume).collect();
    let disks: Vec<Mount> = spec.service.disks.iter().map(|folder| disk(environment, folder)).collect();
    let mut request = GenericImage::new(repository, tag)
        .with_container_name(name(environment, &spec.id))
        .with_network(network)
        .with_labels(environment.labels())
        .with_label(LABEL_INSTANCE, spec.id.to_string())
        .with_cmd(spec.args.clone())
        .with_hostname(spec.id.to_string())
        .with_host_config_modifier(move |host: &mut HostConfig| {
            host.publish_all_ports = Some(false);
            host.port_bindings = None;
            host.init = Some(true);
            host.restart_policy = policy(restart);
            host.mounts = Some(disks.clone()).filter(|disks| !disks.is_empty());
            host.tmpfs = Some(volumes.clone()).filter(|volumes| !volumes.is_empty());
        });
    for (key, value) in &spec.env {
        request = request.with_env_var(key, value);
    }
    request
}

/// A volume of the engine that has no name and goes with its container.
fn disk(environment: &EnvironmentId, folder: &str) -> Mount {
    let labels = environment.labels().into_iter().collect();
    Mount {
        target: Some(folder.to_owned()),
        typ: Some(MountType::VOLUME),
        volume_options: Some(MountVolumeOptions { labels: Some(labels), ..Default::default() }),
        ..Default::default()
    }
}

fn policy(restart: RestartPolicy) -> Option<EnginePolicy> {
    match restart {
        RestartPolicy::Never => None,
        RestartPolicy::Always => {
            Some(EnginePolicy { name: Some(RestartPolicyNameEnum::ALWAYS), maximum_retry_count: None })
        }
    }
}

/// `repository:tag`, where a registry's port is not taken for a tag.
fn split(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (image, "latest"),
    }
}

/// The engine's words as a status; `port` is where the service listens.
pub(super) fn status(details: &ContainerInspectResponse, network: &str, port: u16) -> Status {
    let state = details.state.clone().unwrap_or_default();
    let running = state.running == Some(true) && state.restarting != Some(true);
    let endpoints = details.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    let ip = endpoints.and_then(|networks| {
        // A container that was there before is in networks of its own.
        let endpoint = networks.get(network).or_else(|| networks.values().next())?;
        endpoint.ip_address.as_deref()?.parse::<IpAddr>().ok()
    });
    Status {
        state: match (running, state.paused) {
            (true, Some(true)) => State::Paused,
            (true, _) => State::Running,
            (false, _) => State::Exited {
                code: i32::try_from(state.exit_code.unwrap_or_default()).unwrap_or(-1),
                oom: state.oom_killed == Some(true),
            },
        },
        address: ip.filter(|_| running).map(|ip| SocketAddr::new(ip, port)),
        pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0),
        restarts: details.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        assert_eq!(split("postgres:16"), ("postgres", "16"));
        assert_eq!(split("postgres"), ("postgres", "latest"));
        assert_eq!(split("host:5000/postgres"), ("host:5000/postgres", "latest"));
        assert_eq!(split("host:5000/postgres:16"), ("host:5000/postgres", "16"));
    }
}
