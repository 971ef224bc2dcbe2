//! Stopping and starting instances, for the faults that do.

use std::time::{Duration, Instant};

use futures::future::join_all;

use super::{Attestation, FaultError};
use crate::environment::Environment;
use crate::runtime::{RuntimeError, State};
use crate::topology::InstanceId;

/// How [`stop_all`] stops, for the journal.
pub(super) fn how_stopped(grace: Duration) -> String {
    format!("stop signal, SIGKILL after {}", humantime::format_duration(grace))
}

/// The life in which a fault found an instance, to tell afterwards whether that one has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pid: Option<u32>,
    oom_kills: u64,
}

/// How long the engine may take to notice that a process has ended.
const NOTICED_WITHIN: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

impl Life {
    pub(super) async fn of(environment: &Environment, id: &InstanceId) -> Result<Self, RuntimeError> {
        let pid = environment.runtime().status(id).await?.pid;
        Ok(Self { pid, oom_kills: oom_kills(environment, id) })
    }

    /// How it ended, if it did and no other fault holds the instance down.
    pub(super) async fn ended(
        &self,
        environment: &Environment,
        id: &InstanceId,
    ) -> Result<Option<String>, RuntimeError> {
        self.ended_within(environment, id, Duration::ZERO).await
    }

    /// Whether it ended, after something failed of which its end may be the reason: the engine may not have noticed yet.
    pub(super) async fn is_why(&self, environment: &Environment, id: &InstanceId) -> Result<bool, RuntimeError> {
        Ok(self.ended_within(environment, id, NOTICED_WITHIN).await?.is_some())
    }

    async fn ended_within(
        &self,
        environment: &Environment,
        id: &InstanceId,
        patience: Duration,
    ) -> Result<Option<String>, RuntimeError> {
        let since = Instant::now();
        loop {
            let status = environment.runtime().status(id).await?;
            let kills = oom_kills(environment, id) - self.oom_kills;
            if status.pid != self.pid && !environment.held_down().contains(id) {
                let now = if status.pid.is_some() { "another process runs by now" } else { "it is down" };
                let how = match (kills, status.state) {
                    (1.., _) => format!("killed by the kernel for want of memory {kills} times, {now}"),
                    (_, State::Exited { code, .. }) => format!("its process ended with code {code}"),
                    _ => format!("its process ended, {now}"),
                };
                return Ok(Some(how));
            }
            // A kill may be told before the end that it brings.
            let patience = if kills > 0 { NOTICED_WITHIN } else { patience };
            if since.elapsed() >= patience {
                return Ok(None);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether it ended, and nothing runs in its place.
    pub(super) async fn is_down(&self, environment: &Environment, id: &InstanceId) -> bool {
        // One that cannot be asked is gone for good.
        let status = environment.runtime().status(id).await;
        self.pid.is_some() && status.is_ok_and(|status| matches!(status.state, State::Exited { .. }))
    }
}

fn oom_kills(environment: &Environment, id: &InstanceId) -> u64 {
    environment.runtime().resources().map_or(0, |resources| resources.oom_kills(id))
}

/// Stops all of them at once.
///
/// # Errors
/// The first failure; the others are stopped then.
pub(super) async fn stop_all(environment: &Environment, ids: &[InstanceId]) -> Result<(), FaultError> {
    let stops = ids.iter().map(|id| async move {
        environment.runtime().stop(id, environment.grace(&id.service)).await?;
        environment.point_links_to(id).await
    });
    Ok(first_error(join_all(stops).await)?)
}

/// Starts all of them again that nobody holds down; those that run are left alone.
///
/// # Errors
/// The first failure; the others run then.
pub(super) async fn start_all<'a>(
    environment: &Environment,
    ids: impl IntoIterator<Item = &'a InstanceId>,
) -> Result<(), FaultError> {
    let free = ids.into_iter().filter(|id| !environment.held_down().contains(id));
    let starts = free.map(|id| async move {
        environment.runtime().start_again(id).await?;
        environment.point_links_to(id).await
    });
    Ok(first_error(join_all(starts).await)?)
}

fn first_error(results: Vec<Result<(), RuntimeError>>) -> Result<(), RuntimeError> {
    results.into_iter().collect()
}

/// Attests that every instance is in a state that `wanted` accepts; `words` says which that is.
pub(super) async fn attest_states(
    environment: &Environment,
    ids: impl Iterator<Item = &InstanceId> + Send,
    words: &str,
    wanted: impl Fn(State) -> bool + Send,
) -> Attestation {
    let mut count = 0;
    for id in ids {
        match environment.runtime().status(id).await {
            Ok(status) if wanted(status.state) => count += 1,
            Ok(status) => return Attestation::not_shown(format!("{id} is {:?}", status.state)),
            Err(error) => return Attestation::not_shown(error.to_string()),
        }
    }
    Attestation::shown(format!("{count} instance(s) {words}"))
}

/// Attests that every instance is down.
pub(super) async fn attest_down(
    environment: &Environment,
    ids: impl Iterator<Item = &InstanceId> + Send,
) -> Attestation {
    attest_states(environment, ids, "are down", |state| matches!(state, State::Exited { .. })).await
}

/// Attests that every instance runs that nothing else holds down or still.
pub(super) async fn attest_up(environment: &Environment, ids: impl Iterator<Item = &InstanceId> + Send) -> Attestation {
    let (held, free): (Vec<_>, Vec<_>) = ids.partition(|id| environment.held_down().contains(id));
    let run = attest_states(environment, free.into_iter(), "run", |state| state == State::Running).await;
    if !run.shown || held.is_empty() {
        return run;
    }
    Attestation::shown(format!("{}, {} held down by another fault", run.looked_at, held.len()))
}
