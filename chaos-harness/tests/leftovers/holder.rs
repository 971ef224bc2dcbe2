//! A test that has one fault of the catalogue in force until it is ended.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use chaos_harness::environment::Environment;
use chaos_harness::experiment::Plan;
use chaos_harness::fault::{Fault, FaultKind, Injected};
use chaos_harness::prelude::*;
use chaos_harness::runtime::RuntimeKind;
use chaos_harness::topology::{Protocol, USERS};

use crate::common::asking::{self, ask, ask_over_http, ask_over_udp, stressed};
use crate::common::eventually;
use crate::victim::Victim;

/// Every example of the catalogue, and whether users who ask make it bite.
pub(crate) fn examples() -> Vec<(Fault, bool)> {
    let entries = Fault::catalogue().into_iter();
    let each = entries.flat_map(|entry| entry.examples.into_iter().map(move |fault| (fault, entry.shown_by)));
    each.map(|(fault, shown_by)| (shown_by.is_none() || asking::is_asked_from_inside(&fault), fault))
        .map(|(bites, fault)| (fault, bites))
        .collect()
}

/// What stands before the words of a line that the holder prints.
const REFUSED: &str = "refused: ";
const IN_FORCE: &str = "in force: ";
const NO_MORE: &str = "no more";

/// The examples in `EXAMPLES` are tried in turn; the first that is not refused is held.
#[chaos_test]
#[ignore = "ended by the tests of this file"]
async fn holds_one(lab: Lab) -> chaos_harness::Result<()> {
    let session = lab.start(Plan::new("holder", 1, topology())).await?;
    let environment = session.environment();
    let wanted = std::env::var("EXAMPLES").unwrap();
    for number in wanted.split(',').map(|number| number.parse::<usize>().unwrap()) {
        let (fault, bites) = &examples()[number];
        if matches!(fault, Fault::CpuQuota(_)) {
            asking::calibrate(environment).await;
        }
        match inject(environment, fault).await {
            Err(refusal) => println!("{REFUSED}{number} {fault}: {refusal}"),
            Ok(mut injected) => {
                let shown =
                    if *bites { until_it_bites(environment, fault, injected.as_mut()).await } else { String::new() };
                println!("{IN_FORCE}{number} {}; {shown}", injected.mechanism());
                std::future::pending::<()>().await;
            }
        }
    }
    println!("{NO_MORE}");
    session.judge().await.map(drop)
}

/// The containers that `EXISTING` names; an environment's own services without it.
fn topology() -> Topology {
    let Ok(existing) = std::env::var("EXISTING") else {
        let docker = std::env::var("CHAOS_RUNTIME").is_ok_and(|runtime| runtime == "docker");
        return stressed(if docker { RuntimeKind::Docker } else { RuntimeKind::Process });
    };
    let (inventory_container, product_container) = existing.split_once(',').unwrap();
    let inventory = Service::new("inventory").existing(inventory_container);
    let product = Service::new("product").existing(product_container).http("/health/ready").control_port(9100);
    let pair = Topology::new("existing").service(inventory).service(product).link("inventory", "product");
    pair.link_over(USERS, "product", Protocol::Http).link_over(USERS, "product", Protocol::Udp)
}

async fn inject(
    environment: &Environment,
    fault: &Fault,
) -> Result<Box<dyn Injected>, chaos_harness::fault::FaultError> {
    fault.validate(environment.topology())?;
    fault.inject(environment).await
}

/// What was measured of its bite.
async fn until_it_bites(environment: &Environment, fault: &Fault, injected: &mut dyn Injected) -> String {
    let injected = tokio::sync::Mutex::new(injected);
    eventually(&format!("`{fault}` to bite"), || async {
        tokio::join!(ask_over_http(environment), ask_over_udp(environment), ask(environment, fault));
        injected.lock().await.attest(environment).await.shown
    })
    .await;
    injected.lock().await.attest(environment).await.looked_at
}

/// What a holder has come to.
#[derive(Clone, Copy)]
pub(crate) enum Came {
    /// This example is in force.
    InForce(usize),
    /// It was refused all the others.
    ToAnEnd,
}

/// A holder that has come so far, and what it was refused on the way.
pub(crate) struct Holder {
    pub(crate) victim: Victim,
    pub(crate) came: Came,
    pub(crate) refused: Vec<String>,
}

impl Holder {
    /// Starts one for the examples of these numbers.
    pub(crate) fn start(runtime: &str, numbers: &[usize], variables: &[(&str, &str)]) -> Self {
        let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
        let numbers = numbers.join(",");
        let mut victim = Victim::start_test(
            "holder::holds_one",
            runtime,
            &[&[("EXAMPLES", numbers.as_str())][..], variables].concat(),
        );
        let mut refused = Vec::new();
        for line in BufReader::new(victim.process.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // The runner's own words stand before the first of them.
            if let Some((_, words)) = line.split_once(REFUSED) {
                refused.push(words.to_owned());
            } else if let Some((_, words)) = line.split_once(IN_FORCE) {
                let number = words.split(' ').next().unwrap().parse().unwrap();
                return Self { victim, came: Came::InForce(number), refused };
            } else if line.contains(NO_MORE) {
                return Self { victim, came: Came::ToAnEnd, refused };
            }
        }
        let output = victim.process.wait_with_output().unwrap();
        panic!("the holder of {numbers} ended: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Ends it as a crash does; how long something of it was left.
    pub(crate) fn kill(mut self, context: &str) -> Duration {
        self.victim.kill();
        self.victim.wait_until_gone(context)
    }
}
