//! A slow or dead inventory must not take the shop down with it: order -> inventory -> product.

use chaos_harness::experiment::Experiment;
use chaos_harness::prelude::*;
use resilience_tests::{inventory_breaker, shop, shoppers};

/// Inventory answers 5 s late while orders arrive fast.
fn slow_inventory(lab: &Lab, topology: Topology) -> Experiment {
    lab.experiment(topology)
        .load(shoppers())
        .probe(inventory_breaker())
        .steady_state(hypothesis!(availability > 99%))
        .steady_state(hypothesis!(degraded < 1%))
        .inject(link("order", "inventory").latency(5.secs()).hold(6.secs()))
}

/// The claims that were refuted.
fn refuted(verdict: &Verdict) -> Vec<String> {
    verdict.evidence().map(|finding| finding.hypothesis.to_string()).collect()
}

#[chaos_test]
async fn slow_inventory_does_not_cascade(lab: Lab) -> chaos_harness::Result<Verdict> {
    slow_inventory(&lab, shop())
        .hypothesis(hypothesis!(availability > 95%))
        .hypothesis(hypothesis!(error_rate < 5%))
        .hypothesis(hypothesis!(peak("breaker") >= 2))
        .hypothesis(hypothesis!(degraded("/orders") > 50%))
        .hypothesis(hypothesis!(p99("/orders") < 800ms))
        .hypothesis(hypothesis!(availability("/catalog") >= 99.9%))
        .hypothesis(hypothesis!(p99("/catalog") < 250ms))
        .hypothesis(hypothesis!(mttd < 3s))
        .hypothesis(hypothesis!(mttr < 2min))
        .hypothesis(hypothesis!(last("breaker") <= 0 during after))
        .belief("The breaker in front of inventory opens, orders are taken without a reservation, and browsing is untouched.")
        .learning("The first requests pay the timeout until the breaker has seen enough of them; everyone after is answered at once.")
        .improvement("Keep the timeout well under what users wait for: it is what the first of them pay.")
        .run()
        .await
}

#[chaos_test]
async fn without_the_breaker_every_order_pays_the_timeout(lab: Lab) -> chaos_harness::Result<()> {
    let verdict = slow_inventory(&lab, shop().with("order", |order| order.env("BREAKER", "off"))?)
        .hypothesis(hypothesis!(p99("/orders") < 800ms))
        .twin_without("breaker")
        .run()
        .await?;
    assert_eq!(refuted(&verdict), [r#"p99("/orders") < 800ms"#], "{verdict}");
    Ok(())
}

#[chaos_test]
async fn without_timeouts_orders_hang(lab: Lab) -> chaos_harness::Result<()> {
    let unprotected = shop()
        .with("order", |order| order.env("TIMEOUT", "off"))?
        .with("gateway", |gateway| gateway.env("TIMEOUT", "off"))?;
    let verdict = slow_inventory(&lab, unprotected)
        .hypothesis(hypothesis!(p99("/orders") < 800ms))
        .twin_without("timeout")
        .run()
        .await?;
    assert_eq!(refuted(&verdict), [r#"p99("/orders") < 800ms"#], "{verdict}");
    Ok(())
}

#[chaos_test]
async fn a_killed_inventory_comes_back_by_itself(lab: Lab) -> chaos_harness::Result<Verdict> {
    lab.experiment(shop())
        .load(shoppers())
        .steady_state(hypothesis!(availability > 99%))
        .steady_state(hypothesis!(degraded < 1%))
        .inject(target("inventory").kill().hold(3.secs()))
        .hypothesis(hypothesis!(availability > 95%))
        .hypothesis(hypothesis!(recovery < 30s))
        .hypothesis(hypothesis!(availability("/catalog") >= 99.9%))
        .belief("The restart policy brings inventory back within seconds, and orders meanwhile are taken without a reservation.")
        .learning("Users see fallbacks, not failures, for as long as the restart takes.")
        .improvement("Watch the restart count: a service that is restarted often recovers later each time.")
        .run()
        .await
}
