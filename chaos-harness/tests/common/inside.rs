//! Asks from within the network of a target.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use chaos_harness::environment::Environment;
use chaos_harness::runtime::Capability;
use chaos_harness::topology::InstanceId;
use chaos_harness_netns::Namespace;

/// Whether this process may enter the networks of targets.
pub(crate) fn may_enter() -> bool {
    Namespace::fresh().is_ok()
}

/// The network of the first instance of `service`.
pub(crate) async fn namespace(environment: &Environment, service: &str) -> Namespace {
    let status = environment.runtime().status(&InstanceId::new(service, 1)).await.unwrap();
    Namespace::of_process(status.pid.unwrap()).unwrap()
}

/// `caller` asks `address` for its products and reads the answer to its end.
pub(crate) async fn get(
    environment: &Environment,
    caller: &str,
    address: SocketAddr,
    within: Duration,
) -> std::io::Result<String> {
    let ask = move || {
        let mut stream = TcpStream::connect_timeout(&address, within)?;
        stream.set_read_timeout(Some(within))?;
        stream.write_all(b"GET /products HTTP/1.1\r\nhost: product\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    if !environment.runtime().capabilities().contains(&Capability::NetworkNamespace) {
        return tokio::task::spawn_blocking(ask).await.unwrap();
    }
    let namespace = namespace(environment, caller).await;
    tokio::task::spawn_blocking(move || namespace.run(ask).unwrap()).await.unwrap()
}

/// A socket for datagrams where `caller` runs.
pub(crate) async fn socket(environment: &Environment, caller: &str, link: SocketAddr) -> tokio::net::UdpSocket {
    if !environment.runtime().capabilities().contains(&Capability::NetworkNamespace) {
        return tokio::net::UdpSocket::bind((link.ip(), 0)).await.unwrap();
    }
    let socket = namespace(environment, caller).await.run(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    tokio::net::UdpSocket::from_std(socket).unwrap()
}

/// `service` asks the engine's name server for `localhost`; any answer will do.
pub(crate) async fn ask_name(environment: &Environment, service: &str, within: Duration) -> Result<(), ErrorKind> {
    let namespace = namespace(environment, service).await;
    tokio::task::spawn_blocking(move || ask(&namespace, "localhost", within).map(drop)).await.unwrap()
}

/// The answer of the engine's name server to who asks for the address of `name` in `namespace`.
pub(crate) fn ask(namespace: &Namespace, name: &str, within: Duration) -> Result<Vec<u8>, ErrorKind> {
    let label = |label: &str| [&[label.len() as u8], label.as_bytes()].concat();
    let name: Vec<u8> = name.split('.').flat_map(label).collect();
    let question = [b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", &name[..], b"\x00\x00\x01\x00\x01"].concat();
    let socket = namespace.run(|| UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    socket.set_read_timeout(Some(within)).unwrap();
    let mut answer = vec![0; 512];
    let asked = socket.connect("127.0.0.11:53").and_then(|()| socket.send(&question));
    let length = asked.and_then(|_| socket.recv(&mut answer)).map_err(|error| error.kind())?;
    Ok(answer[..length].to_vec())
}

/// How long it takes to find the address of `name`: the shortest of some times, since a machine that is busy for a moment
/// is nobody's delay.
pub(crate) fn time_to_find(namespace: &Namespace, name: &str) -> Duration {
    let one = || {
        let asked = Instant::now();
        let answer = ask(namespace, name, Duration::from_secs(5)).unwrap();
        let (errors, answers) = (answer[3] & 15, u16::from_be_bytes([answer[6], answer[7]]));
        assert_eq!((errors, answers), (0, 1), "{name} is found");
        asked.elapsed()
    };
    std::iter::repeat_with(one).take(9).min().unwrap()
}
