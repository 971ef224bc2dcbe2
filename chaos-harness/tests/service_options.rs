//! What a service says of its program and its life, on every runtime.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chaos_harness::environment::Environment;
use chaos_harness::fault::{FaultKind, target};
use chaos_harness::runtime::{InstanceSpec, RuntimeKind, Signal, State, Wont};
use chaos_harness::topology::{InstanceId, RestartPolicy, Service, Topology};
use common::{docker, engine_answers, eventually, not_run, on, open, product, refused, start};
use rstest::rstest;

fn first() -> InstanceId {
    InstanceId::new("product", 1)
}

fn alone(service: Service) -> Topology {
    Topology::new("alone").service(service)
}

/// An image made of the shop's; removed when it is dropped.
struct Variant(String);

impl Variant {
    fn of(shop: &str, name: &str, lines: &str) -> Self {
        let image = format!("chaos-harness-test/{name}-{}:1", std::process::id());
        let build =
            Command::new("docker").args(["build", "--quiet", "--tag", &image, "-"]).stdin(Stdio::piped()).spawn();
        let mut build = build.unwrap();
        write!(build.stdin.take().unwrap(), "FROM {shop}\n{lines}\n").unwrap();
        assert!(build.wait().unwrap().success());
        Self(image)
    }

    fn service(&self) -> Service {
        Service::new("product").image(&self.0).http("/health/ready").control_port(9100)
    }
}

impl Drop for Variant {
    fn drop(&mut self) {
        docker(&["rmi", "--force", &self.0]);
    }
}

async fn shop_image() -> String {
    let environment = start(RuntimeKind::Docker, alone(product())).await;
    let pid = environment.runtime().status(&first()).await.unwrap().pid.unwrap();
    assert!(command_line(pid).contains("/app product"), "{}", command_line(pid));
    assert!(command_line(pid).contains("init"), "the engine's init is process 1: {}", command_line(pid));
    let images =
        docker(&["images", "--filter", "reference=chaos-harness/shop-shop", "--format", "{{.Repository}}:{{.Tag}}"]);
    environment.destroy().await.unwrap();
    images.lines().next().unwrap().to_owned()
}

fn command_line(pid: u32) -> String {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    words.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>().join(" ")
}

async fn runs(service: Service) -> (Environment, u32) {
    let environment = start(RuntimeKind::Docker, alone(service)).await;
    let pid = environment.runtime().status(&first()).await.unwrap().pid.unwrap();
    (environment, pid)
}

#[test]
fn arguments_stand_after_the_program_of_the_image() {
    if !engine_answers() {
        return not_run("no docker engine");
    }
    on(RuntimeKind::Docker, |_| async {
        let shop = shop_image().await;
        let bare = Variant::of(&shop, "bare", "ENTRYPOINT []\nCMD [\"/app\", \"inventory\"]");
        let other = Variant::of(&shop, "other", "ENTRYPOINT [\"/app\", \"inventory\"]\nCMD [\"nothing\"]");
        let shell = Variant::of(&shop, "shell", "ENTRYPOINT []\nCMD /app product");
        let none = Variant::of(&shop, "none", "ENTRYPOINT []\nCMD []");
        let replaced = other.service().entrypoint(["/app"]);
        for service in [bare.service(), replaced, none.service().entrypoint(["/app"])] {
            let (environment, pid) = runs(service.args(["product"])).await;
            assert!(command_line(pid).ends_with("/app product "), "{}", command_line(pid));
            environment.destroy().await.unwrap();
        }
        for (image, reason) in [(&shell, "in shell form"), (&none, "has no program of its own")] {
            let error = refused(RuntimeKind::Docker, alone(image.service().args(["product"]))).await.to_string();
            assert!(error.contains(&image.0) && error.contains(reason) && error.contains(".entrypoint("), "{error}");
        }
        is_process_1(Variant::of(&shop, "init", "STOPSIGNAL SIGINT").service().args(["product"]).init(false)).await;
    });
}

/// Without the engine's init, signals go to the program itself, and one that it does not handle is kept from it.
async fn is_process_1(service: Service) {
    let (environment, pid) = runs(service).await;
    assert_eq!(command_line(pid), "/app product ");
    let signalled = environment.runtime().signal(&first(), Signal::Usr1).await.unwrap();
    assert_eq!((signalled.pid, signalled.wont), (Some(pid), Some(Wont::Ignores)));
    environment.runtime().stop(&first(), Duration::from_secs(20)).await.unwrap();
    let status = environment.runtime().status(&first()).await.unwrap();
    assert!(matches!(status.state, State::Exited { code: 0, .. }), "it heard its stop signal: {status:?}");
    environment.destroy().await.unwrap();
}

