//! A listener of its own for the control endpoint.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::TcpListener;
use tower_service::Service;

use crate::control::ChaosControl;
use crate::endpoint::ControlEndpoint;
use crate::wire::CONTROL_LISTEN;

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two attempts to accept while the process has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no control endpoint.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The variable does not hold an address.
    #[error("{CONTROL_LISTEN} is {value:?}; use a socket address such as 127.0.0.1:9100, or a port for loopback")]
    NoAddress {
        /// As given.
        value: String,
    },
    /// The address cannot be bound.
    #[error("the chaos control endpoint cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

impl ChaosControl {
    /// Serves the [control endpoint](ControlEndpoint) where the environment variable `CHAOS_CONTROL_LISTEN` says: a
    /// socket address, or a port alone, which means loopback. Without that variable nothing is bound, and unless the
    /// process itself puts a rule in force, every layer stays off. Returns the address.
    ///
    /// Whoever reaches that address can break the service: it belongs into test environments alone.
    ///
    /// # Errors
    /// A value that is no address, and an address that cannot be bound.
    pub async fn listen_from_env(&self) -> Result<Option<SocketAddr>, ListenError> {
        let Some(value) = std::env::var_os(CONTROL_LISTEN).filter(|value| !value.is_empty()) else { return Ok(None) };
        let value = value.to_string_lossy();
        let address = parse(&value).ok_or_else(|| ListenError::NoAddress { value: value.clone().into_owned() })?;
        self.listen(address).await.map(Some)
    }

    /// Serves the [control endpoint](ControlEndpoint) on `address` for as long as the tokio runtime runs. Returns the
    /// address, with the port that was taken for port 0.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub async fn listen(&self, address: SocketAddr) -> Result<SocketAddr, ListenError> {
        let bind = |source| ListenError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let bound = listener.local_addr().map_err(bind)?;
        tokio::spawn(serve(listener, ControlEndpoint::new(self.clone())));
        Ok(bound)
    }
}

fn parse(value: &str) -> Option<SocketAddr> {
    let port = || value.strip_prefix(':').unwrap_or(value).parse::<u16>().ok();
    value.parse().ok().or_else(|| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port()?))))
}

async fn serve(listener: TcpListener, endpoint: ControlEndpoint) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let endpoint = endpoint.clone();
        let service = service_fn(move |request| endpoint.clone().call(request));
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        // How a connection ends is the client's affair.
        tokio::spawn(async move { server.serve_connection(TokioIo::new(stream), service).await });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_means_loopback() {
        for (value, expected) in [
            ("9100", Some("127.0.0.1:9100")),
            (":9100", Some("127.0.0.1:9100")),
            ("0.0.0.0:9100", Some("0.0.0.0:9100")),
            ("[::1]:9100", Some("[::1]:9100")),
            ("localhost", None),
            ("70000", None),
            ("yes", None),
        ] {
            assert_eq!(parse(value).map(|address| address.to_string()).as_deref(), expected, "{value}");
        }
    }
}
