//! What a killed test process leaves behind: found and removed by the next run, and a journal that can be read.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chaos_harness::folders::chaos_dir;
use chaos_harness::journal::{Status, read_dir};
use chaos_harness::prelude::*;
use chaos_harness::runtime::{EnvironmentId, RuntimeChoice, RuntimeKind, choose, sweep};
use common::{docker, engine_answers, not_run};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How often the test process is killed, on each runtime.
const KILLS: usize = 10;
/// The victim's experiment takes about as long.
const LENGTH: Duration = Duration::from_millis(4500);
/// How long sweeping may take; the rest of the ten seconds of the guarantee is the next run's start.
const SWEPT_WITHIN: Duration = Duration::from_secs(5);
/// How long the kernel may take to end the children of a dead process.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// Not a test of its own: it is killed in the middle.
#[chaos_test]
#[ignore = "run by the tests below, which kill it"]
async fn victim(lab: Lab) -> chaos_harness::Result<Verdict> {
    let service = |name: &str| Service::new(name).cargo("shop", "shop").args([name]).http("/health/ready");
    let topology = Topology::new("victim").service(service("inventory").restarts()).service(service("product"));
    lab.experiment(topology.link("inventory", "product"))
        .load(Load::get("product", "/products").rate(100).deadline(1.secs()))
        .baseline(700.millis())
        .inject(target("product").pause().hold(500.millis()))
        .inject(target("inventory").kill().hold(600.millis()))
        .inject(link("inventory", "product").refuse().hold(600.millis()))
        .allow(BlastRadius::EntireSystem)
        .hypothesis(hypothesis!(mttr < 10s))
        .run()
        .await
}

#[test]
fn killed_on_processes() {
    for after in moments(21) {
        let killed = kill("process", after);
        let since = Instant::now();
        while !alive_in(killed.folder.path()).is_empty() {
            assert!(since.elapsed() < GONE_WITHIN, "{after:?}: {:?} are left", alive_in(killed.folder.path()));
            std::thread::sleep(Duration::from_millis(5));
        }
        eprintln!("killed after {after:?}: children gone after {:?}", since.elapsed());
        killed.check_journal(after);
    }
}

#[test]
fn killed_on_docker() {
    if !engine_answers() {
        return not_run("no docker engine");
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for after in moments(22) {
        let killed = kill("docker", after);
        let left = resources_of(killed.victim);
        let since = Instant::now();
        // The engine may still be carrying out the last request of the dead process.
        while !resources_of(killed.victim).is_empty() {
            assert!(since.elapsed() < SWEPT_WITHIN, "{after:?}: {:?} are left", resources_of(killed.victim));
            // One sweep may meet a container that is just being made; the next one then removes it.
            let _ = runtime.block_on(sweep(false));
        }
        eprintln!("killed after {after:?}: {} things swept in {:?}", left.len(), since.elapsed());
        killed.check_journal(after);
    }
}

#[test]
fn what_a_live_test_owns_is_not_swept() {
    if !engine_answers() {
        return not_run("no docker engine");
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let id = EnvironmentId::new("alive");
        let (environment, _) = choose(RuntimeChoice::Only(RuntimeKind::Docker), &id).await.unwrap();
        let swept = sweep(false).await.unwrap();
        assert!(swept.iter().all(|leftover| leftover.name != id.name()), "{swept:?}");
        assert_eq!(resources_of(std::process::id()).len(), 1, "the network must still be there");
        environment.destroy().await.unwrap();
        environment.destroy().await.unwrap();
    });
}

#[test]
fn a_test_that_panics_leaves_nothing() {
    for runtime in ["process", "docker"] {
        if runtime == "docker" && !engine_answers() {
            return not_run("no docker engine");
        }
        let folder = tempfile::tempdir().unwrap();
        let child = start("panics_in_the_middle", runtime, folder.path());
        let pid = child.id();
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success(), "it panics");
        assert!(String::from_utf8_lossy(&output.stdout).contains("in the middle of it"), "{output:?}");
        assert_eq!(resources_of(pid), [""; 0], "{runtime}");
        assert_eq!(alive_in(folder.path()), [""; 0], "{runtime}");
    }
}

/// Not a test of its own: it panics while a fault is in force.
#[chaos_test]
#[ignore = "run by the test above"]
async fn panics_in_the_middle(lab: Lab) -> chaos_harness::Result<()> {
    let product = Service::new("product").cargo("shop", "shop").args(["product"]).http("/health/ready");
    let plan = chaos_harness::experiment::Plan::new("panics", 1, Topology::new("panics").service(product));
    let mut session = lab.start(plan).await?;
    let _fault = session.inject(target("product").pause()).await?;
    panic!("in the middle of it");
}

/// A victim that was killed.
struct Killed {
    victim: u32,
    folder: tempfile::TempDir,
}

impl Killed {
    /// Whatever journal there is can be read. One that is whole had ended before the kill.
    fn check_journal(&self, after: Duration) {
        for entry in read_dir(&self.folder.path().join("journal")).unwrap() {
            let journal = entry.journal.unwrap_or_else(|error| panic!("killed after {after:?}: {error}"));
            let whole = journal.status == Status::Complete && journal.verdict.is_some();
            assert!(journal.status == Status::Interrupted || whole, "killed after {after:?}: {:?}", journal.status);
            assert!(journal.events.is_sorted_by_key(|event| event.at_us));
        }
    }
}

/// Moments spread over the victim's phases; the same seed gives the same ones.
fn moments(seed: u64) -> impl Iterator<Item = Duration> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..KILLS).map(move |_| LENGTH.mul_f64(rng.random_range(0.02..1.0)))
}

/// Starts the victim and kills it after a while.
fn kill(runtime: &str, after: Duration) -> Killed {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start("victim", runtime, folder.path());
    std::thread::sleep(after); // The moment is what is tested; there is no condition to wait for.
    let victim = child.id();
    child.kill().unwrap();
    child.wait().unwrap();
    Killed { victim, folder }
}

/// Runs one of the ignored tests of this file with `folder` as the folder of its journals. What is built already
/// is not built again. Its children inherit `TMPDIR`, by which they are found.
fn start(test: &str, runtime: &str, folder: &Path) -> Child {
    let build = chaos_dir().join("build");
    std::fs::create_dir_all(&build).unwrap();
    symlink(build.canonicalize().unwrap(), folder.join("build")).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test])
        .env("CHAOS_DIR", folder)
        .env("CHAOS_RUNTIME", runtime)
        .env("TMPDIR", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The processes whose temporary folder is `folder`.
fn alive_in(folder: &Path) -> Vec<String> {
    let mark = format!("TMPDIR={}", folder.display());
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let marked = processes.filter(|process| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    });
    marked.map(|process| format!("{}", process.display())).collect()
}

/// The names of the containers and networks whose owner is process `pid` of this machine.
fn resources_of(pid: u32) -> Vec<String> {
    if !engine_answers() {
        return Vec::new();
    }
    let mine = |line: &&str| line.split_once(' ').is_some_and(|(_, owner)| owner.starts_with(&format!("{pid}/")));
    let format = "{{.Name}} {{.Label \"chaos-harness.owner\"}}";
    let networks = docker(&["network", "ls", "--filter", "label=chaos-harness.owner", "--format", format]);
    let format = "{{.Names}} {{.Label \"chaos-harness.owner\"}}";
    let containers = docker(&["ps", "--all", "--filter", "label=chaos-harness.owner", "--format", format]);
    let all = [networks, containers].concat();
    all.lines().filter(mine).map(str::to_owned).collect()
}
