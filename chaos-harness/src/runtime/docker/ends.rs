//! How instances are ended, and how it is known that they have.

use std::time::Duration;

use bollard::query_parameters::StopContainerOptionsBuilder;

use super::client::{engine, status_code};
use super::{DockerRuntime, kill};
use crate::runtime::{Runtime, RuntimeError, Signal};
use crate::topology::InstanceId;

impl DockerRuntime {
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
}
