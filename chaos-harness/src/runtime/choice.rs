//! Which runtime a test gets, and why.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EnvironmentId, Runtime, RuntimeError, RuntimeKind};
use crate::variables;

/// What was asked for: `CHAOS_RUNTIME`, or the `runtime` argument of a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuntimeChoice {
    /// Docker where an engine answers, else processes.
    #[default]
    Auto,
    /// This one or an error.
    Only(RuntimeKind),
}

/// Which runtime was taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// The runtime.
    pub kind: RuntimeKind,
    /// Why this one, for people.
    pub reason: String,
}

impl FromStr for RuntimeChoice {
    type Err = RuntimeError;

    fn from_str(text: &str) -> Result<Self, RuntimeError> {
        match text {
            "auto" | "" => Ok(Self::Auto),
            "docker" => Ok(Self::Only(RuntimeKind::Docker)),
            "process" => Ok(Self::Only(RuntimeKind::Process)),
            other => Err(RuntimeError::UnknownRuntime { given: other.to_owned() }),
        }
    }
}

impl RuntimeChoice {
    /// Reads `CHAOS_RUNTIME`; `auto` when it is not set.
    ///
    /// # Errors
    /// An unknown name, or what is no text.
    pub fn from_environment() -> Result<Self, RuntimeError> {
        variables::text("CHAOS_RUNTIME")?.unwrap_or_default().parse()
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind, self.reason)
    }
}

/// Opens an environment on the runtime that `wanted` names. Asking for docker where no engine
/// answers is an error, never a fallback.
///
/// # Errors
/// No engine, or no network to be had.
pub async fn choose(wanted: RuntimeChoice, id: &EnvironmentId) -> Result<(Box<dyn Runtime>, Choice), RuntimeError> {
    match wanted {
        RuntimeChoice::Only(RuntimeKind::Process) => process(id, "asked for".to_owned()).await,
        RuntimeChoice::Only(RuntimeKind::Docker) => docker(id, "asked for").await,
        RuntimeChoice::Auto => match docker(id, "an engine answers").await {
            Err(
                error @ (RuntimeError::NoEngine { .. }
                | RuntimeError::EngineAddress(_)
                | RuntimeError::NotBuilt
                | RuntimeError::RemoteEngine { .. }),
            ) => process(id, error.to_string()).await,
            other => other,
        },
    }
}

async fn process(id: &EnvironmentId, reason: String) -> Result<(Box<dyn Runtime>, Choice), RuntimeError> {
    let runtime = super::process::ProcessRuntime::open(id)?;
    Ok((Box::new(runtime), Choice { kind: RuntimeKind::Process, reason }))
}

#[cfg(feature = "docker")]
async fn docker(id: &EnvironmentId, reason: &str) -> Result<(Box<dyn Runtime>, Choice), RuntimeError> {
    let runtime = super::docker::DockerRuntime::open(id).await?;
    Ok((Box::new(runtime), Choice { kind: RuntimeKind::Docker, reason: reason.to_owned() }))
}

#[cfg(not(feature = "docker"))]
async fn docker(_: &EnvironmentId, _: &str) -> Result<(Box<dyn Runtime>, Choice), RuntimeError> {
    Err(RuntimeError::NotBuilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_one_of_three_words() {
        assert_eq!("auto".parse::<RuntimeChoice>().unwrap(), RuntimeChoice::Auto);
        assert_eq!("docker".parse::<RuntimeChoice>().unwrap(), RuntimeChoice::Only(RuntimeKind::Docker));
        let message = "podman".parse::<RuntimeChoice>().unwrap_err().to_string();
        assert_eq!(message, "`podman` is no runtime; set CHAOS_RUNTIME to auto, docker or process");
    }
}
