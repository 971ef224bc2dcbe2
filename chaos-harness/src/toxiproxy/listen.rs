//! Where a proxy listens: toxiproxy's notation, and what is wrong with it in Go's words.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
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

/// Where `listen` leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) addr: SocketAddr,
    /// Toxiproxy would listen on every interface, and this is loopback alone.
    pub(super) narrowed: bool,
}

/// The address that `listen` means: `127.0.0.1:80`, `localhost:80`, `[::]:80`, without a port a free one.
///
/// Without a host (`:80`, ``) it is every interface if `every_interface`, and loopback otherwise.
pub(super) async fn resolve(listen: &str, every_interface: bool) -> Result<Place, AddressError> {
    let (host, port) = split(listen)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let place = |addr| Place { addr, narrowed: false };
    if host.is_empty() {
        return Ok(match every_interface {
            true => place(wildcard(port)),
            false => Place { addr: (Ipv4Addr::LOCALHOST, port).into(), narrowed: true },
        });
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(place(if ip.is_unspecified() { wildcard(port) } else { (ip, port).into() }));
    }
    let found = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, port))).await;
    let addresses: Vec<_> = found.ok().and_then(Result::ok).into_iter().flatten().collect();
    let address = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    address.copied().map(place).ok_or_else(|| AddressError::NoSuchHost(host.to_owned()))
}

/// Every interface, over both families where the system has both, as Go has it.
pub fn wildcard(port: u16) -> SocketAddr {
    let both = std::net::TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
    let ip: IpAddr = if both { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    (ip, port).into()
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
    #[case("[::1]:", "[::1]:0")]
    #[case("localhost:80", "127.0.0.1:80")]
    #[case("localhost:0", "127.0.0.1:0")]
    #[tokio::test]
    async fn addresses_are_understood(#[case] listen: &str, #[case] means: &str) {
        for every_interface in [false, true] {
            let place = Place { addr: means.parse().unwrap(), narrowed: false };
            assert_eq!(resolve(listen, every_interface).await, Ok(place));
        }
    }

    /// What Go listens on, or what is listened on unless every interface is asked for.
    #[rstest]
    #[case("0.0.0.0:80", 80, None)]
    #[case("[::]:80", 80, None)]
    #[case("0.0.0.0:", 0, None)]
    #[case(":80", 80, Some("127.0.0.1:80"))]
    #[case(":0", 0, Some("127.0.0.1:0"))]
    #[case(":", 0, Some("127.0.0.1:0"))]
    #[case("", 0, Some("127.0.0.1:0"))]
    #[tokio::test]
    async fn every_interface_is_what_it_is_in_go(
        #[case] listen: &str,
        #[case] port: u16,
        #[case] narrow: Option<&str>,
    ) {
        let every = Place { addr: wildcard(port), narrowed: false };
        assert_eq!(resolve(listen, true).await, Ok(every));
        let narrow = narrow.map(|addr| Place { addr: addr.parse().unwrap(), narrowed: true });
        assert_eq!(resolve(listen, false).await, Ok(narrow.unwrap_or(every)));
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
        assert_eq!(resolve(listen, true).await.unwrap_err().to_string(), problem);
    }
}
