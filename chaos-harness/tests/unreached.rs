//! A fault on what no request can reach: it is said so, and no recovery is upheld by it.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use chaos_harness::prelude::*;
use chaos_harness::report::{Report, html, json, junit, markdown, text};

/// `inventory` -> `product`, and nobody asks inventory.
fn pair() -> Topology {
    topology! {
        pair:
        inventory { cargo: "shop" / "shop", args: ["inventory"], health: "/health/ready" },
        product { cargo: "shop" / "shop", args: ["product"], health: "/health/ready" },
        inventory -> product;
    }
}

#[chaos_test(runtime = "process")]
async fn a_fault_that_no_request_can_feel_says_so(lab: Lab) -> chaos_harness::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let lab = lab.with_journals_in(folder.path());
    let killed = |claim| {
        let experiment = lab.experiment(pair()).load(Load::get("product", "/products").deadline(1.secs()));
        let killed = experiment.baseline(1.secs()).inject(target("inventory").kill().hold(1.secs()));
        killed.hypothesis(claim).run()
    };
    let verdict = killed(hypothesis!(recovery < 5s)).await?.to_string();
    let because = "nothing ever passed on a link of `kill inventory`, so no request can have felt it";
    assert!(verdict.starts_with("inconclusive: recovery < 5s: not measured ("), "{verdict}");
    assert!(verdict.contains(because), "{verdict}");

    std::fs::remove_dir_all(folder.path()).unwrap();
    let verdict = killed(hypothesis!(availability > 95%)).await?;
    assert!(verdict.is_upheld(), "{verdict}");
    let report = Report::read(folder.path()).unwrap();
    let formats = [
        text::render(&report, text::Style::plain()),
        markdown::render(&report),
        html::render(&report),
        junit::render(&report).unwrap(),
        json::render(&report).unwrap(),
    ];
    for format in formats {
        let told = ["so no request can have felt it", "nothing passed on any"];
        assert!(told.iter().all(|told| format.contains(told)), "{format}");
    }
    Ok(())
}
