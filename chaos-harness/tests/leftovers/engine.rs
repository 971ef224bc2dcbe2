//! An engine that is restarted in the middle of an experiment: one of our own, so that nobody else is disturbed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::not_run;
use crate::traces;
use crate::victim::Victim;

fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().unwrap().success(), "ip {arguments:?}");
}

/// A Docker engine of this test alone.
struct Engine {
    folder: tempfile::TempDir,
    namespace: String,
    process: Option<Child>,
}

impl Engine {
    /// Starts it; `None` where that is not possible.
    fn start() -> Option<Self> {
        let answers = |program, argument| {
            Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
        };
        if !answers("dockerd", "--version") || !answers("ip", "-V") || !rustix::process::geteuid().is_root() {
            return None;
        }
        // In a network namespace of its own: two engines in one take each other's bridges away.
        let namespace = format!("chaos-engine-{}", std::process::id());
        ip(&["netns", "add", &namespace]);
        let mut engine = Self { folder: tempfile::tempdir().unwrap(), namespace, process: None };
        ip(&["-netns", &engine.namespace, "link", "set", "lo", "up"]);
        engine.up();
        Some(engine)
    }

    fn host(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.path().display())
    }

    fn up(&mut self) {
        let in_folder = |name: &str| self.folder.path().join(name).display().to_string();
        // Not the machine's own configuration.
        std::fs::write(in_folder("daemon.json"), "{}").unwrap();
        let log = std::fs::File::create(in_folder("log")).unwrap();
        let engine = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.namespace))
            .arg("dockerd")
            .args(["--host", &self.host(), "--data-root", &in_folder("data"), "--exec-root", &in_folder("exec")])
            .args(["--config-file", &in_folder("daemon.json")])
            .args(["--pidfile", &in_folder("pid"), "--iptables=false", "--ip6tables=false"])
            .args(["--default-address-pool", "base=10.213.0.0/16,size=24"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.process = Some(engine.unwrap());
        let since = Instant::now();
        while self.docker(&["version"]).is_none() {
            let log = || std::fs::read_to_string(in_folder("log")).unwrap_or_default();
            assert!(since.elapsed() < Duration::from_secs(30), "the engine does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn down(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        assert!(Command::new("kill").arg(process.id().to_string()).status().unwrap().success());
        process.wait().unwrap();
    }

    fn docker(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("docker").args(["--host", &self.host()]).args(arguments).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    /// The containers and networks of the harness.
    fn resources(&self) -> String {
        let label = ["--filter", "label=chaos-harness.owner"];
        let containers = self.docker(&[&["ps", "--all", "--quiet"], &label[..]].concat()).unwrap();
        containers + &self.docker(&[&["network", "ls", "--quiet"], &label[..]].concat()).unwrap()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.down();
        ip(&["netns", "delete", &self.namespace]);
        // What an engine that ended has left mounted would keep its folder from going.
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        let ours = |mount: &&str| Path::new(mount).starts_with(self.folder.path());
        for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(ours) {
            let _ = Command::new("umount").args(["--lazy", mount]).status();
        }
    }
}

/// A victim on that engine, its fault in force.
fn under_fault(engine: &Engine) -> Victim {
    let victim = Victim::start_in(&engine.namespace, "waits", "docker", &[("DOCKER_HOST", &engine.host())]);
    victim.wait_for_fault();
    assert_eq!(engine.resources().lines().count(), 3, "two containers and a network");
    victim
}

#[test]
fn restarted_in_the_middle() {
    let before = bridges();
    let Some(mut engine) = Engine::start() else { return not_run("no dockerd and iproute2, or not root") };
    ends_by_itself(&mut engine);
    killed_while_the_engine_is_down(&mut engine);
    assert_eq!(bridges(), before, "what is the machine's own is as it was");
}

/// The names of the machine's bridges, without those that come and go with networks.
fn bridges() -> String {
    let names =
        std::fs::read_dir("/sys/class/net").unwrap().flatten().filter(|entry| entry.path().join("bridge").exists());
    let mut names: Vec<String> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with("br-"));
    names.sort();
    names.join(" ")
}

fn ends_by_itself(engine: &mut Engine) {
    let mut victim = under_fault(engine);
    engine.down();
    engine.up();
    victim.signal("-INT");
    let since = Instant::now();
    assert_eq!(victim.process.wait().unwrap().code(), Some(130));
    assert_eq!(engine.resources(), "");
    eprintln!("engine restarted: ended and clean after {:?}", since.elapsed());
    victim.wait_until_gone("engine restarted");
}

fn killed_while_the_engine_is_down(engine: &mut Engine) {
    let mut victim = under_fault(engine);
    engine.down();
    victim.kill();
    engine.up();
    let since = Instant::now();
    while !engine.resources().is_empty() {
        assert!(since.elapsed() < traces::WITHIN, "{}", engine.resources());
        std::thread::sleep(Duration::from_millis(25));
    }
    eprintln!("killed while the engine was down: clean {:?} after it came up", since.elapsed());
    victim.wait_until_gone("killed while the engine was down");
}
