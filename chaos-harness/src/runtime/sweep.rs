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
    let found = process::sweep(check);
    #[cfg(feature = "docker")]
    let found = match super::docker::sweep(check).await {
        Ok(more) => found.into_iter().chain(more).collect(),
        Err(RuntimeError::NoEngine { .. }) => found,
        Err(error) => return Err(error),
    };
    Ok(found)
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
