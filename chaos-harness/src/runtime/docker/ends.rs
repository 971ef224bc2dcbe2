//! How instances are ended, how it is known that they have, and what starts them again.

use std::sync::PoisonError;
use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::StopContainerOptionsBuilder;
use futures::future::join_all;

use super::address::NetworkMode;
use super::client::{self, engine, status_code};
use super::{DockerRuntime, kill};
use crate::runtime::docker_undo::DockerUndo;
use crate::runtime::{Runtime, RuntimeError, Signal};
use crate::safety::undo::UndoStep;
use crate::topology::InstanceId;

impl DockerRuntime {
    pub(super) async fn inspect(&self, id: &InstanceId) -> Result<ContainerInspectResponse, RuntimeError> {
        self.docker.inspect_container(&self.name(id), None).await.map_err(engine(format!("inspect {id}")))
    }

    /// What the engine says of an instance; `None` where it was removed.
    pub(super) async fn find(&self, id: &InstanceId) -> Result<Option<ContainerInspectResponse>, RuntimeError> {
        client::find(&self.docker, &self.name(id)).await.map_err(engine(format!("inspect {id}")))
    }

    /// Whether the first process of an instance is the engine's init.
    pub(super) fn is_under_init(&self, id: &InstanceId) -> bool {
        let instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        instances.get(id).is_some_and(|instance| instance.under_init)
    }

    /// Asks those to shut down whose service says how long they may take for it.
    pub(super) async fn ask_to_shut_down(&self) {
        let asked: Vec<(InstanceId, Duration)> = {
            let instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
            instances.iter().filter_map(|(id, instance)| Some((id.clone(), instance.grace?))).collect()
        };
        // One that cannot be asked is removed all the same.
        join_all(asked.iter().map(|(id, grace)| self.shut_down(id, *grace))).await;
    }

    /// The first process of an instance that runs, and its container.
    pub(super) async fn running(&self, id: &InstanceId, action: &'static str) -> Result<(u32, String), RuntimeError> {
        let pid = self.status(id).await?.pid;
        let pid = pid.ok_or_else(|| RuntimeError::NotRunning { instance: id.clone(), action })?;
        Ok((pid, self.container(id).await?))
    }

    pub(super) async fn signal_through_engine(&self, id: &InstanceId, signal: Signal) -> Result<String, RuntimeError> {
        kill::through_engine(&self.docker, &self.stand_ins, (&self.name(id), id), signal).await
    }

    /// Asks an instance to end, and nobody who stands in for the restart policy starts it again.
    pub(super) async fn shut_down(&self, id: &InstanceId, grace: Duration) -> Result<(), RuntimeError> {
        self.stand_ins.call_off(id).await;
        let seconds = i32::try_from(grace.as_secs_f64().ceil() as i64).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        match self.docker.stop_container(&self.name(id), Some(options)).await {
            // 304: it had stopped already.
            Err(error) if status_code(&error) != Some(304) => Err(engine(format!("stop {id}"))(error)),
            _ => Ok(()),
        }
    }

    /// Waits until the engine has noticed that process `pid` is gone.
    pub(super) async fn wait_for_end(&self, id: &InstanceId, pid: u32) -> Result<(), RuntimeError> {
        let mut pause = Duration::from_millis(1);
        while self.status(id).await?.pid == Some(pid) {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        Ok(())
    }

    pub(super) async fn undo_of_pause(&self, id: &InstanceId) -> Result<UndoStep, RuntimeError> {
        Ok(UndoStep::Docker(DockerUndo::Unpause { container: self.container(id).await? }))
    }

    pub(super) async fn undo_of_stop(&self, id: &InstanceId) -> Result<UndoStep, RuntimeError> {
        Ok(UndoStep::Docker(DockerUndo::Start { container: self.container(id).await? }))
    }

    /// Takes a step back, and notes that.
    pub(super) async fn take(&self, step: UndoStep) -> Result<(), RuntimeError> {
        self.undo.take(&step).await
    }

    /// Refuses a fault in a network that others are in as well: the machine's, or another container's.
    pub(super) async fn only_its_own_network(&self, id: &InstanceId) -> Result<(), RuntimeError> {
        let whose = match NetworkMode::of(&self.inspect(id).await?) {
            NetworkMode::Own => return Ok(()),
            NetworkMode::Host => "this machine".to_owned(),
            NetworkMode::Container(other) => format!("container {other}"),
        };
        Err(RuntimeError::SharedNetwork { instance: id.clone(), whose })
    }
}
