//! Our own connection to the engine.

use bollard::Docker;

use crate::runtime::RuntimeError;

/// Connects to `DOCKER_HOST` or the local socket, and settles on an API version that both sides speak.
pub(super) async fn connect() -> Result<Docker, RuntimeError> {
    let endpoint = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "the local socket".to_owned());
    let no_engine = |error: bollard::errors::Error| RuntimeError::NoEngine {
        endpoint: endpoint.clone(),
        reason: innermost(&error),
    };
    let docker = Docker::connect_with_defaults().map_err(no_engine)?;
    docker.negotiate_version().await.map_err(no_engine)
}

/// An [`RuntimeError::Engine`] for `action`, to be used with `map_err`.
pub(super) fn engine<E: std::error::Error>(action: impl Into<String>) -> impl FnOnce(E) -> RuntimeError {
    let action = action.into();
    move |error| RuntimeError::Engine { action, reason: error.to_string() }
}

/// What the system said, below the layers of the HTTP client.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The status that the engine answered with, if it answered.
pub(super) fn status_code(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}
