//! Where the callee is, and how it is reached.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::net::{TcpSocket, TcpStream};

use super::socket;

/// How long an attempt may take before the next address is tried beside it: what RFC 8305 recommends.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Where a link connects on to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Upstream {
    /// An address.
    Addr(SocketAddr),
    /// A name and a port, `db.internal:5432`, looked up anew for every connection. Of several addresses the first that
    /// answers is taken (RFC 8305).
    Name(Arc<str>),
}

impl Upstream {
    /// Connects there.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        match self {
            Self::Addr(addr) => connect(*addr).await,
            Self::Name(name) => race(tokio::net::lookup_host(&**name).await?.collect()).await,
        }
    }
}

impl From<SocketAddr> for Upstream {
    fn from(addr: SocketAddr) -> Self {
        Self::Addr(addr)
    }
}

/// An address where the text is one, a name otherwise; a name that is none shows when it is dialled.
impl From<&str> for Upstream {
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.into()), Self::Addr)
    }
}

/// Connects to the first of `addrs` that answers: each is tried when the one before has failed, or has not answered
/// within [`ATTEMPT_DELAY`]; the families take turns (RFC 8305). When all fail, the first error tells.
async fn race(addrs: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = interleaved(addrs).into_iter();
    let mut attempts: FuturesUnordered<_> = waiting.next().map(connect).into_iter().collect();
    let mut failure = None;
    loop {
        let next = attempts.next();
        let answer = match waiting.len() {
            0 => Ok(next.await),
            _ => tokio::time::timeout(ATTEMPT_DELAY, next).await,
        };
        match answer {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(error))) => drop(failure.get_or_insert(error)),
            Ok(None) if waiting.len() == 0 => {
                return Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
            }
            Ok(None) | Err(_) => {}
        }
        attempts.extend(waiting.next().map(connect));
    }
}

/// In the same order, but the two families take turns, beginning with that of the first.
fn interleaved(addrs: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addrs.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addrs.into_iter().partition(|addr| addr.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::with_capacity(first.len() + second.len());
    while first.len() + second.len() > 0 {
        turns.extend(first.next());
        turns.extend(second.next());
    }
    turns
}

async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket::prepare(&socket);
    let stream = socket.connect(addr).await?;
    // Where nobody listens on a port of the ephemeral range, the kernel may connect a socket to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        socket::reset(&stream);
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// An address whose system answers no attempt to connect: its backlog is full. Holds what fills it.
    async fn black_hole() -> (SocketAddr, Vec<TcpSocket>, Vec<tokio::task::JoinHandle<()>>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = socket.local_addr().unwrap();
        socket2::SockRef::from(&socket).listen(0).unwrap();
        let mut fillers = Vec::new();
        loop {
            let answered = tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(addr)).await;
            let Ok(stream) = answered else { break };
            let stream = stream.unwrap();
            fillers.push(tokio::spawn(async move {
                let _open = stream;
                std::future::pending().await
            }));
        }
        (addr, vec![socket], fillers)
    }

    fn closed() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn dead_addresses_cost_a_fraction_of_a_second() {
        let (dead, _listener, _fillers) = black_hole().await;
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = server.local_addr().unwrap();
        let v6: SocketAddr = "[::1]:9".parse().unwrap();
        for (addrs, at_least, at_most) in [
            (vec![dead, good], 250, 1500),
            (vec![dead, dead, good], 500, 2000),
            (vec![closed(), v6, good], 0, 200),
            (vec![good, dead], 0, 200),
        ] {
            let begin = Instant::now();
            let stream = race(addrs.clone()).await.unwrap();
            let took = begin.elapsed().as_millis();
            assert_eq!(stream.peer_addr().unwrap(), good, "{addrs:?}");
            assert!((at_least..at_most).contains(&took), "{addrs:?}: {took} ms");
        }
    }

    #[tokio::test]
    async fn an_attempt_that_is_late_still_counts() {
        let (dead, _listener, fillers) = black_hole().await;
        let racing = tokio::spawn(race(vec![dead, closed(), closed()]));
        tokio::time::sleep(ATTEMPT_DELAY * 2).await;
        fillers.iter().for_each(tokio::task::JoinHandle::abort);
        // The system tries again 1 s and 3 s after its first attempt.
        let listener = _listener.into_iter().next().unwrap().listen(16).unwrap();
        tokio::spawn(async move {
            let mut accepted = Vec::new();
            loop {
                accepted.push(listener.accept().await);
            }
        });
        let stream = tokio::time::timeout(Duration::from_secs(10), racing).await.unwrap().unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), dead);
    }

    #[tokio::test]
    async fn the_first_failure_tells_and_no_address_is_one() {
        let refused = race(vec![closed(), closed()]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(race(Vec::new()).await.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn the_families_take_turns() {
        let addrs = |text: &str| text.split(' ').map(|addr| addr.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let given = addrs("[::1]:1 [::2]:1 [::3]:1 1.0.0.1:1 1.0.0.2:1");
        assert_eq!(interleaved(given), addrs("[::1]:1 1.0.0.1:1 [::2]:1 1.0.0.2:1 [::3]:1"));
    }
}
