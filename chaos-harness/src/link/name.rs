//! What a link is called.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The services that a link joins, whatever their instances. Written `order -> inventory`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct LinkName {
    /// Who calls; `users` for the load.
    pub caller: String,
    /// Who is called.
    pub callee: String,
}

impl LinkName {
    /// The link from `caller` to `callee`.
    pub fn new(caller: impl Into<String>, callee: impl Into<String>) -> Self {
        Self { caller: caller.into(), callee: callee.into() }
    }
}

impl std::fmt::Display for LinkName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} -> {}", self.caller, self.callee)
    }
}
