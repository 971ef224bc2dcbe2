//! Real packets between real namespaces.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod filters;
mod names;
mod shaping;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::time::Duration;

use crate::{Action, Counted, Done, Job, Namespace, Packets, Rule, Rules, Transport, Way};

const HERE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// Two namespaces with a cable between them.
struct Pair {
    here: Namespace,
    there: Namespace,
}

impl Pair {
    /// `None`, visibly, where namespaces may not be made.
    fn new() -> Option<Self> {
        let (here, there) = match (Namespace::fresh(), Namespace::fresh()) {
            (Ok(here), Ok(there)) => (here, there),
            (Err(error), _) | (_, Err(error)) => {
                let line = format!("not run: no network namespace can be made ({error}); it takes root\n");
                std::io::stderr().lock().write_all(line.as_bytes()).unwrap();
                return None;
            }
        };
        let path = format!("/proc/{}/fd/{}", std::process::id(), there.as_fd().as_raw_fd());
        for namespace in [&here, &there] {
            // IPv6 would send packets of its own; a kernel without it has no such switch.
            let _ = namespace.run(|| std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")).unwrap();
        }
        ip(&here, &format!("link add cable type veth peer name cable netns {path}"));
        for (namespace, address) in [(&here, HERE), (&there, THERE)] {
            ip(namespace, "link set lo up");
            ip(namespace, &format!("address add {address}/24 dev cable"));
            ip(namespace, "link set cable up");
        }
        let pair = Self { here, there };
        pair.wait_for_carrier();
        Some(pair)
    }

    /// A new cable takes a moment to carry anything.
    fn wait_for_carrier(&self) {
        let (here, there) = self.sockets();
        there.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        for _ in 0..500 {
            let _ = here.send(b"x");
            if there.recv(&mut [0; 1]).is_ok() {
                return;
            }
        }
        panic!("the cable carries nothing");
    }

    fn perform(&self, job: &Job) -> Done {
        self.here.run(|| job.perform()).unwrap().unwrap()
    }

    fn apply(&self, table: &str, rules: Vec<Rule>) {
        self.perform(&Job::Apply(Rules { table: table.to_owned(), loopback: false, rules }));
    }

    fn remove(&self, table: &str) {
        self.perform(&Job::Remove { table: table.to_owned() });
    }

    fn count(&self, table: &str) -> Counted {
        match self.perform(&Job::Count { table: table.to_owned() }) {
            Done::Counted(counted) => counted,
            other => panic!("{other:?}"),
        }
    }

    /// One UDP socket on each side, connected to each other.
    fn sockets(&self) -> (UdpSocket, UdpSocket) {
        let bound = |namespace: &Namespace, address| namespace.run(|| UdpSocket::bind((address, 0)).unwrap()).unwrap();
        let (here, there) = (bound(&self.here, HERE), bound(&self.there, THERE));
        here.connect(there.local_addr().unwrap()).unwrap();
        there.connect(here.local_addr().unwrap()).unwrap();
        for socket in [&here, &there] {
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        }
        (here, there)
    }

    /// A port on the other side that answers.
    fn listener(&self) -> (TcpListener, SocketAddr) {
        let listener = self.there.run(|| TcpListener::bind((THERE, 0)).unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn connect(&self, to: SocketAddr, within: Duration) -> std::io::Result<TcpStream> {
        self.here.run(|| TcpStream::connect_timeout(&to, within)).unwrap()
    }
}

fn ip(namespace: &Namespace, arguments: &str) {
    run(namespace, "ip", arguments);
}

fn run(namespace: &Namespace, program: &str, arguments: &str) -> String {
    let command = || Command::new(program).args(arguments.split(' ')).output().unwrap();
    let output = namespace.run(command).unwrap();
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn rule(way: Way, action: Action) -> Rule {
    Rule { way, packets: Packets::default(), action }
}

/// How many of `count` numbered datagrams arrive, and which. Never more are under way than a socket holds.
fn send(from: &UdpSocket, to: &UdpSocket, count: u32) -> Vec<u32> {
    let mut arrived = Vec::new();
    to.set_nonblocking(true).unwrap();
    for number in 0..count {
        // A local firewall's refusal is told to the sender; what is lost is lost.
        let _ = from.send(&number.to_be_bytes());
        drain(to, &mut arrived);
    }
    to.set_nonblocking(false).unwrap();
    drain(to, &mut arrived);
    arrived
}

fn drain(to: &UdpSocket, arrived: &mut Vec<u32>) {
    let mut buffer = [0; 4];
    while to.recv(&mut buffer).is_ok() {
        arrived.push(u32::from_be_bytes(buffer));
    }
}
