//! A helper container that goes on until its standard input ends: with the fault, with this process, or with the engine.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use bollard::Docker;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::AttachContainerOptionsBuilder;
use chaos_harness_netns::NameDelay;
use futures::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::client::{connect, engine};
use super::helper;
use super::sweep::remove_containers;
use crate::runtime::RuntimeError;

/// A helper that says nothing for so long says nothing.
const SAYS_WITHIN: Duration = Duration::from_secs(20);

/// A helper at work.
pub(crate) struct Leased {
    docker: Docker,
    helper: String,
    /// Its standard input, its lease.
    lease: Pin<Box<dyn AsyncWrite + Send>>,
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>,
}

/// Has questions held back in the network of `container`, by a helper that carries `labels`.
pub(crate) async fn delay_names(
    container: &str,
    image: &str,
    labels: &BTreeMap<String, String>,
    delay: &NameDelay,
) -> Result<Leased, RuntimeError> {
    let docker = connect().await?;
    let delay = serde_json::to_string(delay).map_err(engine("write a delay down"))?;
    let body = ContainerCreateBody {
        open_stdin: Some(true),
        // Whoever holds the other end is the only one who ever will.
        stdin_once: Some(true),
        attach_stdin: Some(true),
        ..helper::body(container, image, labels, vec!["delay-names".to_owned(), delay])
    };
    let id = helper::create(&docker, container, body).await?;
    match begin(docker.clone(), id.clone()).await {
        Ok(leased) => Ok(leased),
        Err(error) => {
            remove_containers(&docker, &[id]).await?;
            Err(error)
        }
    }
}

async fn begin(docker: Docker, helper: String) -> Result<Leased, RuntimeError> {
    let options = AttachContainerOptionsBuilder::new().stream(true).stdin(true).stdout(true).stderr(true).build();
    let attached = docker.attach_container(&helper, Some(options)).await;
    let AttachContainerResults { output, input } = attached.map_err(engine("attach to the network helper"))?;
    docker.start_container(&helper, None).await.map_err(engine("start the network helper"))?;
    let mut leased = Leased { docker, helper, lease: input, output };
    let said = leased.line().await?;
    helper::outcome_of(&said)?;
    Ok(leased)
}

impl Leased {
    /// How many questions it has held back.
    pub(crate) async fn count(&mut self) -> Result<u64, RuntimeError> {
        let asked = async {
            self.lease.write_all(b"\n").await?;
            self.lease.flush().await
        };
        asked.await.map_err(RuntimeError::io("ask the network helper"))?;
        let said = self.line().await?;
        said.trim().parse().map_err(|_| silent(&said))
    }

    /// Ends it; may be called again.
    pub(crate) async fn end(&mut self) -> Result<(), RuntimeError> {
        // It lets go what it holds before it ends; one that has ended needs no telling.
        let _ = self.lease.shutdown().await;
        while let Ok(Some(Ok(_))) = tokio::time::timeout(SAYS_WITHIN, self.output.next()).await {}
        remove_containers(&self.docker, std::slice::from_ref(&self.helper)).await
    }

    /// The next line that it says. It says one at a time.
    async fn line(&mut self) -> Result<String, RuntimeError> {
        let mut said = String::new();
        while !said.ends_with('\n') {
            match tokio::time::timeout(SAYS_WITHIN, self.output.next()).await {
                Ok(Some(Ok(piece))) => said.push_str(&String::from_utf8_lossy(piece.as_ref())),
                _ => return Err(silent(&said)),
            }
        }
        Ok(said)
    }
}

fn silent(said: &str) -> RuntimeError {
    let reason = if said.is_empty() { "it says nothing" } else { said.trim() };
    RuntimeError::Engine { action: "go on with the network helper".to_owned(), reason: reason.to_owned() }
}
