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
    failed.into_iter().next().map_or(Ok(found), Err)
}

/// The same; what was found, and what could not be removed of it.
pub(crate) async fn sweep_all(check: bool) -> (Vec<Leftover>, Vec<RuntimeError>) {
    let (found, failed) = process::sweep(check);
    let (at_engine, failed_there) = sweep_engine(check).await;
    ([found, at_engine].concat(), failed.into_iter().chain(failed_there).collect())
}

#[cfg(feature = "docker")]
async fn sweep_engine(check: bool) -> (Vec<Leftover>, Option<RuntimeError>) {
    match super::docker::sweep(check).await {
        Ok(swept) => swept,
        Err(RuntimeError::NoEngine { .. }) => (Vec::new(), None),
        Err(error) => (Vec::new(), Some(error)),
    }
}

#[cfg(not(feature = "docker"))]
async fn sweep_engine(_: bool) -> (Vec<Leftover>, Option<RuntimeError>) {
    (Vec::new(), None)
}

/// An image that the harness has made of a binary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct OwnImage {
    /// Its name, with the tag.
    pub name: String,
    /// How much it takes, together with what it shares with others.
    pub bytes: u64,
}

/// Finds the images that the harness has made of binaries and that no container uses, and removes them unless `check` is
/// set; the next run makes those anew that it needs. Only images with the label `chaos-harness.image` count. It is for
/// when no test runs: one may be about to start a container.
///
/// # Errors
/// No engine answers, or it refuses; what could be removed is gone.
#[cfg(feature = "docker")]
pub async fn remove_unused_images(check: bool) -> Result<Vec<OwnImage>, RuntimeError> {
    super::docker::remove_unused_images(check).await
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

/// The same on every runtime, where nobody knows which it was. Without an engine nothing is there.
pub(crate) async fn remove_everywhere(environment: &str) -> Result<(), RuntimeError> {
    process::remove_environment(environment).await?;
    match remove_environment(RuntimeKind::Docker, environment).await {
        Err(RuntimeError::NoEngine { .. } | RuntimeError::NotBuilt) => Ok(()),
        other => other,
    }
}
