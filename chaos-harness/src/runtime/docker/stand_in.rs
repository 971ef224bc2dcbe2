//! Restarts that the engine does not make, since it was asked for the end of the container: the harness stands in for
//! the restart policy, until the container is stopped on purpose.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use tokio::sync::Mutex;

use crate::topology::InstanceId;

/// The engine's own first delay before a restart.
const DELAY: Duration = Duration::from_millis(100);
/// How long a process may take to end of a signal before its restart is nobody's business.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// Those of an environment: for each instance whether it may be started. The lock is held while it is.
#[derive(Debug, Default)]
pub(super) struct StandIns(parking_lot::Mutex<BTreeMap<InstanceId, Arc<Mutex<bool>>>>);

impl StandIns {
    /// Starts container `name` once it has ended, unless that is called off before.
    pub(super) fn stand_in(&self, docker: Docker, name: String, id: &InstanceId) {
        let may_start = || Arc::new(Mutex::new(true));
        let may_start = self.0.lock().entry(id.clone()).or_insert_with(may_start).clone();
        tokio::spawn(async move {
            if tokio::time::timeout(ENDS_WITHIN, ended(&docker, &name)).await.is_err() {
                return;
            }
            tokio::time::sleep(DELAY).await;
            let may_start = may_start.lock().await;
            if !*may_start {
                return;
            }
            if let Err(error) = docker.start_container(&name, None).await {
                tracing::error!(%error, container = name, "could not be started again");
            }
        });
    }

    /// On return `id` is not started any more by what was begun before.
    pub(super) async fn call_off(&self, id: &InstanceId) {
        let standing = self.0.lock().remove(id);
        if let Some(may_start) = standing {
            *may_start.lock().await = false;
        }
    }

    /// The same for all instances.
    pub(super) async fn call_off_all(&self) {
        let ids: Vec<InstanceId> = self.0.lock().keys().cloned().collect();
        for id in ids {
            self.call_off(&id).await;
        }
    }
}

/// Waits until the container does not run.
async fn ended(docker: &Docker, name: &str) {
    loop {
        let details = docker.inspect_container(name, None).await.ok();
        if details.and_then(|details| details.state?.running) != Some(true) {
            return;
        }
        tokio::time::sleep(DELAY / 2).await;
    }
}
