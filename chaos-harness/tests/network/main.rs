//! Faults in the network namespaces of real containers: who still reaches whom, and that nothing stays.
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

#[path = "../common/mod.rs"]
mod common;
mod names;
mod peers;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use chaos_harness::environment::Environment;
use chaos_harness::fault::{FaultKind, Injected};
use chaos_harness::prelude::*;
use chaos_harness::runtime::RuntimeKind;
use chaos_harness::topology::InstanceId;
use chaos_harness_netns::Namespace;
use common::inside::{may_enter, namespace};
use common::{docker, eventually, not_run, on, product, start};
use names::time_to_find;

const SHORT: Duration = Duration::from_millis(400);

/// `order` -> `inventory` -> `product`.
fn three() -> Topology {
    let service = |name: &str| Service::new(name).cargo("shop", "shop").args([name]).http("/health/ready");
    let chain = Topology::new("three").service(service("order")).service(service("inventory")).service(product());
    chain.link("order", "inventory").link("inventory", "product")
}

/// How an attempt to connect ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    Answer,
    Nothing,
    Refusal,
}

/// Runs `test` on containers whose network may be entered.
fn on_containers<F: Future<Output = ()>>(test: impl FnOnce(RuntimeKind) -> F) {
    if !may_enter() {
        return not_run("network namespaces may not be entered; it takes root");
    }
    on(RuntimeKind::Docker, test);
}

/// What `caller` meets that connects to `address`.
async fn connect(environment: &Environment, caller: &str, address: SocketAddr) -> Met {
    let namespace = namespace(environment, caller).await;
    let connected = move || namespace.run(|| TcpStream::connect_timeout(&address, SHORT)).unwrap();
    match tokio::task::spawn_blocking(connected).await.unwrap() {
        Ok(_) => Met::Answer,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Met::Refusal,
        Err(error) if error.kind() == ErrorKind::TimedOut => Met::Nothing,
        Err(error) => panic!("{error}"),
    }
}

/// What `caller` meets on its link to `callee`.
async fn call(environment: &Environment, caller: &str, callee: &str) -> Met {
    connect(environment, caller, environment.links(caller, callee)[0].addr()).await
}

/// What `caller` meets that goes to `callee` past the links.
async fn direct(environment: &Environment, caller: &str, callee: &str) -> Met {
    let status = environment.runtime().status(&InstanceId::new(callee, 1)).await.unwrap();
    connect(environment, caller, status.address.unwrap()).await
}

async fn users(environment: &Environment, service: &str) -> bool {
    let address = environment.address(service).unwrap();
    let client = reqwest::Client::builder().timeout(SHORT).build().unwrap();
    client.get(format!("http://{address}/health/live")).send().await.is_ok()
}

async fn inject(environment: &Environment, fault: Injection) -> Box<dyn Injected> {
    fault.validate(environment.topology()).unwrap();
    fault.fault.inject(environment).await.unwrap()
}

async fn undo(environment: &Environment, mut injected: Box<dyn Injected>) {
    injected.roll_back(environment).await.unwrap();
    injected.roll_back(environment).await.unwrap();
    assert!(injected.attest_gone(environment).await.shown);
    assert_eq!(environment.runtime().undo_log().noted(), []);
}

