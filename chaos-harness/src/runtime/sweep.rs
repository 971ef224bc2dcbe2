//! Finds and removes what dead test processes left behind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RuntimeError;

/// Something that carries the harness's labels and whose owner is gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Leftover {
    /// `container`, `network` ...
    pub what: String,
    /// Its name.
    pub name: String,
}

impl Leftover {
    #[cfg(feature = "docker")]
    pub(super) fn new(what: &str, name: String) -> Self {
        Self { what: what.to_owned(), name }
    }
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.what, self.name)
    }
}

/// Finds what dead test processes left on this machine, and removes it unless `check` is set. Children
/// of the process runtime die with their test process; containers and networks do not.
///
/// Without an engine there is nothing to find.
///
/// # Errors
/// When the engine refuses; what could be removed is gone.
pub async fn sweep(check: bool) -> Result<Vec<Leftover>, RuntimeError> {
    #[cfg(feature = "docker")]
    match super::docker::sweep(check).await {
        Err(RuntimeError::NoEngine { .. }) => {}
        other => return other,
    }
    #[cfg(not(feature = "docker"))]
    let _ = check;
    Ok(Vec::new())
}
