//! Tests that are started as processes of their own, to be ended.

use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chaos_harness::experiment::Plan;
use chaos_harness::folders::chaos_dir;
use chaos_harness::journal::{Journal, Status, read_dir};
use chaos_harness::prelude::*;

use crate::cell::{pid, state};
use crate::traces;

/// Built on the spot, unless it is told of an image: not everybody may build here.
fn service(name: &str) -> Service {
    let service = Service::new(name).args([name]).http("/health/ready");
    match std::env::var("SHOP_IMAGE") {
        Ok(image) => service.image(image),
        Err(_) => service.cargo("shop", "shop"),
    }
}

pub(crate) fn pair() -> Topology {
    let topology = Topology::new("victim").service(service("inventory").restarts()).service(service("product"));
    topology.link("inventory", "product")
}

/// It has an experiment with several kinds of fault.
#[chaos_test]
#[ignore = "ended by the tests of this file"]
async fn experiments(lab: Lab) -> chaos_harness::Result<Verdict> {
    let mut experiment = lab
        .experiment(pair())
        .load(Load::get("product", "/products").rate(100).deadline(1.secs()))
        .baseline(700.millis())
        .inject(target("product").pause().hold(500.millis()))
        .inject(target("inventory").kill().hold(600.millis()))
        .inject(link("inventory", "product").refuse().hold(600.millis()));
    if std::env::var("CHAOS_RUNTIME").is_ok_and(|runtime| runtime == "docker") {
        experiment = experiment
            .inject(target("product").cpu_quota(0.01).hold(500.millis()))
            .inject(target("inventory").disconnect().after(800.millis()).hold(400.millis()));
        if rustix::process::geteuid().is_root() {
            experiment = experiment.inject(network("product").loss(0.2).hold(500.millis()));
        }
    }
    let experiment = experiment.abort_above_error_rate(None).abort_below_availability(None);
    experiment.allow(BlastRadius::EntireSystem).hypothesis(hypothesis!(mttr < 10s)).run().await
}

/// All that a user without root can do to containers, one after the other.
#[chaos_test]
#[ignore = "run and ended by the tests of this file"]
async fn without_root(lab: Lab) -> chaos_harness::Result<Verdict> {
    let experiment = lab
        .experiment(pair())
        .load(Load::get("product", "/products").rate(100).deadline(1.secs()))
        .baseline(700.millis())
        .inject(target("inventory").kill().hold(600.millis()))
        .inject(target("product").pause().after(1.secs()).hold(300.millis()))
        .inject(target("product").cpu_quota(0.01).after(2.secs()).hold(1.secs()))
        .inject(network("product").loss(0.5).after(4.secs()).hold(1.secs()))
        .inject(network("product").cut().after(6.secs()).hold(500.millis()))
        .inject(target("inventory").stop().after(7.secs()).hold(1.secs()));
    let experiment = experiment.abort_above_error_rate(None).abort_below_availability(None);
    experiment.allow(BlastRadius::EntireSystem).hypothesis(hypothesis!(mttr < 30s)).run().await
}

/// A fault is in force until somebody ends it.
async fn under_fault(lab: &Lab) -> chaos_harness::Result<chaos_harness::experiment::Session> {
    let mut session = lab.start(Plan::new("under fault", 1, pair())).await?;
    let _fault = session.inject(target("product").pause()).await?;
    Ok(session)
}

#[chaos_test]
#[ignore = "ended by the tests of this file"]
async fn waits(lab: Lab) -> chaos_harness::Result<Verdict> {
    let mut session = under_fault(&lab).await?;
    session.hold(60.secs()).await?;
    session.judge().await
}

#[chaos_test]
#[ignore = "run by the tests of this file"]
async fn passes(_lab: Lab) -> chaos_harness::Result<()> {
    Ok(())
}

/// It kills its own guard right before each injection, and looks whether one stands right after.
#[chaos_test]
#[ignore = "run by the tests of this file"]
async fn kills_its_guard(lab: Lab) -> chaos_harness::Result<()> {
    let mut session = lab.start(Plan::new("kills its guard", 1, pair())).await?;
    for _ in 0..10 {
        let before = traces::processes("CHAOS_GUARD_OF", std::process::id());
        traces::kill_guard(std::process::id());
        let fault = session.inject(target("product").pause()).await?;
        let now = traces::processes("CHAOS_GUARD_OF", std::process::id());
        assert!(now.len() == 1 && now != before, "{now:?} instead of {before:?}");
        session.roll_back(fault).await?;
    }
    println!("under a guard 10 times");
    session.judge().await.map(drop)
}

/// It says when its targets are up, then waits to be told to go on.
#[chaos_test]
#[ignore = "ended by the tests of this file"]
async fn step_by_step(lab: Lab) -> chaos_harness::Result<Verdict> {
    let mut session = lab.start(Plan::new("step by step", 1, pair())).await?;
    std::fs::write(chaos_dir().join("up"), "").unwrap();
    session.until("told to go on", 60.secs(), |_| chaos_dir().join("go").exists()).await?;
    let fault = session.inject(target("product").pause()).await?;
    session.hold(300.millis()).await?;
    session.roll_back(fault).await?;
    session.judge().await
}

