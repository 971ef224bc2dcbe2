//! What this program does as a contender: a link, or the least that a proxy can be.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};

use chaos_harness::link::{LinkError, LinkProxy, Toxic};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;

/// First argument of the process that runs the link.
pub const LINK: &str = "--link-for-bench";
/// First argument of the process that runs a link declared HTTP.
pub const HTTP_LINK: &str = "--http-link-for-bench";
/// First argument of the process that runs the floor.
pub const FLOOR: &str = "--floor-for-bench";

/// Plays the role that the arguments ask for; whether they ask for one.
pub fn play() -> bool {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next();
    let mut upstream = || arguments.next().unwrap().parse().unwrap();
    match role.as_deref() {
        Some(role @ (LINK | HTTP_LINK)) => {
            let bind = if role == LINK { LinkProxy::bind } else { LinkProxy::bind_http };
            link(bind, upstream(), arguments.next().map(|json| serde_json::from_str(&json).unwrap()));
        }
        Some(FLOOR) => floor(upstream()),
        _ => return false,
    }
    true
}

fn say(addr: SocketAddr) {
    println!("{addr}");
    std::io::stdout().flush().unwrap();
}

/// A link in front of `upstream`, on one thread, until standard input ends.
fn link(bind: fn(IpAddr, u64) -> Result<LinkProxy, LinkError>, upstream: SocketAddr, toxic: Option<Toxic>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let link = bind("127.0.0.1".parse().unwrap(), 1).unwrap();
        link.set_upstream(Some(upstream));
        if let Some(toxic) = toxic {
            link.toxics().add("toxic", toxic).unwrap();
        }
        say(link.addr());
        let (end, ended) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _ = end.send(());
        });
        let _ = ended.await;
        link.shutdown().await;
    });
}

/// Forwards what comes, with blocking writes and no care for anything.
fn floor(upstream: SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    // The sink of the source with number n is that with n ^ 1; the listener comes first.
    let mut sockets: Vec<TcpStream> = Vec::new();
    epoll::add(&poll, &listener, epoll::EventData::new_u64(u64::MAX), epoll::EventFlags::IN).unwrap();
    say(listener.local_addr().unwrap());
    let mut events = Vec::with_capacity(64);
    let mut buffer = vec![0; 64 << 10];
    loop {
        epoll::wait(&poll, spare_capacity(&mut events), None).unwrap();
        for event in events.drain(..) {
            let n = event.data.u64() as usize;
            if event.data.u64() == u64::MAX {
                for socket in [listener.accept().unwrap().0, TcpStream::connect(upstream).unwrap()] {
                    socket.set_nodelay(true).unwrap();
                    let data = epoll::EventData::new_u64(sockets.len() as u64);
                    epoll::add(&poll, &socket, data, epoll::EventFlags::IN).unwrap();
                    sockets.push(socket);
                }
            } else {
                match (&sockets[n]).read(&mut buffer) {
                    Ok(read @ 1..) => drop((&sockets[n ^ 1]).write_all(&buffer[..read])),
                    _ => {
                        epoll::delete(&poll, &sockets[n]).unwrap();
                        let _ = sockets[n ^ 1].shutdown(Shutdown::Both);
                    }
                }
            }
        }
    }
}
