//! Asks from within the network of a target.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

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

/// `service` asks the engine's name server for `localhost`; any answer will do.
pub(crate) async fn ask_name(environment: &Environment, service: &str, within: Duration) -> Result<(), ErrorKind> {
    let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09localhost\x00\x00\x01\x00\x01";
    let namespace = namespace(environment, service).await;
    let socket = namespace.run(|| UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    socket.set_read_timeout(Some(within)).unwrap();
    let asked = socket.connect("127.0.0.11:53").and_then(|()| socket.send(question));
    asked.and_then(|_| socket.recv(&mut [0; 512])).map(drop).map_err(|error| error.kind())
}