#[test]
fn between_two_services() {
    on_containers(|kind| async move {
        let environment = start(kind, three()).await;
        assert_eq!(call(&environment, "order", "inventory").await, Met::Answer);
        assert_eq!(direct(&environment, "order", "inventory").await, Met::Answer);
        let mut cut = inject(&environment, network("inventory").peer("order").cut()).await;
        assert_eq!(call(&environment, "order", "inventory").await, Met::Nothing);
        assert_eq!(direct(&environment, "order", "inventory").await, Met::Nothing);
        assert_eq!(call(&environment, "inventory", "product").await, Met::Answer);
        assert!(users(&environment, "inventory").await && users(&environment, "order").await);
        let bite = cut.attest(&environment).await;
        assert!(bite.shown, "{}", bite.looked_at);
        cut.roll_back(&environment).await.unwrap();
        let healed = Instant::now();
        assert_eq!(call(&environment, "order", "inventory").await, Met::Answer);
        eprintln!("healed {:?} after the rollback; {}; {}", healed.elapsed(), bite.looked_at, cut.mechanism());
        assert!(healed.elapsed() < Duration::from_millis(100), "{:?}", healed.elapsed());
        undo(&environment, cut).await;

        let refused = inject(&environment, network("order").peer("inventory").reject()).await;
        let since = Instant::now();
        assert_eq!(call(&environment, "order", "inventory").await, Met::Refusal);
        assert_eq!(direct(&environment, "order", "inventory").await, Met::Refusal);
        assert!(since.elapsed() < Duration::from_millis(100), "{:?}", since.elapsed());
        undo(&environment, refused).await;
        environment.destroy().await.unwrap();
    });
}

/// A datagram past the links arrives one way alone.
#[test]
fn one_way_is_one_way() {
    on_containers(|kind| async move {
        let environment = start(kind, three()).await;
        for (fault, out, back) in [
            (network("order").peer("product").outbound().cut(), false, true),
            (network("order").peer("product").inbound().cut(), true, false),
            (network("order").outbound().cut(), false, true),
        ] {
            let words = fault.fault.to_string();
            let fault = inject(&environment, fault).await;
            assert_eq!(datagram(&environment, "order", "product").await, out, "{words}");
            assert_eq!(datagram(&environment, "product", "order").await, back, "{words}");
            undo(&environment, fault).await;
        }
        environment.destroy().await.unwrap();
    });
}

