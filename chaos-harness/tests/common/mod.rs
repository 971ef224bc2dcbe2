//! What the tests on real runtimes share.
#![allow(dead_code, reason = "each test uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

pub(crate) mod asking;
pub(crate) mod inside;

use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chaos_harness::environment::{Environment, EnvironmentError};
use chaos_harness::runtime::{EnvironmentId, Runtime, RuntimeChoice, RuntimeKind, choose};
use chaos_harness::topology::{Service, Topology};

/// Nothing on this machine takes longer, unless it is broken.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A service that knows products; it depends on nothing.
pub(crate) fn product() -> Service {
    Service::new("product").cargo("shop", "shop").args(["product"]).http("/health/ready").control_port(9100)
}

/// `inventory` -> `product`.
pub(crate) fn pair() -> Topology {
    let inventory = Service::new("inventory").cargo("shop", "shop").args(["inventory"]).http("/health/ready");
    Topology::new("pair").service(inventory).service(product()).link("inventory", "product")
}

/// Runs `test` on `kind`. Without an engine the docker half is visibly not run.
pub(crate) fn on<F: Future<Output = ()>>(kind: RuntimeKind, test: impl FnOnce(RuntimeKind) -> F) {
    if kind == RuntimeKind::Docker && !engine_answers() {
        return not_run("no docker engine");
    }
    tokio::runtime::Runtime::new().unwrap().block_on(test(kind));
}

/// An empty environment on `kind`.
pub(crate) async fn open(kind: RuntimeKind) -> (EnvironmentId, Arc<dyn Runtime>) {
    let id = EnvironmentId::new("conform");
    let (runtime, choice) = choose(RuntimeChoice::Only(kind), &id).await.unwrap();
    assert_eq!((choice.kind, runtime.kind()), (kind, kind));
    (id, Arc::from(runtime))
}

/// `topology` on `kind`, healthy.
pub(crate) async fn start(kind: RuntimeKind, topology: Topology) -> Environment {
    let (_, runtime) = open(kind).await;
    Environment::start(&topology, runtime, 1).await.unwrap()
}

/// Why `topology` does not start on `kind`; nothing of it is left.
pub(crate) async fn refused(kind: RuntimeKind, topology: Topology) -> EnvironmentError {
    let (id, runtime) = open(kind).await;
    let error = Environment::start(&topology, runtime.clone(), 1).await.unwrap_err();
    runtime.destroy().await.unwrap();
    assert_eq!(resources_of(&id), "");
    error
}

/// Waits until `condition` holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let since = Instant::now();
    while !condition().await {
        assert!(since.elapsed() < SOON, "{what}: not within {SOON:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The containers and networks of an environment, a line each.
pub(crate) fn resources_of(id: &EnvironmentId) -> String {
    if !engine_answers() {
        return String::new();
    }
    let label = format!("label=chaos-harness.environment={}", id.name());
    let containers = docker(&["ps", "--all", "--quiet", "--filter", &label]);
    containers + &docker(&["network", "ls", "--quiet", "--filter", &label])
}

/// What the engine's own command line says.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Where docker is asked for by name, as CI does, no engine is a failure and not a reason to run less.
pub(crate) fn engine_answers() -> bool {
    let demanded = std::env::var("CHAOS_RUNTIME").is_ok_and(|runtime| runtime == "docker");
    let answers = Command::new("docker").arg("version").output().is_ok_and(|output| output.status.success());
    assert!(answers || !demanded, "CHAOS_RUNTIME asks for docker, and no engine answers");
    answers
}

/// Visible past the test runner's capture: what did not run must not look as if it had passed.
pub(crate) fn not_run(reason: &str) {
    std::io::stderr().lock().write_all(format!("not run: {reason}\n").as_bytes()).unwrap();
}