/// Twelve environments under a fault each, until somebody ends it.
#[chaos_test]
#[ignore = "ended by the tests of this file"]
async fn twelve(lab: Lab) -> chaos_harness::Result<()> {
    let product = || Topology::new("victim").service(service("product"));
    let starts = (0..12).map(|number| lab.start(Plan::new(format!("number {number}"), 1, product())));
    let mut sessions = futures::future::try_join_all(starts).await?;
    let mut faults = Vec::new();
    for session in &mut sessions {
        faults.push(session.inject(target("product").pause()).await?);
    }
    std::fs::write(chaos_dir().join("up"), "").unwrap();
    std::future::pending::<()>().await;
    Ok(())
}

#[chaos_test]
#[ignore = "ended by the tests of this file"]
async fn panics(lab: Lab) -> chaos_harness::Result<()> {
    let _session = under_fault(&lab).await?;
    panic!("in the middle of it");
}

#[chaos_test]
#[ignore = "ended by the tests of this file"]
async fn exits(lab: Lab) -> chaos_harness::Result<()> {
    let _session = under_fault(&lab).await?;
    std::process::exit(7);
}

/// It gives up to start, earlier and later.
#[chaos_test]
#[ignore = "run by the tests of this file"]
async fn cancels(lab: Lab) -> chaos_harness::Result<()> {
    for milliseconds in [1, 20, 60, 120, 180, 240, 300, 400] {
        let start = lab.start(Plan::new("cancelled", 1, pair()));
        let _ = tokio::time::timeout(Duration::from_millis(milliseconds), start).await;
    }
    Ok(())
}

/// Its service cannot have the port that it wants.
#[chaos_test]
#[ignore = "run by the tests of this file"]
async fn clashes(lab: Lab) -> chaos_harness::Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let clashing = service("product").env("LISTEN", address).within(3.secs());
    let topology = Topology::new("clash").service(clashing);
    let error = lab.start(Plan::new("clash", 1, topology)).await.unwrap_err();
    println!("refused: {error}");
    Ok(())
}

/// Its service is never healthy, and the time limit comes first.
#[chaos_test]
#[ignore = "run by the tests of this file"]
async fn never_starts(lab: Lab) -> chaos_harness::Result<()> {
    let never = service("product").http("/nowhere");
    let experiment = lab.experiment(Topology::new("never").service(never)).time_limit(2.secs());
    let claimed = hypothesis!(availability > 1% during baseline);
    let experiment = experiment.load(Load::get("product", "/products").rate(100)).hypothesis(claimed);
    let error = experiment.run().await.unwrap_err();
    println!("refused: {error}");
    Ok(())
}

/// It takes what only containers have.
#[chaos_test]
#[ignore = "run by the tests of this file"]
async fn takes_containers(lab: Lab) -> chaos_harness::Result<Verdict> {
    let experiment = lab.experiment(pair()).load(Load::get("product", "/products").rate(100));
    experiment.inject(network("product").loss(0.2).hold(1.secs())).hypothesis(hypothesis!(mttr < 10s)).run().await
}

/// It asks for docker by itself.
#[chaos_test(runtime = "docker")]
#[ignore = "run by the tests of this file"]
async fn is_for_docker(lab: Lab) -> chaos_harness::Result<Verdict> {
    let experiment = lab.experiment(pair()).load(Load::get("product", "/products").rate(100));
    experiment.inject(target("inventory").kill().hold(1.secs())).hypothesis(hypothesis!(mttr < 10s)).run().await
}

fn existing() -> Topology {
    let container = std::env::var("EXISTING").unwrap();
    Topology::new("existing").service(Service::new("product").existing(container).http("/health/ready"))
}

/// A container that was there before finds names late.
#[chaos_test]
#[ignore = "ended by the tests of this file"]
async fn delays_names(lab: Lab) -> chaos_harness::Result<Verdict> {
    let mut session = lab.start(Plan::new("late names", 1, existing())).await?;
    let _fault = session.inject(network("product").dns_delay(1.secs())).await?;
    session.hold(60.secs()).await?;
    session.judge().await
}

/// It pauses a container that was there before.
#[chaos_test]
#[ignore = "ended by the tests of this file"]
async fn touches_existing(lab: Lab) -> chaos_harness::Result<Verdict> {
    let mut session = lab.start(Plan::new("existing", 1, existing())).await?;
    let without_undo =
        [target("product").signal("SIGSTOP"), target("product").cpu_quota(0.5), target("product").disconnect()];
    for fault in without_undo {
        let refused = session.inject(fault).await.unwrap_err().to_string();
        assert!(refused.contains("is a container that runs already, and cannot be"), "{refused}");
    }
    let fault = match std::env::var("FAULT") {
        Ok(_) => target("product").descriptors_left(0),
        Err(_) => target("product").pause(),
    };
    let fault = session.inject(fault).await?;
    session.hold(Duration::from_secs(std::env::var("HOLD").unwrap().parse().unwrap())).await?;
    session.roll_back(fault).await?;
    session.judge().await
}

