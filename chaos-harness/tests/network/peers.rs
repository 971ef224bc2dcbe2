//! Who is served by the links between services: the containers of the environment, and nobody else.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;

use chaos_harness::environment::Environment;
use chaos_harness::prelude::*;
use chaos_harness_netns::Namespace;

use crate::common::inside::namespace;
use crate::common::{docker, start};
use crate::{SHORT, on_containers, three};

/// A user of this machine who is nobody else's.
const SECOND_USER: &str = "54321";

/// A container of somebody else, in a network of somebody else.
struct Stranger {
    name: String,
    namespace: Namespace,
}

impl Stranger {
    /// Runs what `like` runs.
    async fn start(environment: &Environment, like: &str) -> Self {
        let name = format!("a-stranger-{}", std::process::id());
        let label = format!("label=chaos-harness.instance={like}-1");
        let network = format!("network={}", environment.runtime().undo_log().environment());
        let image = docker(&["ps", "--filter", &label, "--filter", &network, "--format", "{{.Image}}"]);
        docker(&["network", "create", &name]);
        let run = ["run", "--detach", "--network", &name, "--name", &name, "--env", "LISTEN=0.0.0.0:8080"];
        docker(&[&run[..], &[image.trim(), "product"]].concat());
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &name]);
        let namespace = Namespace::of_process(pid.trim().parse().unwrap()).unwrap();
        Self { name, namespace }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.name]);
        docker(&["network", "rm", &self.name]);
    }
}

/// What is read back from where `link` is asked for the products, from within `namespace`, or from this machine.
fn ask(namespace: Option<&Namespace>, link: SocketAddr) -> Result<String, ErrorKind> {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&link, SHORT)?;
        stream.set_read_timeout(Some(SHORT * 4))?;
        // A reset may have come before this is written.
        let _ = stream.write_all(b"GET /products HTTP/1.1\r\nhost: product\r\nconnection: close\r\n\r\n");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    let answer = namespace.map_or_else(ask, |namespace| namespace.run(ask).unwrap());
    answer.map_err(|error: std::io::Error| error.kind())
}

/// The answer to a datagram, if there is one.
fn ask_over_udp(namespace: Option<&Namespace>, link: SocketAddr) -> Option<String> {
    let bind = || UdpSocket::bind("0.0.0.0:0").unwrap();
    let socket = namespace.map_or_else(bind, |namespace| namespace.run(bind).unwrap());
    socket.set_read_timeout(Some(SHORT)).unwrap();
    socket.send_to(b"tea-green", link).unwrap();
    let mut answer = [0; 1024];
    let (length, _) = socket.recv_from(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}

/// What a second user of this machine meets who connects: the shell's words.
fn ask_as_second_user(link: SocketAddr) -> String {
    let script = format!("exec 3<>/dev/tcp/{}/{}; head -c 1 <&3", link.ip(), link.port());
    let user = [format!("--reuid={SECOND_USER}"), format!("--regid={SECOND_USER}"), "--clear-groups".to_owned()];
    let output = Command::new("setpriv").args(user).args(["bash", "-c", &script]).output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// Another network's container reached a service of the environment through a link, which listens on the network's gateway.
#[test]
fn links_serve_the_environments_own_containers_alone() {
    on_containers(|kind| async move {
        let topology = three().link_over("inventory", "product", Protocol::Udp);
        let environment = start(kind, topology).await;
        let link = environment.links("inventory", "product")[0];
        let own = namespace(&environment, "inventory").await;
        assert!(ask(Some(&own), link.addr()).unwrap().starts_with("HTTP/1.1 200"));
        let answer = ask_over_udp(Some(&own), link.addr());
        assert!(answer.is_some(), "a caller of its own is answered");
        let before = (link.counters(), environment.udp_links("inventory", "product")[0].counters());

        let stranger = Stranger::start(&environment, "product").await;
        assert_eq!(ask(Some(&stranger.namespace), link.addr()), Err(ErrorKind::ConnectionReset));
        assert_eq!(ask_over_udp(Some(&stranger.namespace), link.addr()), None);
        assert_eq!(ask(None, link.addr()), Err(ErrorKind::ConnectionReset));
        assert_eq!(ask_over_udp(None, link.addr()), None);
        let met = ask_as_second_user(link.addr());
        assert!(met.contains("reset by peer"), "{met}");

        let after = (link.counters(), environment.udp_links("inventory", "product")[0].counters());
        let (tcp, udp) = (after.0.since(&before.0), after.1.since(&before.1));
        assert_eq!((tcp.refused_peers, udp.refused_peers), (3, 2));
        assert_eq!((tcp.accepted, tcp.bytes_up, udp.datagrams_up), (0, 0, 0), "nothing is forwarded");
        assert!(ask(Some(&own), link.addr()).is_ok());
        environment.destroy().await.unwrap();
    });
}
