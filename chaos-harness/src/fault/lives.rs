//! Stopping and starting instances, for the faults that do.

use std::time::Duration;

use futures::future::join_all;

use super::FaultError;
use crate::environment::Environment;
use crate::runtime::RuntimeError;
use crate::topology::InstanceId;

/// How long a service may take to shut down before it is killed.
pub(super) const GRACE: Duration = Duration::from_secs(2);

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

/// Starts all of them again; those that run are left alone.
///
/// # Errors
/// The first failure; the others run then.
pub(super) async fn start_all<'a>(
    environment: &Environment,
    ids: impl IntoIterator<Item = &'a InstanceId>,
) -> Result<(), FaultError> {
    let starts = ids.into_iter().map(|id| async move {
        environment.runtime().start_again(id).await?;
        environment.point_links_to(id).await
    });
    Ok(first_error(join_all(starts).await)?)
}

fn first_error(results: Vec<Result<(), RuntimeError>>) -> Result<(), RuntimeError> {
    results.into_iter().collect()
}
