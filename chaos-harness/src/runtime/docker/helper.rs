//! A helper container in a target's network, for a user who may talk to the engine and no more.

use std::collections::BTreeMap;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{CreateContainerOptions, LogsOptionsBuilder, WaitContainerOptions};
use chaos_harness_netns::{Done, Job, NetnsError};
use futures::TryStreamExt;

use super::client::{connect, engine, find};
use super::sweep::remove_containers;
use super::{artifact, image};
use crate::runtime::RuntimeError;
use crate::variables::{self, VariableError};

/// Names the image of the helper; one is built when it is not set.
const IMAGE: &str = "CHAOS_NETWORK_HELPER_IMAGE";

/// Set to `1` to have the helper used even where this process may enter the namespaces itself.
const DEMANDED: &str = "CHAOS_NETWORK_HELPER";

/// Whether the helper is to be used in any case.
pub(super) fn is_demanded() -> Result<bool, VariableError> {
    variables::flag(DEMANDED)
}

/// The helper: the build script of this crate, which is copied here. Empty where it was built for another machine.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/chaos-network-helper"));

/// The image of the helper, made ready.
pub(super) async fn ready(docker: &Docker) -> Result<String, RuntimeError> {
    if let Some(name) = variables::text(IMAGE)? {
        return image::named(docker, &name, None).await;
    }
    if PROGRAM.is_empty() {
        return Err(RuntimeError::NoNetworkHelper);
    }
    let unpacked = tokio::task::spawn_blocking(|| artifact::unpack("chaos-network-helper", PROGRAM)).await;
    let program = unpacked.map_err(engine("finish unpacking the network helper"))??;
    image::of_executable(docker, "network-helper", &program).await
}

/// Does `job` in the network of `container`, in a container that carries `labels` and is then removed.
pub(crate) async fn perform(
    container: &str,
    image: &str,
    labels: &BTreeMap<String, String>,
    job: &Job,
) -> Result<Done, RuntimeError> {
    let docker = connect().await?;
    let job = serde_json::to_string(job).map_err(engine("write a job down"))?;
    let helper = create(&docker, container, body(container, image, labels, vec![job])).await?;
    let outcome = run(&docker, &helper).await;
    remove_containers(&docker, &[helper]).await?;
    outcome
}

/// What a helper in the network of `container` is made of.
pub(super) fn body(
    container: &str,
    image: &str,
    labels: &BTreeMap<String, String>,
    arguments: Vec<String>,
) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(arguments),
        labels: Some(labels.clone().into_iter().collect()),
        host_config: Some(HostConfig {
            network_mode: Some(format!("container:{container}")),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(vec!["NET_ADMIN".to_owned()]),
            readonly_rootfs: Some(true),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// Makes a helper for `container`, which has to run; its id.
pub(super) async fn create(
    docker: &Docker,
    container: &str,
    body: ContainerCreateBody,
) -> Result<String, RuntimeError> {
    let target = find(docker, container).await.map_err(engine(format!("inspect container {container}")))?;
    let target = target.ok_or(NetnsError::Gone)?;
    if target.state.as_ref().and_then(|state| state.running) != Some(true) {
        return Err(NetnsError::Gone.into());
    }
    let made = docker.create_container(None::<CreateContainerOptions>, body).await;
    Ok(made.map_err(engine("create the network helper"))?.id)
}

async fn run(docker: &Docker, helper: &str) -> Result<Done, RuntimeError> {
    docker.start_container(helper, None).await.map_err(engine("start the network helper"))?;
    // How it ended shows in what it printed.
    let _ = docker.wait_container(helper, None::<WaitContainerOptions>).try_collect::<Vec<_>>().await;
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
    let logs = docker.logs(helper, Some(options)).try_collect::<Vec<_>>().await;
    let logs = logs.map_err(engine("read what the network helper says"))?;
    let text: String = logs.iter().map(|chunk| String::from_utf8_lossy(chunk.as_ref()).into_owned()).collect();
    outcome_of(&text)
}

/// What came of a job, as a helper says it.
pub(super) fn outcome_of(text: &str) -> Result<Done, RuntimeError> {
    let outcome: Result<Result<Done, NetnsError>, _> = serde_json::from_str(text.trim());
    match outcome {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(RuntimeError::Engine { action: "run the network helper".to_owned(), reason: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Without cargo, a compiler or the sources: nothing but what the library carries.
    #[test]
    fn the_helper_is_carried_along_and_does_what_it_is_told() {
        let program = artifact::unpack("chaos-network-helper", PROGRAM).unwrap();
        let told = |job: &str| Command::new(&program).arg(job).env_clear().output().unwrap();
        let job = serde_json::to_string(&Job::Count { table: "chaos_no_such_table".to_owned() }).unwrap();
        let said = told(&job).stdout;
        // Whoever is not root is refused by the kernel, which is an outcome as well.
        match outcome_of(&String::from_utf8(said).unwrap()) {
            Ok(done) => assert_eq!(done, Done::Nothing),
            Err(RuntimeError::Network(_)) => assert!(!rustix::process::geteuid().is_root()),
            Err(error) => panic!("{error}"),
        }
        assert!(!told("no job").status.success());
    }
}
