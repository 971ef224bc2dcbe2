//! Finds and removes what dead test processes left behind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RuntimeError, RuntimeKind, process};

/// Something that carries the harness's labels and whose owner is gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Leftover {
    /// `container`, `network`, `process` ...
    pub what: String,
    /// Its name.
    pub name: String,
}

impl Leftover {
    pub(crate) fn new(what: &str, name: String) -> Self {
        Self { what: what.to_owned(), name }
    }
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.what, self.name)
    }
}

/// Finds the containers, networks and processes that dead test processes left on this machine, and removes them
/// unless `check` is set. Without an engine there are no containers to find.
///
/// # Errors
/// When the engine refuses; what could be removed is gone.
pub async fn sweep(check: bool) -> Result<Vec<Leftover>, RuntimeError> {
    let (found, failed) = sweep_all(check).await;
    failed.map_or(Ok(found), Err)
}

/// The same; what was found, and what could not be removed of it.
pub(crate) async fn sweep_all(check: bool) -> (Vec<Leftover>, Option<RuntimeError>) {
    let (mut found, mut failed) = (process::sweep(check), None);
    #[cfg(feature = "docker")]
    match super::docker::sweep(check).await {
        Ok((more, error)) => {
            found.extend(more);
            failed = error;
        }
        Err(RuntimeError::NoEngine { .. }) => {}
        Err(error) => failed = Some(error),
    }
    (found, failed)
}

/// Takes away all that carries the marks of process `owner`, whichever environment it is of. Without an engine that is
/// an error only when there is something `on_engine`.
pub(crate) async fn remove_of_owner(owner: &str, on_engine: bool) -> Result<(), RuntimeError> {
    process::remove_of_owner(owner).await?;
    #[cfg(feature = "docker")]
    match super::docker::remove_of_owner(owner, on_engine).await {
        Err(RuntimeError::NoEngine { .. }) if !on_engine => {}
        other => other?,
    }
    #[cfg(not(feature = "docker"))]
    let _ = on_engine;
    Ok(())
}

/// Takes away all that carries the name of `environment`; nothing there is fine. May be called by another process than
/// the one that made it.
pub(crate) async fn remove_environment(runtime: RuntimeKind, environment: &str) -> Result<(), RuntimeError> {
    match runtime {
        RuntimeKind::Process => process::remove_environment(environment).await,
        #[cfg(feature = "docker")]
        RuntimeKind::Docker => super::docker::remove_environment(environment).await,
        #[cfg(not(feature = "docker"))]
        RuntimeKind::Docker => Err(RuntimeError::NotBuilt),
    }
}
