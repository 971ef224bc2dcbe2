//! A user without root, who may talk to the engine and no more: signals through the engine, rules through helper
//! containers, and nothing is left behind either.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use chaos_harness::fault::Attestation;
use chaos_harness::journal::{InjectionRecord, Status};
use chaos_harness::runtime::{RuntimeKind, Signal, State, TargetNetwork};
use chaos_harness::topology::{InstanceId, RestartPolicy, Service};

use crate::common::{docker, engine_answers, eventually, not_run, on, start};
use crate::lanes;
use crate::victim::{Victim, pair};

const NOBODY: u32 = 65534;
const SOCKET: &str = "/var/run/docker.sock";

/// Who has no rights but those of the group that may talk to the engine.
struct Nobody {
    /// Readable by all, as folders of builds are not everywhere.
    executable: PathBuf,
    _folder: tempfile::TempDir,
    group: u32,
    shop: String,
    helper: String,
}

impl Nobody {
    /// `None`, visibly, where nobody can be had.
    fn new() -> Option<Self> {
        let socket = std::fs::metadata(SOCKET).ok();
        let missing = match &socket {
            _ if !rustix::process::geteuid().is_root() => Some("only root can be somebody else".to_owned()),
            _ if !engine_answers() => Some("no docker engine".to_owned()),
            None => Some(format!("the engine has no {SOCKET}")),
            _ if Command::new("setpriv").arg("--version").output().is_err() => Some("no setpriv".to_owned()),
            _ => None,
        };
        if let Some(missing) = missing {
            not_run(&missing);
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let executable = folder.path().join("test");
        std::fs::copy(std::env::current_exe().unwrap(), &executable).unwrap();
        let (shop, helper) = images();
        Some(Self { executable, _folder: folder, group: socket.unwrap().gid(), shop, helper })
    }

    /// This executable as nobody, in a folder of nobody's.
    fn command(&self) -> (tempfile::TempDir, Command) {
        let folder = tempfile::tempdir().unwrap();
        chown(folder.path(), Some(NOBODY), Some(self.group)).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &NOBODY.to_string(), "--regid", &self.group.to_string(), "--clear-groups"]);
        command.arg(&self.executable).current_dir(folder.path());
        command.env("HOME", folder.path()).env("CHAOS_DIR", folder.path());
        command.env("SHOP_IMAGE", &self.shop).env("CHAOS_NETWORK_HELPER_IMAGE", &self.helper);
        (folder, command)
    }

    fn start(&self, test: &str) -> Victim {
        let (folder, command) = self.command();
        Victim::start_at(folder, command, &format!("victim::{test}"), "docker", &[])
    }
}

/// The images of the services and of the helper. They are built in a process of its own, which is told to use a helper.
fn images() -> (String, String) {
    let mut images = Command::new(std::env::current_exe().unwrap());
    images.args(["--exact", "unprivileged::says_its_images", "--ignored", "--nocapture"]);
    let output = images.env("CHAOS_NETWORK_HELPER", "1").stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find_map(|line| line.split_once("images: ")).unwrap_or_else(|| panic!("{output:?}")).1;
    let (shop, helper) = line.split_once(' ').unwrap();
    (shop.to_owned(), helper.to_owned())
}

#[test]
#[ignore = "run by the tests of this file"]
fn says_its_images() {
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, pair()).await;
        let network = environment.runtime().network(&InstanceId::new("product", 1)).await.unwrap();
        let TargetNetwork::Helper { container, image, .. } = network else { panic!("{network}") };
        let shop = docker(&["inspect", "--format", "{{.Config.Image}}", &container]);
        println!("images: {} {image}", shop.trim());
        environment.destroy().await.unwrap();
    });
}

#[test]
fn somebody_without_root() {
    let Some(nobody) = Nobody::new() else { return };
    runs_an_experiment(&nobody);
    leaves_nothing_when_killed(&nobody);
    has_what_it_stopped_stay_down(&nobody);
}

