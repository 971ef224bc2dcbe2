//! Our own connection to the engine.

use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use bollard::{API_DEFAULT_VERSION, Docker};
use parking_lot::Mutex;

use super::endpoint::{self, Address, Endpoint, Source, Surroundings};
use super::tls;
use crate::progress;
use crate::runtime::{EngineAddressError, RuntimeError};

/// How long a request may take, in seconds.
const TIMEOUT: u64 = 120;
/// How long an engine may take for the first answer: an address where nobody is may swallow what is sent to it.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);

/// Connects to the engine that the docker CLI would take, and settles on an API version that both sides speak.
pub(super) async fn connect() -> Result<Docker, RuntimeError> {
    connect_to(&of_this_process()?).await
}

/// Found once: what was begun at one engine is ended there, whatever context is chosen meanwhile.
fn of_this_process() -> Result<Endpoint, EngineAddressError> {
    static FOUND: Mutex<Option<Endpoint>> = Mutex::new(None);
    let mut found = FOUND.lock();
    if let Some(endpoint) = &*found {
        return Ok(endpoint.clone());
    }
    let endpoint = endpoint::resolve(&Surroundings::here())?;
    if endpoint.from == Source::Fallback {
        progress::print(&format!("docker engine: {endpoint}"));
    }
    *found = Some(endpoint.clone());
    Ok(endpoint)
}

pub(super) async fn connect_to(endpoint: &Endpoint) -> Result<Docker, RuntimeError> {
    let no_engine = |reason: String| RuntimeError::NoEngine { endpoint: endpoint.to_string(), reason };
    let docker = match &endpoint.address {
        Address::Unix(socket) => Docker::connect_with_unix(&socket.to_string_lossy(), TIMEOUT, API_DEFAULT_VERSION),
        Address::Tcp { authority, tls: None } => {
            Docker::connect_with_http(&format!("tcp://{authority}"), TIMEOUT, API_DEFAULT_VERSION)
        }
        Address::Tcp { authority, tls: Some(tls) } => Ok(tls::client(authority, tls, TIMEOUT)?),
    };
    let docker = docker.map_err(|error| no_engine(innermost(&error)))?;
    match tokio::time::timeout(ANSWERS_WITHIN, docker.negotiate_version()).await {
        Ok(negotiated) => negotiated.map_err(|error| no_engine(innermost(&error))),
        Err(_) => Err(no_engine(format!("no answer within {} s", ANSWERS_WITHIN.as_secs()))),
    }
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

/// What the engine says of a container, by its name or id; `None` when there is none.
pub(super) async fn find(
    docker: &Docker,
    container: &str,
) -> Result<Option<ContainerInspectResponse>, bollard::errors::Error> {
    match docker.inspect_container(container, None).await {
        Err(error) if status_code(&error) == Some(404) => Ok(None),
        other => other.map(Some),
    }
}

/// The status that the engine answered with, if it answered.
pub(super) fn status_code(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}
