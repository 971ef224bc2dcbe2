//! What the steps of an undo log may touch.

use std::path::PathBuf;

use crate::runtime::RuntimeError;
use crate::safety::AllowList;

/// The environment of a log, and the containers that may be touched besides.
///
/// A log is a file: what it names is looked at before it is touched, even where nobody but this user can have written it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) environment: String,
    pub(crate) allowed: AllowList,
}

impl Scope {
    /// The environment with the allow-list that holds for this process; an empty one where that is refused.
    pub(super) fn of(environment: &str) -> Self {
        let allowed = AllowList::current().cloned().unwrap_or_default();
        Self { environment: environment.to_owned(), allowed }
    }

    /// Why a step is not taken that names `target`.
    pub(crate) fn refusal(&self, target: impl Into<String>) -> RuntimeError {
        let (target, environment) = (target.into(), self.environment.clone());
        RuntimeError::NotOfEnvironment { target, environment, file: self.file() }
    }

    fn file(&self) -> PathBuf {
        self.allowed.file()
    }
}
