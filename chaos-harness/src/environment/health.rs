//! Waits for an instance to be healthy.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::EnvironmentError;
use crate::runtime::{InstanceSpec, Runtime, State};
use crate::topology::Health;

/// One check may take this long; a service that hangs is asked again.
const ONE_CHECK: Duration = Duration::from_secs(2);
/// Between checks: short at first, since most services take milliseconds.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How many characters of an answer an error shows.
const SHOWN: usize = 160;
/// How much of its log an error shows.
const LOG_LINES: usize = 20;

/// Returns when the instance is healthy, asked directly and not through a link.
pub(super) async fn wait(runtime: &dyn Runtime, spec: &InstanceSpec) -> Result<(), EnvironmentError> {
    let started = Instant::now();
    let within = spec.service.health.within();
    // The same client and the same statuses as for `Probe::health`: healthy means one thing.
    let client = crate::load::http_client().timeout(ONE_CHECK).build();
    let client = client.map_err(|error| crate::runtime::RuntimeError::Io {
        action: "make an HTTP client".to_owned(),
        source: std::io::Error::other(error),
    })?;
    let mut pause = FIRST_PAUSE;
    loop {
        let status = runtime.status(&spec.id).await?;
        if let State::Exited { code, .. } = status.state
            && !spec.service.restart.restarts_after(code, status.restarts)
        {
            let log = runtime.logs(&spec.id, LOG_LINES).await.unwrap_or_default();
            return Err(EnvironmentError::Ended { instance: spec.id.clone(), code, log });
        }
        let last = match status.address {
            Some(address) => check(&client, &spec.service.health, address).await,
            None => Err("it is not running".to_owned()),
        };
        let Err(last) = last else { return Ok(()) };
        if started.elapsed() > within {
            let log = runtime.logs(&spec.id, LOG_LINES).await.unwrap_or_default();
            return Err(EnvironmentError::Unhealthy { instance: spec.id.clone(), within, last, log });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One check; the error says what was seen.
async fn check(client: &reqwest::Client, health: &Health, address: SocketAddr) -> Result<(), String> {
    match health {
        Health::Tcp { .. } => match tokio::time::timeout(ONE_CHECK, TcpStream::connect(address)).await {
            Ok(connected) => connected.map(drop).map_err(|error| format!("connecting to {address}: {error}")),
            Err(_) => Err(format!("connecting to {address} took longer than 2s")),
        },
        Health::Http { path, .. } => {
            let response = client.get(format!("http://{address}{path}")).send().await;
            let response =
                response.map_err(|error| format!("no answer from {address}{path}: {}", innermost(&error)))?;
            let status = response.status();
            if status.is_success() {
                return Ok(());
            }
            let said = response.text().await.unwrap_or_default();
            let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect();
            Err(format!("{path} answered {status}{}{said}", if said.is_empty() { "" } else { ": " }))
        }
    }
}

/// What the system said, below the layers of the HTTP client.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
