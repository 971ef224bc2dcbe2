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

/// Nothing starts it again but the rollback; no abort condition comes before that.
async fn down(lab: Lab) -> chaos_harness::Result<Verdict> {
    lab.experiment(topology! { first: product { cargo: "shop" / "shop", args: ["product"], health: "/health/ready" } })
        .load(Load::get("product", "/products"))
        .inject(target("product").kill())
        .hypothesis(hypothesis!(availability > 95%))
        .run()
        .await
}

#[rstest]
fn a_first_experiment_concludes(
    #[values("slow", "killed", "down")] experiment: &str,
    #[values("process", "docker")] runtime: &'static str,
) {
    if runtime == "docker" && !engine_answers() {
        return not_run("no docker engine");
    }
    let settings = TestSettings::default()
        .test("first::a_first_experiment_concludes", file!(), line!())
        .package(env!("CARGO_PKG_NAME"), env!("CARGO_MANIFEST_DIR"))
        .target(env!("CARGO_CRATE_NAME"), option_env!("CARGO_BIN_NAME"), option_env!("CARGO_TARGET_TMPDIR"))
        .runtime(runtime);
    let folder = tempfile::tempdir().unwrap();
    let body = async |lab: Lab| {
        let lab = lab.with_journals_in(folder.path());
        match experiment {
            "slow" => slow(lab).await,
            "killed" => killed(lab).await,
            _ => match down(lab).await? {
                refuted if refuted.is_refuted() => Ok(Verdict::Upheld),
                other => Err(Box::<dyn std::error::Error + Send + Sync>::from(other.to_string()).into()),
            },
        }
    };
    run_test(settings, body).unwrap_or_else(|failure| panic!("{failure}"));
}