/// It allows itself a container.
#[chaos_test]
#[ignore = "run by the tests of this file"]
async fn widens(lab: Lab) -> chaos_harness::Result<()> {
    let (list, container) = (std::env::var("WIDENED").unwrap(), std::env::var("EXISTING").unwrap());
    std::fs::write(list, container).unwrap();
    let error = lab.start(Plan::new("widened", 1, existing())).await.unwrap_err();
    println!("refused: {error}");
    Ok(())
}

/// A victim on its way.
pub(crate) struct Victim {
    pub(crate) process: Child,
    pub(crate) folder: tempfile::TempDir,
}

impl Victim {
    /// Starts one of the tests above as the leader of a process group, with a folder of its own. What is built
    /// already is not built again.
    pub(crate) fn start(test: &str, runtime: &str) -> Self {
        Self::start_with(test, runtime, &[])
    }

    /// The same, with more environment variables.
    pub(crate) fn start_with(test: &str, runtime: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_test(&format!("victim::{test}"), runtime, variables)
    }

    /// The same, with a test of another module.
    pub(crate) fn start_test(path: &str, runtime: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_as(Command::new(std::env::current_exe().unwrap()), path, runtime, variables)
    }

    /// The same, in a named network namespace.
    pub(crate) fn start_in(namespace: &str, test: &str, runtime: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{namespace}")).arg(std::env::current_exe().unwrap());
        Self::start_as(command, &format!("victim::{test}"), runtime, variables)
    }

    /// The same, by a command that starts another one: [`test`](Self::test) is the process of the test then.
    pub(crate) fn start_by(command: Command, test: &str, runtime: &str) -> Self {
        Self::start_as(command, &format!("victim::{test}"), runtime, &[])
    }

    /// The process that runs the test, which may be a child of the one that was started.
    pub(crate) fn test(&self) -> u32 {
        let pid = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let runs_it = |child: &u32| {
            let program = |process: u32| std::fs::read_link(format!("/proc/{process}/exe")).ok();
            program(*child) == program(std::process::id()) && program(pid) != program(*child)
        };
        children.split_whitespace().map(|child| child.parse().unwrap()).find(runs_it).unwrap_or(pid)
    }

    fn start_as(command: Command, path: &str, runtime: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let build = chaos_dir().join("build");
        std::fs::create_dir_all(&build).unwrap();
        symlink(build.canonicalize().unwrap(), folder.path().join("build")).unwrap();
        Self::start_at(folder, command, path, runtime, variables)
    }

    /// The same, in a folder that has what it takes.
    pub(crate) fn start_at(
        folder: tempfile::TempDir,
        mut command: Command,
        path: &str,
        runtime: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let process = command
            .args(["--ignored", "--exact", path, "--nocapture"])
            .env("CHAOS_DIR", folder.path())
            .env("CHAOS_RUNTIME", runtime)
            .envs(variables.iter().copied())
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { process, folder }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits for one of its journals to be as `wanted`.
    pub(crate) fn wait_for_journal(&self, wanted: impl Fn(&Journal) -> bool) {
        let since = Instant::now();
        loop {
            let entries = read_dir(&self.folder.path().join("journal")).unwrap_or_default();
            if entries.iter().any(|entry| entry.journal.as_ref().is_ok_and(&wanted)) {
                return;
            }
            assert!(since.elapsed() < Duration::from_secs(60), "the victim never came so far");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a fault to be in force.
    pub(crate) fn wait_for_fault(&self) {
        self.wait_for_journal(|journal| !journal.injections.is_empty());
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends it at once with its whole group, as a runner does to a test that hangs.
    pub(crate) fn kill_group(&mut self) {
        let sent = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.pid())]).status().unwrap();
        assert!(sent.success());
        self.process.wait().unwrap();
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Ends it at once, and its guard before it: it is stopped by then, and cannot start another one.
    pub(crate) fn kill_with_its_guard(&mut self) {
        self.signal("-STOP");
        while state(pid(self.pid())) != Some('T') {
            std::thread::sleep(Duration::from_millis(1));
        }
        traces::kill_guard(self.pid());
        self.kill();
    }

    pub(crate) fn wait_until_gone(&self, context: &str) -> Duration {
        traces::wait_until_gone(self.pid(), self.folder.path(), context)
    }

    /// Whatever journals there are can be read. One that is whole had ended before the victim did.
    pub(crate) fn journals(&self, context: &str) -> Vec<Journal> {
        let entries = read_dir(&self.folder.path().join("journal")).unwrap_or_default();
        let read = |journal: Result<Journal, _>| journal.unwrap_or_else(|error| panic!("{context}: {error}"));
        let journals: Vec<Journal> = entries.into_iter().map(|entry| read(entry.journal)).collect();
        for journal in &journals {
            assert!(journal.status != Status::Running, "{context}: {:?}", journal.status);
            assert!(journal.events.is_sorted_by_key(|event| event.at_us));
        }
        journals
    }
}
