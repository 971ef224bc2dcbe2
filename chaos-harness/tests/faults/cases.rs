//! Chosen faults with what exactly a user sees while each is in force.

use std::time::Duration;

use chaos_harness::environment::Environment;
use chaos_harness::fault::{Fault, FaultKind, link, network, partition, target, targets};
use chaos_harness::link::http::Message;
use chaos_harness::link::toxic::{BlackHole, Ending, LimitData};
use chaos_harness::link::udp::toxic::{Bandwidth, PeriodicLoss};
use chaos_harness::runtime::{RuntimeKind, Signal};
use chaos_harness::topology::{Protocol, USERS};

use crate::common::asking::{SLOW, Seen, ask, ask_link, ask_over_udp, calibrate, stressed, why_not};
use crate::common::{eventually, inside, not_run, start};

/// Longer than any of it takes.
const HOLD: Duration = Duration::from_secs(600);

/// One fault of every registered kind, and every toxic, with what a user sees while it is in force.
fn cases() -> Vec<(Fault, Seen)> {
    vec![
        (link(USERS, "product").latency(SLOW).fault, Seen::Slow),
        (link(USERS, "product").black_hole().fault, Seen::Nothing),
        (link(USERS, "product").refuse().fault, Seen::Error),
        (link(USERS, "product").reset().fault, Seen::Error),
        (link(USERS, "product").slow_open(SLOW).fault, Seen::Slow),
        (link(USERS, "product").slow_close(SLOW).fault, Seen::Answer),
        (link(USERS, "product").limit_data(200).fault, Seen::Error),
        (link(USERS, "product").toxic(LimitData { bytes: 200, then: Ending::Reset }).fault, Seen::Error),
        (link(USERS, "product").bandwidth(1200).fault, Seen::Slow),
        (link(USERS, "product").shared_bandwidth(1200).fault, Seen::Slow),
        (link(USERS, "product").slicer(50, SLOW / 6).fault, Seen::Slow),
        (link(USERS, "product").corrupt(1.0).fault, Seen::Error),
        (link(USERS, "product").half_open().fault, Seen::Nothing),
        (link(USERS, "product").down().half_open().fault, Seen::Error),
        (link(USERS, "product").connection_limit(0).fault, Seen::Error),
        (link(USERS, "product").connection_queue(0).fault, Seen::Nothing),
        (link(USERS, "product").toxic(BlackHole { discard: true, ..BlackHole::default() }).fault, Seen::Nothing),
        (
            link(USERS, "product").toxic(BlackHole { close_after: Some(SLOW), ..BlackHole::default() }).fault,
            Seen::Error,
        ),
        (link(USERS, "product").http().get("/products").abort(503).fault, Seen::Error),
        (link(USERS, "product").http().has_header("traceparent").nth_of_trace(1).abort(503).fault, Seen::Error),
        (link(USERS, "product").http().path("/pro*").rate_limit(0, SLOW * 100).fault, Seen::Error),
        (link(USERS, "product").http().delay(SLOW).fault, Seen::Slow),
        (link(USERS, "product").http().every(1).delay_body(SLOW).fault, Seen::Slow),
        (link(USERS, "product").http().first(1).truncate(10).fault, Seen::Error),
        (link(USERS, "product").http().share(1.0).corrupt().fault, Seen::Answer),
        (link(USERS, "product").http().set_header(Message::Request, "x-tenant", "a").fault, Seen::Answer),
        (link(USERS, "product").http().drop_header(Message::Response, "content-type").fault, Seen::Answer),
        (link(USERS, "product").udp().loss(1.0).fault, Seen::Nothing),
        (link(USERS, "product").udp().down().toxic(PeriodicLoss { nth: 1 }).fault, Seen::Nothing),
        (link(USERS, "product").udp().burst_loss(0.99, 1e6).fault, Seen::Nothing),
        (link(USERS, "product").udp().delay(SLOW).fault, Seen::Slow),
        (link(USERS, "product").udp().toxic(Bandwidth::new(150)).fault, Seen::Slow),
        (link(USERS, "product").udp().duplicate(1.0).fault, Seen::Twice),
        (link(USERS, "product").udp().reorder(0.5).fault, Seen::Disorder),
        (link(USERS, "product").udp().corrupt(1.0).fault, Seen::Error),
        (link(USERS, "product").first(1000).refuse().fault, Seen::Error),
        (link(USERS, "product").every(1).reset().fault, Seen::Error),
        (link(USERS, "product").pulse(Duration::ZERO, HOLD).black_hole().fault, Seen::Nothing),
        (link(USERS, "product").square(2 * HOLD, HOLD).refuse().fault, Seen::Error),
        (target("product").in_process().path("/products").delay(SLOW).fault, Seen::Slow),
        (target("product").in_process().method("GET").path("/pro*").error(503).fault, Seen::Error),
        (target("product").in_process().path("/products").hang(HOLD).fault, Seen::Nothing),
        (target("product").in_process().has_header("traceparent").rate_limit(0, HOLD).fault, Seen::Error),
        (target("product").fail_point("product::list").returns("out of tea").fault, Seen::Error),
        (target("product").fail_point("product::list").sleeps(SLOW).fault, Seen::Slow),
        (target("product").fail_point("product::list").panics("no tea").fault, Seen::Error),
        (target("product").kill().fault, Seen::Error),
        (target("product").pause().fault, Seen::Nothing),
        (target("product").stop().fault, Seen::Error),
        (target("product").signal("SIGUSR1").fault, Seen::Error),
        (target("product").kill_with(Signal::Stop).fault, Seen::Nothing),
        (target("product").restart(HOLD).fault, Seen::Error),
        (target("product").crash_loop(SLOW / 3).fault, Seen::Error),
        (target("product").scale(0).fault, Seen::Error),
        (target("product").scale(2).fault, Seen::Answer),
        (target("product").disconnect().fault, Seen::Nothing),
        (target("product").cpu_quota(0.1).fault, Seen::Slow),
        (target("product").memory_limit(48 << 20).fault, Seen::Error),
        (target("product").process_limit(1).fault, Seen::Error),
        (target("product").cpu_stress(1).fault, Seen::Answer),
        (target("product").memory_stress_by(32 << 20).fault, Seen::Answer),
        (target("product").process_stress_by(50).fault, Seen::Answer),
        (target("product").descriptors_left(0).fault, Seen::Nothing),
        (target("product").slow_disk("/disk", 8).fault, Seen::Slow),
        (target("product").disk_bandwidth("/disk", 128 << 10).fault, Seen::Slow),
        (target("product").disk_full("/data").fault, Seen::Error),
        (target("product").fill_disk("/data", 0.5).fault, Seen::Answer),
        (targets(["inventory", "product"]).kill().fault, Seen::Error),
        (network("product").cut().fault, Seen::Nothing),
        (network("product").inbound().cut().fault, Seen::Nothing),
        (network("product").outbound().cut().fault, Seen::Nothing),
        (network("product").reject().fault, Seen::Error),
        (network("product").loss(1.0).fault, Seen::Nothing),
        (network("product").loss_every(1).fault, Seen::Nothing),
        (network("product").rate(100).fault, Seen::Nothing),
        (partition([["inventory"], ["product"]]).fault, Seen::Nothing),
        (network("inventory").peer("product").latency(SLOW).fault, Seen::Slow),
        (network("inventory").dns_refused().fault, Seen::Error),
        (network("inventory").dns_delay(SLOW).fault, Seen::Slow),
    ]
}