#[rstest]
fn a_policy_on_failure_has_so_many_retries(#[values(RuntimeKind::Process, RuntimeKind::Docker)] kind: RuntimeKind) {
    on(kind, |kind| async move {
        let service = product().restart(RestartPolicy::OnFailure { retries: 1 });
        let environment = start(kind, alone(service)).await;
        let runtime = environment.runtime();
        runtime.kill(&first()).await.unwrap();
        eventually("it comes back", || async {
            let status = runtime.status(&first()).await.unwrap();
            status.restarts == 1 && status.state == State::Running
        })
        .await;
        runtime.kill(&first()).await.unwrap();
        // That it does not come back takes a while to show; it would after 200 ms.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let state = runtime.status(&first()).await.unwrap().state;
        assert!(matches!(state, State::Exited { code: 137, .. }), "{state:?}");
        environment.destroy().await.unwrap();
    });
}

#[test]
fn what_ends_well_is_not_restarted_on_failure() {
    on(RuntimeKind::Process, |kind| async move {
        let (_, runtime) = open(kind).await;
        let marker = tempfile::tempdir().unwrap();
        let script = format!("echo run >> {}/runs", marker.path().display());
        let service = Service::new("product").program("/bin/sh").restart(RestartPolicy::OnFailure { retries: 0 });
        run(runtime.as_ref(), service, &script).await;
        eventually("it ends", || async {
            matches!(runtime.status(&first()).await.unwrap().state, State::Exited { .. })
                && marker.path().join("runs").exists()
        })
        .await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(std::fs::read_to_string(marker.path().join("runs")).unwrap(), "run\n");
        runtime.destroy().await.unwrap();
    });
}

/// Starts a shell for `script`, as an instance of `service`.
async fn run(runtime: &dyn chaos_harness::runtime::Runtime, service: Service, script: &str) {
    runtime.prepare(&alone(service.clone())).await.unwrap();
    let args = vec!["-c".to_owned(), script.to_owned()];
    runtime.start(&InstanceSpec { id: first(), service, args, env: BTreeMap::new() }).await.unwrap();
}

/// More than what every service has without a word.
const GRACE: Duration = Duration::from_millis(3500);

#[test]
fn the_grace_of_a_stop_is_the_service_s() {
    on(RuntimeKind::Process, |kind| async move {
        let environment = start(kind, alone(product().stop_grace(GRACE))).await;
        let stopped = target("product").stop().fault.inject(&environment).await.unwrap();
        assert_eq!(stopped.mechanism(), "stop signal, SIGKILL after 3s 500ms");
        environment.destroy().await.unwrap();

        let (_, runtime) = open(kind).await;
        let marker = tempfile::tempdir().unwrap();
        let (ready, bye) = (marker.path().join("ready"), marker.path().join("bye"));
        let script = format!(
            "trap 'sleep 2.5; echo > {}; exit 0' TERM; echo > {}; while :; do sleep 0.05; done",
            bye.display(),
            ready.display()
        );
        run(runtime.as_ref(), Service::new("product").program("/bin/sh").stop_grace(GRACE), &script).await;
        eventually("it is ready", || async { ready.exists() }).await;
        runtime.destroy().await.unwrap();
        assert!(bye.exists(), "it had the time to say goodbye at the end");
    });
}

#[test]
fn the_grace_of_a_stop_is_the_service_s_in_containers_too() {
    on(RuntimeKind::Docker, |kind| async move {
        let environment = start(kind, alone(product().stop_grace(GRACE))).await;
        // One that stands still does not hear that it should end.
        environment.runtime().signal(&first(), Signal::Stop).await.unwrap();
        let since = Instant::now();
        let stopped = target("product").stop().fault.inject(&environment).await.unwrap();
        assert!(since.elapsed() >= GRACE, "killed after {:?}", since.elapsed());
        drop(stopped);
        environment.destroy().await.unwrap();
    });
}

#[test]
fn every_process_has_a_folder_of_its_own() {
    on(RuntimeKind::Process, |kind| async move {
        let environment = start(kind, alone(product().instances(2).restarts())).await;
        let folder = async |ordinal| -> PathBuf {
            let id = InstanceId::new("product", ordinal);
            let pid = environment.runtime().status(&id).await.unwrap().pid.unwrap();
            let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
            let variables = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
            let told = format!("CHAOS_INSTANCE_DIR={}", folder.display());
            assert!(variables.split(|byte| *byte == 0).any(|variable| variable == told.as_bytes()), "{told}");
            folder
        };
        let (one, other) = (folder(1).await, folder(2).await);
        assert_ne!(one, other);
        std::fs::write(one.join("state"), "kept").unwrap();
        environment.runtime().kill(&first()).await.unwrap();
        eventually("it comes back", || async {
            environment.runtime().status(&first()).await.unwrap().state == State::Running
        })
        .await;
        assert_eq!(folder(1).await, one);
        assert_eq!(std::fs::read_to_string(one.join("state")).unwrap(), "kept");
        environment.destroy().await.unwrap();
        assert!(!one.exists() && !other.exists());
    });
}
