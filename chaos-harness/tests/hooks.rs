//! What a test does of its own within an experiment: before the load, and when a probe shows something.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chaos_harness::experiment::Plan;
use chaos_harness::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn product() -> Topology {
    topology! { alone: product { cargo: "shop" / "shop", args: ["product"], health: "/health/ready" } }
}

fn apart(lab: Lab) -> Lab {
    lab.with_journals_in(chaos_harness::folders::chaos_dir().join("journals-of-tests"))
}

async fn asked(address: std::net::SocketAddr) -> Outcome<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(b"GET /products HTTP/1.1\r\nhost: product\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[chaos_test(runtime = "process")]
async fn services_are_found_before_the_load_begins(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let done = Arc::new(AtomicBool::new(false));
    let noted = done.clone();
    let verdict = lab
        .experiment(product())
        .before_load(move |addresses| async move {
            assert_eq!(addresses.get("nobody"), None);
            let address = addresses.get("product").ok_or("product has no address")?;
            assert_eq!(addresses.url("product"), Some(format!("http://{address}")));
            assert!(asked(address).await?.starts_with("HTTP/1.1 200"), "it is up");
            noted.store(true, Ordering::Relaxed);
            Outcome::Ok(())
        })
        .load(Load::get("product", "/products").rate(100).deadline(1.secs()))
        .inject(link(USERS, "product").latency(5.millis()).hold(500.millis()))
        .hypothesis(hypothesis!(availability > 95%))
        .run()
        .await?;
    assert!(done.load(Ordering::Relaxed), "it was done: {verdict}");
    let journal = lab.journals().pop().ok_or_else(|| Box::<dyn std::error::Error + Send + Sync>::from("no journal"))?;
    let link = journal.links.each.iter().find(|link| link.link.callee == "product").map(|link| link.total("accepted"));
    assert!(link > Some(1), "the link of users carries it as well: {link:?}");
    assert!(!verdict.is_refuted(), "5 ms are no outage: {verdict}");
    Ok(())
}

/// The test fails with it as well: an experiment that could not be carried out proves nothing.
#[chaos_test(runtime = "process")]
#[should_panic(expected = "the store is empty")]
async fn what_fails_before_the_load_fails_the_experiment(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let experiment = lab.experiment(product()).load(Load::get("product", "/products").rate(100));
    let experiment = experiment.before_load(|_| async { Err("the store is empty") });
    let injected = experiment.inject(target("product").pause().hold(500.millis())).hypothesis(hypothesis!(p99 < 9s));
    let error = injected.run().await.expect_err("nothing can be done without a store");
    assert_eq!(error.to_string(), "the store is empty");
    let journal = lab.journals().pop().expect("a start that failed leaves a journal");
    assert_eq!(journal.problems[0].to_string(), "the store is empty");
    assert!(journal.samples.decode().is_ok_and(|samples| samples.is_empty()), "no request was sent");
    Ok(())
}

#[chaos_test(runtime = "process")]
async fn a_script_waits_for_what_a_probe_shows(lab: Lab) -> chaos_harness::Result<()> {
    let lab = apart(lab);
    let mut plan = Plan::new("seen", lab.seed(), product());
    plan.load = Some(Load::get("product", "/products").rate(50).deadline(500.millis()));
    plan.probes = vec![Probe::health("up", "product", "/health/live").every(50.millis()).deadline(200.millis())];
    plan.hypotheses = vec![hypothesis!(lowest("up") < 1)];
    let mut session = lab.start(plan).await?;
    session.until("it is up", 10.secs(), |seen| seen.probe("up") == Some(1.0)).await?;
    let fault = session.inject(target("product").stop()).await?;
    session.until("it is down", 10.secs(), |seen| seen.probe("up") == Some(0.0) && seen.probe("no").is_none()).await?;
    session.roll_back(fault).await?;
    let never = session.until("pigs fly", 200.millis(), |_| false).await.expect_err("they do not").to_string();
    assert!(never.contains(", up "), "the last values are told: {never}");
    let verdict = session.judge().await?;
    assert!(!verdict.is_refuted(), "the probe has read 0: {verdict}");
    Ok(())
}
