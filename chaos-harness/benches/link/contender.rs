//! The proxies to compare: each a process of its own with one thread.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chaos_harness::link::Toxic;
use serde::Serialize;

use super::{cpu, own};

/// What is in the way of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    /// Nothing.
    Direct,
    /// A link without a toxic.
    Link,
    /// HAProxy in TCP mode as Debian packs it.
    HaProxy,
    /// HAProxy with `option splice-auto`.
    HaProxySplice,
    /// nginx with its stream module.
    Nginx,
    /// A loop of `epoll_wait`, `recv` and `send` that can do nothing else: what a proxy costs at least.
    Floor,
}

impl Contender {
    /// All that this machine has; says which it has not.
    pub fn all() -> Vec<Self> {
        let all = [Self::Direct, Self::Link, Self::HaProxy, Self::HaProxySplice, Self::Nginx, Self::Floor];
        all.into_iter().filter(|contender| contender.is_here()).collect()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Link => "link",
            Self::HaProxy => "haproxy",
            Self::HaProxySplice => "haproxy splice",
            Self::Nginx => "nginx stream",
            Self::Floor => "floor",
        }
    }

    fn is_here(self) -> bool {
        let program = match self {
            Self::Direct | Self::Link | Self::Floor => return true,
            Self::HaProxy | Self::HaProxySplice => "/usr/sbin/haproxy",
            Self::Nginx => "/usr/lib/nginx/modules/ngx_stream_module.so",
        };
        let here = Path::new(program).exists();
        if !here {
            println!("SKIPPED: {} ({program} is missing)", self.name());
        }
        here
    }

    /// Starts it on `core` in front of `upstream`.
    pub fn start(self, upstream: SocketAddr, core: usize) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let addr = free_port();
        let (mut command, config) = match self {
            Self::Direct => return Running { addr: upstream, child: None, _folder: folder },
            Self::Link => return own_process(own::LINK, upstream, core, None),
            Self::Floor => return own_process(own::FLOOR, upstream, core, None),
            Self::HaProxy => haproxy(addr, upstream, ""),
            Self::HaProxySplice => haproxy(addr, upstream, "option splice-auto"),
            Self::Nginx => nginx(addr, upstream, folder.path()),
        };
        let path = folder.path().join("config");
        std::fs::write(&path, config).unwrap();
        command.arg(&path).current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = on(core, || command.spawn().unwrap());
        let running = Running { addr, child: Some(child), _folder: folder };
        running.wait();
        running
    }
}

/// A proxy that runs until dropped.
pub struct Running {
    pub addr: SocketAddr,
    child: Option<Child>,
    _folder: tempfile::TempDir,
}

impl Running {
    fn wait(&self) {
        let start = Instant::now();
        while TcpStream::connect(self.addr).is_err() {
            assert!(start.elapsed() < Duration::from_secs(5), "{} does not listen", self.addr);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Memory of the process that is its own and in use, in bytes.
    pub fn resident(&self) -> Option<u64> {
        let pid = self.child.as_ref()?.id();
        let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let mut pages = statm.split(' ').skip(1).map(|pages| pages.parse::<u64>().unwrap_or(0));
        Some((pages.next()? - pages.next()?) * rustix::param::page_size() as u64)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An address on which nobody listens.
pub fn free_port() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

/// A child starts on the core of its parent's thread.
pub fn on<T>(core: usize, spawn: impl FnOnce() -> T) -> T {
    cpu::pin(core);
    let spawned = spawn();
    cpu::pin(cpu::PEERS);
    spawned
}

fn haproxy(addr: SocketAddr, upstream: SocketAddr, option: &str) -> (Command, String) {
    let config = format!(
        "global\n nbthread 1\n maxconn 2000\ndefaults\n mode tcp\n {option}\n timeout connect 5s\n timeout client 60s\n \
         timeout server 60s\nlisten link\n bind {addr}\n server callee {upstream}\n"
    );
    let mut command = Command::new("/usr/sbin/haproxy");
    command.args(["-db", "-f"]);
    (command, config)
}

fn nginx(addr: SocketAddr, upstream: SocketAddr, folder: &Path) -> (Command, String) {
    let folder = folder.display();
    let config = format!(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\nmaster_process off;\npid {folder}/pid;\n\
         error_log {folder}/error.log;\nevents {{ worker_connections 4000; }}\nstream {{\n server {{ listen {addr}; \
         proxy_pass {upstream}; }}\n}}\n"
    );
    let mut command = Command::new("/usr/sbin/nginx");
    command.args(["-p", &folder.to_string(), "-c"]);
    (command, config)
}

/// A link with a toxic, on `core`.
pub fn toxic_link(upstream: SocketAddr, core: usize, toxic: &Toxic) -> Running {
    own_process(own::LINK, upstream, core, Some(serde_json::to_string(toxic).unwrap()))
}

/// A link declared HTTP, on `core`, with a rule or without.
pub fn http_link(upstream: SocketAddr, core: usize, rule: Option<&Toxic>) -> Running {
    own_process(own::HTTP_LINK, upstream, core, rule.map(|rule| serde_json::to_string(rule).unwrap()))
}

/// This program once more, in another role; it says where it listens.
fn own_process(role: &str, upstream: SocketAddr, core: usize, toxic: Option<String>) -> Running {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([role, &upstream.to_string()]).args(toxic).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = on(core, || command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let folder = tempfile::tempdir().unwrap();
    Running { addr: line.trim().parse().unwrap(), child: Some(child), _folder: folder }
}
