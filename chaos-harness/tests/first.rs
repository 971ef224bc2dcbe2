//! The first experiment that anybody writes: six lines, every default, and a verdict that says something.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

mod common;

use chaos_harness::__private::{TestSettings, run_test};
use chaos_harness::prelude::*;
use common::{engine_answers, not_run};
use rstest::rstest;

async fn slow(lab: Lab) -> chaos_harness::Result<Verdict> {
    lab.experiment(topology! { first: product { cargo: "shop" / "shop", args: ["product"], health: "/health/ready" } })
        .load(Load::get("product", "/products"))
        .inject(link(USERS, "product").latency(50.millis()))
        .hypothesis(hypothesis!(availability > 95%))
        .run()
        .await
}

async fn killed(lab: Lab) -> chaos_harness::Result<Verdict> {
    lab.experiment(topology! { first: product { cargo: "shop" / "shop", args: ["product"], restart: always } })
        .load(Load::get("product", "/products"))
        .inject(target("product").kill())
        .hypothesis(hypothesis!(recovery < 9s))
        .run()
        .await
}

#[rstest]
fn a_first_experiment_concludes(
    #[values("slow", "killed")] experiment: &str,
    #[values("process", "docker")] runtime: &'static str,
) {
    if runtime == "docker" && !engine_answers() {
        return not_run("no docker engine");
    }
    let settings = TestSettings {
        name: "first::a_first_experiment_concludes",
        package: env!("CARGO_PKG_NAME"),
        manifest_dir: env!("CARGO_MANIFEST_DIR"),
        crate_name: env!("CARGO_CRATE_NAME"),
        file: file!(),
        line: line!(),
        seed: None,
        timeout: None,
        runtime: Some(runtime),
    };
    let folder = tempfile::tempdir().unwrap();
    let body = async |lab: Lab| {
        let lab = lab.with_journals_in(folder.path());
        if experiment == "slow" { slow(lab).await } else { killed(lab).await }
    };
    run_test(settings, body).unwrap_or_else(|failure| panic!("{failure}"));
}
