//! Where a proxy listens: toxiproxy's notation, and what is wrong with it in Go's words.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// An address that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no port, or more than one.
    #[error("address {0}: {1}")]
    Malformed(String, &'static str),
    /// The port is no number.
    #[error("lookup tcp/{0}: unknown port")]
    UnknownPort(String),
    /// There is no such host.
    #[error("lookup {0}: no such host")]
    NoSuchHost(String),
}

/// How long to look for a host.
const PATIENCE: Duration = Duration::from_secs(5);

/// The address that `listen` means: `127.0.0.1:80`, `localhost:80`, `[::]:80`. Without a host it is loopback,
/// without a port a free one.
pub(super) async fn resolve(listen: &str) -> Result<SocketAddr, AddressError> {
    let (host, port) = split(listen)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok((ip, port).into());
    }
    let found = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, port))).await;
    let addresses: Vec<_> = found.ok().and_then(Result::ok).into_iter().flatten().collect();
    let address = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    address.copied().ok_or_else(|| AddressError::NoSuchHost(host.to_owned()))
}

fn split(listen: &str) -> Result<(&str, u16), AddressError> {
    if listen.is_empty() {
        return Ok(("", 0));
    }
    let malformed = |address: &str, problem| AddressError::Malformed(address.to_owned(), problem);
    let (host, port) = listen.rsplit_once(':').ok_or_else(|| malformed(listen, "missing port in address"))?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if !bracketed && host.contains([':', '[', ']']) {
        let problem = if host.starts_with('[') { "missing port in address" } else { "too many colons in address" };
        return Err(malformed(listen, problem));
    }
    match port.parse() {
        Ok(number) => Ok((host, number)),
        Err(_) if port.is_empty() => Ok((host, 0)),
        Err(_) if port.parse::<i128>().is_ok() => Err(malformed(port, "invalid port")),
        Err(_) => Err(AddressError::UnknownPort(port.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("127.0.0.1:80", "127.0.0.1:80")]
    #[case("0.0.0.0:80", "0.0.0.0:80")]
    #[case("[::]:80", "[::]:80")]
    #[case("[::1]:", "[::1]:0")]
    #[case("localhost:80", "127.0.0.1:80")]
    #[case(":80", "127.0.0.1:80")]
    #[case("", "127.0.0.1:0")]
    #[tokio::test]
    async fn addresses_are_understood(#[case] listen: &str, #[case] means: &str) {
        assert_eq!(resolve(listen).await.map(|address| address.to_string()), Ok(means.to_owned()));
    }

    /// What Go 1.27 says to the same.
    #[rstest]
    #[case("foo", "address foo: missing port in address")]
    #[case("127.0.0.1:99999", "address 99999: invalid port")]
    #[case("127.0.0.1:-1", "address -1: invalid port")]
    #[case("127.0.0.1:abc", "lookup tcp/abc: unknown port")]
    #[case("::1:0", "address ::1:0: too many colons in address")]
    #[case("[::1]", "address [::1]: missing port in address")]
    #[tokio::test]
    async fn nonsense_is_named(#[case] listen: &str, #[case] problem: &str) {
        assert_eq!(resolve(listen).await.unwrap_err().to_string(), problem);
    }
}
