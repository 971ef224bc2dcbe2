//! One container: what it is started with, and what the engine says of it.

use std::collections::HashMap;
use std::net::SocketAddr;

use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, HostConfig, Mount, MountType, MountVolumeOptions,
    RestartPolicy as EnginePolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::CreateContainerOptionsBuilder;

use super::client::engine;
use super::command::Command;
use super::sweep::remove_containers;
use crate::runtime::{EnvironmentId, InstanceSpec, RuntimeError, State, Status};
use crate::topology::{InstanceId, RestartPolicy};

/// The label that names the instance of a container.
pub(super) const LABEL_INSTANCE: &str = "chaos-harness.instance";
/// The label that tells on which port the service of a container listens.
pub(super) const LABEL_PORT: &str = "chaos-harness.port";

/// The name of the container of an instance.
pub(super) fn name(environment: &EnvironmentId, instance: &InstanceId) -> String {
    format!("{}-{instance}", environment.name())
}

/// What the engine is asked to make. No port is published: links go to the container's own address.
pub(super) fn body(
    environment: &EnvironmentId,
    network: &str,
    image: &str,
    command: Command,
    spec: &InstanceSpec,
) -> ContainerCreateBody {
    let service = &spec.service;
    let volume = |(folder, bytes): (&String, &u64)| (folder.clone(), format!("rw,size={bytes},mode=1777"));
    let volumes: HashMap<String, String> = service.volumes.iter().map(volume).collect();
    let disks: Vec<Mount> = service.disks.iter().map(|folder| disk(environment, folder)).collect();
    let mut labels: HashMap<String, String> = environment.labels().into_iter().collect();
    labels.insert(LABEL_INSTANCE.to_owned(), spec.id.to_string());
    labels.insert(LABEL_PORT.to_owned(), service.port.to_string());
    ContainerCreateBody {
        image: Some(image.to_owned()),
        hostname: Some(spec.id.to_string()),
        entrypoint: command.entrypoint.map(|program| vec![program]),
        cmd: Some(command.cmd).filter(|words| !words.is_empty()),
        env: Some(spec.env.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        labels: Some(labels),
        host_config: Some(HostConfig {
            network_mode: Some(network.to_owned()),
            init: Some(service.init),
            restart_policy: policy(service.restart),
            mounts: Some(disks).filter(|disks| !disks.is_empty()),
            tmpfs: Some(volumes).filter(|volumes| !volumes.is_empty()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
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
    let (name, retries) = match restart {
        RestartPolicy::Never => return None,
        RestartPolicy::Always => (RestartPolicyNameEnum::ALWAYS, None),
        RestartPolicy::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        RestartPolicy::OnFailure { retries } => (RestartPolicyNameEnum::ON_FAILURE, Some(i64::from(retries))),
    };
    Some(EnginePolicy { name: Some(name), maximum_retry_count: retries })
}

/// The engine's words as a status; `address` is where the service is reached.
pub(super) fn status(details: &ContainerInspectResponse, address: Option<SocketAddr>) -> Status {
    let state = details.state.clone().unwrap_or_default();
    let running = state.running == Some(true) && state.restarting != Some(true);
    Status {
        state: match (running, state.paused) {
            (true, Some(true)) => State::Paused,
            (true, _) => State::Running,
            (false, _) => State::Exited {
                code: i32::try_from(state.exit_code.unwrap_or_default()).unwrap_or(-1),
                oom: state.oom_killed == Some(true),
            },
        },
        address: address.filter(|_| running),
        pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0),
        restarts: details.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
    }
}

/// Makes a container named `name` and starts it; one that does not start is removed again.
pub(super) async fn start(
    docker: &Docker,
    name: &str,
    platform: Option<&str>,
    body: ContainerCreateBody,
) -> Result<(), RuntimeError> {
    let options = CreateContainerOptionsBuilder::new().name(name).platform(platform.unwrap_or_default()).build();
    docker.create_container(Some(options), body).await.map_err(engine(format!("create container {name}")))?;
    if let Err(error) = docker.start_container(name, None).await {
        remove_containers(docker, &[name.to_owned()]).await?;
        return Err(engine(format!("start container {name}"))(error));
    }
    Ok(())
}
