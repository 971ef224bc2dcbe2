//! Restarts that the engine does not make, since it was asked for the end of the container: the harness stands in for
//! the restart policy, until the container is stopped on purpose.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerState, RestartPolicy as EnginePolicy, RestartPolicyNameEnum as Name};
use tokio::sync::Mutex;

use crate::topology::{InstanceId, RestartPolicy};

/// The engine's own delay before the first restart, which it doubles each time up to the longest.
const DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// What ran for so long is restarted after the first delay again.
const LONG_RUN: Duration = Duration::from_secs(10);
/// How long a process may take to end of a signal before its restart is nobody's business.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// Those of an environment.
#[derive(Debug, Default)]
pub(super) struct StandIns(parking_lot::Mutex<BTreeMap<InstanceId, Arc<Mutex<Standing>>>>);

/// What is known of an instance. Locked while it is started.
#[derive(Debug)]
struct Standing {
    may_start: bool,
    restarts: u32,
    delay: Duration,
    started: Option<Instant>,
}

impl Default for Standing {
    fn default() -> Self {
        Self { may_start: true, restarts: 0, delay: DELAY, started: None }
    }
}

impl Standing {
    /// How long to wait before the next restart.
    fn next_delay(&mut self) -> Duration {
        if self.started.is_some_and(|started| started.elapsed() >= LONG_RUN) {
            self.delay = DELAY;
        }
        let delay = self.delay;
        self.delay = (delay * 2).min(LONGEST_DELAY);
        delay
    }
}

/// A restart policy in the engine's words.
pub(super) fn policy(of_engine: Option<EnginePolicy>) -> RestartPolicy {
    let Some(policy) = of_engine else { return RestartPolicy::Never };
    match policy.name {
        Some(Name::ALWAYS) => RestartPolicy::Always,
        Some(Name::UNLESS_STOPPED) => RestartPolicy::UnlessStopped,
        Some(Name::ON_FAILURE) => {
            let retries = policy.maximum_retry_count.unwrap_or_default();
            RestartPolicy::OnFailure { retries: u16::try_from(retries).unwrap_or(0) }
        }
        _ => RestartPolicy::Never,
    }
}

impl StandIns {
    /// Starts container `name` once it has ended, as far as `policy` says so, unless that is called off before.
    pub(super) fn stand_in(&self, docker: Docker, name: String, id: &InstanceId, policy: RestartPolicy) {
        let standing = self.0.lock().entry(id.clone()).or_default().clone();
        tokio::spawn(async move {
            if tokio::time::timeout(ENDS_WITHIN, end(&docker, &name)).await.is_err() {
                return;
            }
            let delay = standing.lock().await.next_delay();
            tokio::time::sleep(delay).await;
            let mut standing = standing.lock().await;
            // Somebody else may have started it meanwhile, or it is gone.
            let Some((state, by_engine)) = ended(&docker, &name).await else { return };
            let code = i32::try_from(state.exit_code.unwrap_or_default()).unwrap_or(-1);
            if !standing.may_start || !policy.restarts_after(code, standing.restarts + by_engine) {
                return;
            }
            match docker.start_container(&name, None).await {
                Ok(()) => {
                    standing.restarts += 1;
                    standing.started = Some(Instant::now());
                }
                Err(error) => tracing::error!(%error, container = name, "could not be started again"),
            }
        });
    }

    /// How often an instance was started in the engine's stead, since it was last stopped on purpose.
    pub(super) async fn restarts(&self, id: &InstanceId) -> u32 {
        let standing = self.0.lock().get(id).cloned();
        match standing {
            Some(standing) => standing.lock().await.restarts,
            None => 0,
        }
    }

    /// On return `id` is not started any more by what was begun before.
    pub(super) async fn call_off(&self, id: &InstanceId) {
        let standing = self.0.lock().remove(id);
        if let Some(standing) = standing {
            standing.lock().await.may_start = false;
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
async fn end(docker: &Docker, name: &str) {
    while docker.inspect_container(name, None).await.is_ok_and(|it| it.state.unwrap_or_default().running == Some(true))
    {
        tokio::time::sleep(DELAY / 2).await;
    }
}

/// The state of a container that is there and does not run, and how often the engine has restarted it.
async fn ended(docker: &Docker, name: &str) -> Option<(ContainerState, u32)> {
    let details = docker.inspect_container(name, None).await.ok()?;
    let restarts = details.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
    details.state.filter(|state| state.running != Some(true)).map(|state| (state, restarts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_of_the_engine_is_known() {
        let of = |name, retries| policy(Some(EnginePolicy { name: Some(name), maximum_retry_count: retries }));
        assert_eq!(of(Name::ALWAYS, None), RestartPolicy::Always);
        assert_eq!(of(Name::UNLESS_STOPPED, Some(0)), RestartPolicy::UnlessStopped);
        assert_eq!(of(Name::ON_FAILURE, Some(3)), RestartPolicy::OnFailure { retries: 3 });
        assert_eq!((of(Name::NO, None), of(Name::EMPTY, None)), (RestartPolicy::Never, RestartPolicy::Never));
        assert_eq!(policy(None), RestartPolicy::Never);
    }

    #[tokio::test(start_paused = true)]
    async fn each_restart_waits_twice_as_long_as_the_one_before() {
        let mut standing = Standing::default();
        let delays: Vec<u128> = (0..11).map(|_| standing.next_delay().as_millis()).collect();
        assert_eq!((&delays[..3], &delays[9..]), (&[100, 200, 400][..], &[51_200, 60_000][..]));
    }
}
