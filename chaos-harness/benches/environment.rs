//! How long an environment takes to come up and to go, beside `docker run` of the same containers.
//!
//! `cargo bench -p chaos-harness --bench environment`; prints a table and writes `bench/environment.json` into the
//! folder of the harness. Without an engine it is visibly not run.

#![allow(clippy::print_stdout)]

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chaos_harness::environment::Environment;
use chaos_harness::folders::chaos_dir;
use chaos_harness::runtime::{EnvironmentId, Runtime, RuntimeChoice, RuntimeKind, choose};
use chaos_harness::topology::Topology;

const PAIRS: usize = 10;
const SERVICES: [&str; 4] = ["gateway", "order", "inventory", "product"];

fn shop() -> Topology {
    chaos_harness::topology! {
        shop:
        gateway { cargo: "shop" / "shop", args: ["gateway"], health: "/health/ready" },
        order { cargo: "shop" / "shop", args: ["order"], health: "/health/ready" },
        inventory { cargo: "shop" / "shop", args: ["inventory"], health: "/health/ready" },
        product { cargo: "shop" / "shop", args: ["product"], health: "/health/ready" },
        gateway -> order: http, product: http;
        order -> inventory: http;
        inventory -> product: http;
    }
}

fn main() {
    if !Command::new("docker").arg("version").output().is_ok_and(|output| output.status.success()) {
        return println!("not run: no docker engine");
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(ours()); // The first one builds the image.
    let image = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", "chaos-harness/shop-shop"]);
    let image = image.lines().next().expect("the image that was just built").to_owned();
    let mut rows = Vec::new();
    for pair in 0..PAIRS {
        let (up, down) = runtime.block_on(ours());
        let theirs = theirs(&image, pair);
        println!("up {up:>8.0?}   docker run {theirs:>8.0?}   ratio {:.2}   down {down:>8.0?}", ratio(up, theirs));
        rows.push((up, theirs, down));
    }
    report(&rows);
}

/// Up: network, links, containers, all healthy. Down: everything of the environment's label is gone.
async fn ours() -> (Duration, Duration) {
    let id = EnvironmentId::new("bench");
    let began = Instant::now();
    let (runtime, _) = choose(RuntimeChoice::Only(RuntimeKind::Docker), &id).await.expect("an engine");
    let runtime: Arc<dyn Runtime> = Arc::from(runtime);
    let environment = Environment::start(&shop(), runtime, 1).await.expect("a healthy shop");
    let up = began.elapsed();
    let began = Instant::now();
    environment.destroy().await.expect("nothing is left");
    let down = began.elapsed();
    let label = format!("label=chaos-harness.environment={}", id.name());
    let left = docker(&["ps", "-aq", "--filter", &label]) + &docker(&["network", "ls", "-q", "--filter", &label]);
    assert_eq!(left, "", "left of {}", id.name());
    (up, down)
}

/// The same containers on a fresh network, started in parallel by the command line; no health is waited for.
fn theirs(image: &str, pair: usize) -> Duration {
    let network = format!("chaos-bench-{}-{pair}", std::process::id());
    let name = |service: &str| format!("{network}-{service}");
    let began = Instant::now();
    docker(&["network", "create", &network]);
    std::thread::scope(|scope| {
        for service in SERVICES {
            let (name, network) = (name(service), &network);
            scope.spawn(move || {
                let urls = ["ORDER_URL", "PRODUCT_URL", "INVENTORY_URL"].map(|key| format!("{key}=http://127.0.0.1:9"));
                let [a, b, c] = &urls;
                docker(&[
                    "run",
                    "-d",
                    "--init",
                    "--name",
                    &name,
                    "--network",
                    network,
                    "-e",
                    a,
                    "-e",
                    b,
                    "-e",
                    c,
                    image,
                    service,
                ]);
            });
        }
    });
    let took = began.elapsed();
    let names = SERVICES.map(name);
    docker(&["rm", "-f", &names[0], &names[1], &names[2], &names[3]]);
    docker(&["network", "rm", &network]);
    took
}

fn report(rows: &[(Duration, Duration, Duration)]) {
    let ratios = median(rows.iter().map(|(up, theirs, _)| ratio(*up, *theirs)));
    let up = median(rows.iter().map(|row| row.0.as_secs_f64()));
    let run = median(rows.iter().map(|row| row.1.as_secs_f64()));
    let down = median(rows.iter().map(|row| row.2.as_secs_f64()));
    println!("median: up {up:.3} s, docker run {run:.3} s, ratio {ratios:.2} (bar 2), down {down:.3} s (bar 1 s)");
    let folder = chaos_dir().join("bench");
    let json =
        serde_json::json!({ "up_s": up, "docker_run_s": run, "ratio": ratios, "down_s": down, "pairs": rows.len() });
    std::fs::create_dir_all(&folder).expect("a folder for the result");
    std::fs::write(folder.join("environment.json"), json.to_string()).expect("the result is written");
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