async fn datagram(environment: &Environment, from: &str, to: &str) -> bool {
    let (sender, receiver) = (namespace(environment, from).await, namespace(environment, to).await);
    let address = environment.runtime().status(&InstanceId::new(to, 1)).await.unwrap().address.unwrap();
    let bind = |namespace: &Namespace| namespace.run(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    let (sender, receiver) = (bind(&sender), bind(&receiver));
    receiver.set_read_timeout(Some(SHORT)).unwrap();
    sender.send_to(b"x", (address.ip(), receiver.local_addr().unwrap().port())).unwrap();
    receiver.recv(&mut [0; 1]).is_ok()
}

#[test]
fn groups_that_cannot_reach_each_other() {
    on_containers(|kind| async move {
        let environment = start(kind, three()).await;
        let split = inject(&environment, partition([vec!["order", "inventory"], vec!["product"]])).await;
        assert_eq!(call(&environment, "order", "inventory").await, Met::Answer);
        assert_eq!(call(&environment, "inventory", "product").await, Met::Nothing);
        assert_eq!(direct(&environment, "product", "order").await, Met::Nothing);
        assert!(users(&environment, "product").await);
        // Another fault comes and goes, and leaves the partition alone.
        let lossy = inject(&environment, network("order").loss(1.0)).await;
        assert_eq!(call(&environment, "order", "inventory").await, Met::Nothing);
        lossy_goes(&environment, lossy).await;
        assert_eq!(call(&environment, "order", "inventory").await, Met::Answer);
        assert_eq!(call(&environment, "inventory", "product").await, Met::Nothing);
        undo(&environment, split).await;
        assert_eq!(call(&environment, "inventory", "product").await, Met::Answer);
        environment.destroy().await.unwrap();
    });
}

async fn lossy_goes(environment: &Environment, mut lossy: Box<dyn Injected>) {
    assert!(lossy.attest(environment).await.shown);
    lossy.roll_back(environment).await.unwrap();
    assert!(lossy.attest_gone(environment).await.shown);
}

#[test]
fn a_target_that_is_gone_has_nothing_to_undo() {
    on_containers(|kind| async move {
        let environment = start(kind, three()).await;
        let mut cut = inject(&environment, network("order").cut()).await;
        environment.runtime().stop(&InstanceId::new("order", 1), Duration::ZERO).await.unwrap();
        cut.roll_back(&environment).await.unwrap();
        cut.roll_back(&environment).await.unwrap();
        assert!(cut.attest_gone(&environment).await.shown);
        environment.destroy().await.unwrap();
    });
}

#[test]
fn an_instance_that_is_started_anew_is_followed() {
    on_containers(|kind| async move {
        let environment = start(kind, three()).await;
        let mut cut = inject(&environment, network("order").cut()).await;
        let late = Duration::from_millis(300);
        let mut slow = inject(&environment, network("order").dns_delay(late)).await;
        assert!(!users(&environment, "order").await);
        assert!(cut.attest(&environment).await.shown);
        let id = InstanceId::new("order", 1);
        environment.runtime().stop(&id, Duration::ZERO).await.unwrap();
        let bite = cut.attest(&environment).await;
        assert!(!bite.shown && bite.looked_at.contains("was replaced meanwhile"), "{}", bite.looked_at);
        environment.runtime().start_again(&id).await.unwrap();
        let since = Instant::now();
        while cut.attest(&environment).await.looked_at.contains("was replaced meanwhile") {
            assert!(since.elapsed() < SHORT * 4, "the rules do not come back");
        }
        eprintln!("the rules are there again {:?} after the start", since.elapsed());
        eventually("it is cut off again", || async { cut_off(&environment, "order").await }).await;
        assert!(time_to_find(&environment, "order").await >= late);
        for (fault, words) in [(&mut cut, " packets dropped"), (&mut slow, " questions over UDP held back")] {
            let bite = fault.attest(&environment).await;
            let again = format!("{words}; done again after 1 restart(s)");
            assert!(bite.shown && bite.looked_at.ends_with(&again), "{}", bite.looked_at);
        }
        slow.roll_back(&environment).await.unwrap();
        undo(&environment, cut).await;
        assert!(time_to_find(&environment, "order").await < late);
        eventually("users reach it again", || users(&environment, "order")).await;
        environment.destroy().await.unwrap();
    });
}

/// Whether nothing passes between `service` and its link.
async fn cut_off(environment: &Environment, service: &str) -> bool {
    !users(environment, service).await && call(environment, service, "inventory").await == Met::Nothing
}

#[test]
fn latency_is_the_kernels_or_the_links_and_says_which() {
    on_containers(|kind| async move {
        let environment = start(kind, three()).await;
        let latency = Duration::from_millis(200);
        let slow = network("inventory").peer("product").latency(latency);
        slow.fault.check_machine().unwrap();
        let slow = inject(&environment, slow).await;
        let mechanism = slow.mechanism();
        eprintln!("latency by {mechanism}");
        let strict = network("inventory").peer("product").in_kernel().latency(latency).fault;
        match strict.check_machine() {
            Ok(()) => assert!(mechanism.starts_with("netem in the network of process"), "{mechanism}"),
            Err(error) => {
                assert!(
                    mechanism.starts_with("link proxy, since netem needs the kernel module sch_netem"),
                    "{mechanism}"
                );
                assert_eq!(strict.inject(&environment).await.err().unwrap().to_string(), error.to_string());
                let rest = "which this kernel does not have; use `link(..).latency(..)`, or `link(..).udp()`";
                assert!(error.to_string().contains(rest), "{error}");
            }
        }
        undo(&environment, slow).await;
        environment.destroy().await.unwrap();
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    let topology = three();
    let cases = [
        (network("order").loss(0.0), "`0% of packets lost on order`: a loss of 0 is outside above 0, to 1"),
        (network("order").loss_every(0), "`1 in 0 packets lost on order`: a loss of 0 is outside 1 or more"),
        (network("order").peer("order").cut(), "service `order` cannot be its own peer"),
        (network("order").peer("db").cut(), "no service is named `db`"),
        (network("order").instance(2).cut(), "there is no order-2; service `order` has 1 instance(s)"),
        (
            network("inventory").peer(USERS).cut(),
            "`packets dropped on inventory <-> users`: the users of `inventory` cannot be told from its other callers",
        ),
        (network("order").inbound().latency(1.secs()), "`packets delayed by 1s on order inwards`: only what a service"),
        (network("order").peer("product").latency(1.secs()), "link order -> product was not declared"),
        (network("order").jittery_latency(1.secs(), 2.secs()), "`packets delayed by 1s +/- 2s on order outwards`: a j"),
        (network("order").reorder(0.1, 0.secs()), "`packets 10% reordered on order outwards`: a latency of 0s"),
        (network("order").dns_delay(0.secs()), "`names answered 0s later on order`: a delay of 0s is outside above 0s"),
        (network("order").rate(0), "`packets beyond 0 B/s dropped on order`: a rate of 0"),
        (partition([["order"]]), "these groups make no partition: it takes two groups at least"),
        (partition([["order"], ["order"]]), "these groups make no partition: `order` is named twice"),
    ];
    for (fault, message) in cases {
        let error = fault.validate(&topology).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    network("order").peer(USERS).cut().validate(&topology).unwrap();
}

#[test]
fn users_alone() {
    on_containers(|kind| async move {
        let environment = start(kind, three()).await;
        let cut = inject(&environment, network("order").peer(USERS).cut()).await;
        assert!(!users(&environment, "order").await);
        assert_eq!(call(&environment, "order", "inventory").await, Met::Answer);
        undo(&environment, cut).await;
        eventually("users reach it again", || users(&environment, "order")).await;
        environment.destroy().await.unwrap();
    });
}

/// The same through a helper container, as for a user who may only talk to the engine.
#[test]
fn through_a_helper() {
    on_containers(|_| async {
        let test = ["--exact", "with_a_helper_alone", "--ignored", "--nocapture"];
        let mut again = Command::new(std::env::current_exe().unwrap());
        let output = again.args(test).env("CHAOS_NETWORK_HELPER", "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        eprintln!("{text}");
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    });
}

#[test]
#[ignore = "run by the test above, in an environment of its own"]
fn with_a_helper_alone() {
    on_containers(|kind| async move {
        let environment = start(kind, three()).await;
        let mut cut = inject(&environment, network("order").peer("inventory").cut()).await;
        eprintln!("{}", cut.mechanism());
        assert!(cut.mechanism().contains("through a helper in the network of container"), "{}", cut.mechanism());
        assert_eq!(call(&environment, "order", "inventory").await, Met::Nothing);
        assert!(cut.attest(&environment).await.shown);
        let label = format!("label=chaos-harness.environment={}", environment.runtime().undo_log().environment());
        assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &label]).lines().count(), 3, "no helper stays");
        undo(&environment, cut).await;
        assert_eq!(call(&environment, "order", "inventory").await, Met::Answer);
        let late = Duration::from_millis(300);
        let mut slow = inject(&environment, network("order").dns_delay(late)).await;
        let during = time_to_find(&environment, "order").await;
        let bite = slow.attest(&environment).await;
        eprintln!("{late:?} later: {during:?}; {}; {}", bite.looked_at, slow.mechanism());
        assert!(during >= late && bite.looked_at == "9 questions over UDP held back", "{during:?}, {bite:?}");
        undo(&environment, slow).await;
        assert!(time_to_find(&environment, "order").await < late);
        assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &label]).lines().count(), 3, "no helper stays");
        let mut gone = inject(&environment, network("order").cut()).await;
        environment.runtime().stop(&InstanceId::new("order", 1), Duration::ZERO).await.unwrap();
        gone.roll_back(&environment).await.unwrap();
        environment.destroy().await.unwrap();
    });
}

#[test]
fn processes_have_no_network_of_their_own() {
    on(RuntimeKind::Process, |kind| async move {
        let environment = start(kind, three()).await;
        let error = environment.runtime().network(&InstanceId::new("order", 1)).await.unwrap_err().to_string();
        assert!(error.starts_with("the process runtime gives order-1 no network of its own"), "{error}");
        let mut slow = inject(&environment, network("inventory").peer("product").latency(1.secs())).await;
        assert_eq!(slow.mechanism(), "link proxy, since the process runtime has no network namespaces");
        slow.roll_back(&environment).await.unwrap();
        environment.destroy().await.unwrap();
    });
}