pub(crate) async fn all(kind: RuntimeKind) {
    let environment = start(kind, stressed(kind).link_over("inventory", "product", Protocol::Udp)).await;
    calibrate(&environment).await;
    for (fault, expected) in cases() {
        if !is_capable(&environment, &fault).await {
            continue;
        }
        if let Some(reason) = why_not(&fault, kind) {
            not_run(&format!("{fault} on {kind}: {reason}"));
            continue;
        }
        eventually("a healthy start", || async { ask(&environment, &fault).await == Seen::Answer }).await;
        conforms(&environment, &fault, expected).await;
    }
    services_have_udp_links_of_their_own(&environment).await;
    environment.destroy().await.unwrap();
}

/// Whether the runtime can do it. What it cannot is refused by name, and visibly not tested.
async fn is_capable(environment: &Environment, fault: &Fault) -> bool {
    let runtime = environment.runtime();
    let Some(missing) = fault.requires().iter().find(|needed| !runtime.capabilities().contains(needed)) else {
        return true;
    };
    let refused = fault.inject(environment).await.err().unwrap();
    assert!(refused.to_string().contains(&format!("the {} runtime", runtime.kind())), "{refused}");
    not_run(&format!("{fault}, on the {} runtime, which lacks {missing}", runtime.kind()));
    false
}

async fn conforms(environment: &Environment, fault: &Fault, expected: Seen) {
    fault.validate(environment.topology()).unwrap();
    let mut injected = fault.inject(environment).await.unwrap();
    match fault {
        // Between two crashes it answers.
        Fault::CrashLoop(_) => eventually("a crash", || async { ask(environment, fault).await == expected }).await,
        _ => assert_eq!(ask(environment, fault).await, expected, "{fault}"),
    }
    let mut bite = injected.attest(environment).await;
    // What a user does last, closing the connection, is felt a moment later.
    for _ in 0..100 {
        if bite.shown {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        bite = injected.attest(environment).await;
    }
    assert!(bite.shown, "{fault}: {}", bite.looked_at);
    injected.roll_back(environment).await.unwrap();
    let gone = injected.attest_gone(environment).await;
    assert!(gone.shown, "{fault}: {}", gone.looked_at);
}

/// Bound where targets find it, and not touched by what happens to the users' one.
async fn services_have_udp_links_of_their_own(environment: &Environment) {
    let links = environment.udp_links("inventory", "product");
    assert_eq!((links.len(), links[0].addr().ip()), (2, environment.runtime().link_host()));
    if environment.runtime().kind() == RuntimeKind::Docker && !inside::may_enter() {
        return not_run("network namespaces may not be entered, and links between services serve containers alone");
    }
    let socket = inside::socket(environment, "inventory", links[0].addr()).await;
    let mut lost = link(USERS, "product").udp().loss(1.0).fault.inject(environment).await.unwrap();
    assert_eq!(ask_link(socket, links[0].addr()).await, Seen::Answer);
    assert_eq!(ask_over_udp(environment).await, Seen::Nothing);
    lost.roll_back(environment).await.unwrap();
}