fn runs_an_experiment(nobody: &Nobody) {
    let mut victim = nobody.start("without_root");
    victim.process.wait().unwrap();
    let journal = victim.journals("not killed").remove(0);
    let said = |injection: &InjectionRecord| {
        let bite = injection.bite.as_ref().map(|bite| bite.looked_at.as_str()).unwrap_or_default();
        format!("{}: {}: {bite}", injection.fault, injection.mechanism)
    };
    let injections: Vec<String> = journal.injections.iter().map(said).collect();
    eprintln!("as nobody:\n{}", injections.join("\n"));
    assert!(journal.problems.is_empty(), "{:?}", journal.problems);
    // The verdict is another matter: it takes a machine that has time for the load.
    let shown = |looked: &Option<Attestation>| looked.as_ref().is_some_and(|looked| looked.shown);
    assert!(journal.injections.iter().all(|it| shown(&it.bite) && shown(&it.gone)), "{injections:?}");
    let by = |words: &str| journal.injections.iter().filter(|it| it.mechanism.contains(words)).count();
    assert_eq!(by("SIGKILL through the engine; restarted by the harness in its stead"), 1, "{injections:?}");
    assert_eq!(by("through a helper in the network of container"), 2, "{injections:?}");
    victim.wait_until_gone("not killed");
}

/// While each of its faults is in force.
fn leaves_nothing_when_killed(nobody: &Nobody) {
    lanes::each(&[1, 2, 3, 4, 5, 6], |number| leaves_nothing_of_fault(nobody, *number));
}

fn leaves_nothing_of_fault(nobody: &Nobody, number: usize) {
    let mut victim = nobody.start("without_root");
    let in_force = |it: &InjectionRecord| it.rolled_back.is_none();
    victim.wait_for_journal(|journal| {
        journal.injections.len() == number && journal.injections.last().is_some_and(in_force)
    });
    victim.kill();
    let gone = victim.wait_until_gone("killed as nobody");
    let journal = victim.journals("killed as nobody").remove(0);
    assert_eq!(journal.status, Status::Interrupted);
    eprintln!("nobody killed under `{}`: clean after {gone:?}", journal.injections[number - 1].fault);
}

fn has_what_it_stopped_stay_down(nobody: &Nobody) {
    run_as(nobody, "what_is_stopped_on_purpose_stays_down");
    run_as(nobody, "every_restart_policy_is_stood_in_for");
}

fn run_as(nobody: &Nobody, test: &str) {
    let (_folder, mut command) = nobody.command();
    command.args(["--exact", &format!("unprivileged::{test}"), "--ignored", "--nocapture"]);
    let output = command.env("CHAOS_RUNTIME", "docker").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Without root the harness stands in for the restart policy after each signal.
#[test]
#[ignore = "run by the tests of this file, as nobody"]
fn what_is_stopped_on_purpose_stays_down() {
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, pair()).await;
        let (runtime, id) = (environment.runtime(), InstanceId::new("inventory", 1));
        for signal in [Signal::Cont, Signal::Kill] {
            let mechanism = runtime.signal(&id, signal).await.unwrap().mechanism;
            assert!(mechanism.ends_with("restarted by the harness in its stead"), "{mechanism}");
            runtime.stop(&id, Duration::ZERO).await.unwrap();
            // That it does not come back takes a while to show; the stand-in's own wait is a tenth of this.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let state = runtime.status(&id).await.unwrap().state;
            assert!(matches!(state, State::Exited { .. }), "{signal}, then a stop: {state:?}");
            runtime.start_again(&id).await.unwrap();
        }
        environment.destroy().await.unwrap();
    });
}

#[test]
#[ignore = "run by the tests of this file, as nobody"]
fn every_restart_policy_is_stood_in_for() {
    on(RuntimeKind::Docker, |kind| async move {
        let twice = RestartPolicy::OnFailure { retries: 2 };
        let with = |policy| move |service: Service| service.restart(policy);
        let topology = pair().with("inventory", with(RestartPolicy::UnlessStopped)).unwrap();
        let topology = topology.with("product", with(twice)).unwrap();
        let environment = start(kind, topology).await;
        let runtime = environment.runtime();
        let (inventory, product) = (InstanceId::new("inventory", 1), InstanceId::new("product", 1));
        for restarts in 1..=2 {
            for id in [&inventory, &product] {
                let mechanism = runtime.kill(id).await.unwrap().mechanism;
                assert!(mechanism.ends_with("restarted by the harness in its stead"), "{mechanism}");
                eventually(&format!("{id} comes back"), || async {
                    let status = runtime.status(id).await.unwrap();
                    status.state == State::Running && status.restarts == restarts
                })
                .await;
            }
        }
        runtime.kill(&product).await.unwrap();
        // That it does not come back takes a while to show; it would after 400 ms.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let state = runtime.status(&product).await.unwrap().state;
        assert!(matches!(state, State::Exited { code: 137, .. }), "it has had its two retries: {state:?}");
        environment.destroy().await.unwrap();
    });
}
