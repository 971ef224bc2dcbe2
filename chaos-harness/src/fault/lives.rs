//! Stopping and starting instances, for the faults that do.

use futures::future::join_all;

use super::{Attestation, FaultError};
use crate::environment::{Environment, GRACE};
use crate::runtime::{RuntimeError, State};
use crate::topology::InstanceId;

/// How [`stop_all`] stops, for the journal.
pub(super) fn how_stopped() -> String {
    format!("SIGTERM, SIGKILL after {}", humantime::format_duration(GRACE))
}

/// Stops all of them at once.
///
/// # Errors
/// The first failure; the others are stopped then.
pub(super) async fn stop_all(environment: &Environment, ids: &[InstanceId]) -> Result<(), FaultError> {
    let stops = ids.iter().map(|id| async move {
        environment.runtime().stop(id, GRACE).await?;
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
