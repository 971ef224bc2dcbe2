//! Containers of somebody else, and all of them that a fault could change.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chaos_harness::environment::Environment;
use chaos_harness::runtime::RuntimeKind;
use chaos_harness::topology::{InstanceId, Topology};

use crate::common::{docker, open, product};

/// An answer that takes longer is not the one of a healthy service.
const AT_ONCE: Duration = Duration::from_millis(250);

/// A container of somebody else, in a network of somebody else.
pub(crate) struct Foreign {
    pub(crate) name: String,
    pub(crate) id: String,
}

impl Foreign {
    /// Starts `service` of the shop from `image`.
    pub(crate) fn start(image: &str, service: &str, variables: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("somebody-elses-{service}-{}-{number}", std::process::id());
        docker(&["network", "create", &name]);
        let mut run = vec!["run", "--detach", "--init", "--network", &name, "--name", &name];
        for variable in [&["LISTEN=0.0.0.0:8080"][..], variables].concat() {
            run.extend(["--env", variable]);
        }
        let id = docker(&[&run[..], &[image, service][..]].concat()).trim().to_owned();
        Self { name, id }
    }

    fn inspect(&self, format: &str) -> String {
        docker(&["inspect", "--format", format, &self.id]).trim().to_owned()
    }

    pub(crate) fn state(&self) -> String {
        self.inspect("{{.State.Status}}")
    }

    /// Everything of it that a fault could change, a line each, and what it answers.
    pub(crate) fn fingerprint(&self) -> Vec<String> {
        // In one look, since the engine's command line is slow where much else runs.
        let networks = "{{range $name, $it := .NetworkSettings.Networks}}{{$name}} {{$it.Aliases}} {{end}}";
        let place = "{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let all = self.inspect(&format!("{place}\n{{{{.State.Status}}}}\n{{{{json .HostConfig}}}}\n{networks}"));
        let mut lines = all.lines().map(str::to_owned);
        let place = lines.next().unwrap();
        let mut fingerprint: Vec<String> = lines.collect();
        if let ("running", Some((pid, ip))) = (fingerprint[0].as_str(), place.split_once(' ')) {
            fingerprint.extend(self.processes());
            fingerprint.extend(self.descriptors());
            fingerprint.extend(in_the_network_of(pid, &["nft", "--stateless", "list", "ruleset"]));
            fingerprint.extend(in_the_network_of(pid, &["tc", "qdisc", "show"]));
            fingerprint.push(answer(ip).unwrap_or_else(|error| format!("no answer: {error}")));
        }
        fingerprint
    }

    /// How many descriptors its init may have open, and each child of that.
    pub(crate) fn descriptors(&self) -> Vec<String> {
        let init = self.inspect("{{.State.Pid}}");
        let children = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).unwrap();
        let soft = |pid: &str| {
            let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
            line.split_whitespace().nth(3).unwrap().to_owned()
        };
        [init.as_str()].into_iter().chain(children.split_whitespace()).map(soft).collect()
    }

    /// What it runs.
    fn processes(&self) -> Vec<String> {
        let top = Command::new("docker").args(["top", &self.id, "-eo", "pid,args"]).output().unwrap();
        let listed = String::from_utf8(top.stdout).unwrap();
        let without_pid = |line: &str| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
        let mut processes: Vec<String> = listed.lines().skip(1).map(without_pid).collect();
        processes.sort();
        processes
    }
}

/// What a tool lists in the network of a process. Numbers are left out: ports and handles differ from one start to the
/// next.
fn in_the_network_of(pid: &str, tool: &[&str]) -> Vec<String> {
    let output = Command::new("nsenter").arg(format!("--net=/proc/{pid}/ns/net")).args(tool).output().unwrap();
    let listed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    listed.lines().map(|line| line.replace(|character: char| character.is_ascii_digit(), "")).collect()
}

fn answer(ip: &str) -> std::io::Result<String> {
    let address: SocketAddr = format!("{ip}:8080").parse().map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&address, AT_ONCE)?;
    stream.set_read_timeout(Some(AT_ONCE))?;
    stream.write_all(b"GET /products HTTP/1.1\r\nhost: product\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let lasts = |line: &&str| !line.starts_with("date:");
    Ok(answer.lines().filter(lasts).collect::<Vec<_>>().join(" "))
}

impl Drop for Foreign {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.id]);
        docker(&["network", "rm", &self.name]);
    }
}

/// The image of the shop, which the harness builds.
pub(crate) fn image() -> String {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (id, runtime) = open(RuntimeKind::Docker).await;
        let environment = Environment::start(&Topology::new("image").service(product()), runtime, 1).await.unwrap();
        let container = format!("{}-{}", id.name(), InstanceId::new("product", 1));
        let image = docker(&["inspect", "--format", "{{.Config.Image}}", &container]).trim().to_owned();
        environment.destroy().await.unwrap();
        image
    })
}
