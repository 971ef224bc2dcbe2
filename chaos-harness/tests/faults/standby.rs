//! Instances on standby: there when a service is scaled up, and only then.

use std::io::ErrorKind;
use std::time::Duration;

use chaos_harness::environment::Environment;
use chaos_harness::fault::{FaultError, FaultKind, Injected, Injection, target};
use chaos_harness::runtime::{RuntimeError, RuntimeKind, State};
use chaos_harness::topology::{InstanceId, Topology, USERS};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::common::{eventually, product, start};

/// One instance that runs and two that might; they come back by themselves.
async fn one_of_three(kind: RuntimeKind) -> Environment {
    let service = product().instances(3).standby(2).restarts();
    start(kind, Topology::new("spare").service(service)).await
}

async fn inject(environment: &Environment, injection: Injection) -> Box<dyn Injected> {
    injection.validate(environment.topology()).unwrap();
    injection.fault.inject(environment).await.unwrap()
}

/// Whether instance `ordinal` answers over its link.
async fn answers(environment: &Environment, ordinal: usize) -> bool {
    let address = environment.links(USERS, "product")[ordinal - 1].addr();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(1)).build().unwrap();
    let answer = client.get(format!("http://{address}/products")).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// What a user meets who connects to instance `ordinal` over its link, and is told nothing.
async fn met(environment: &Environment, ordinal: usize) -> std::io::Result<ErrorKind> {
    let mut stream = TcpStream::connect(environment.links(USERS, "product")[ordinal - 1].addr()).await?;
    let ended = tokio::time::timeout(Duration::from_secs(1), stream.read_u8()).await;
    Ok(ended.map_or(ErrorKind::TimedOut, |read| read.unwrap_err().kind()))
}

async fn state(environment: &Environment, ordinal: u16) -> Result<State, RuntimeError> {
    let status = environment.runtime().status(&InstanceId::new("product", ordinal)).await;
    status.map(|status| status.state)
}

/// The instances run over their links; those after them are turned away.
async fn assert_run(environment: &Environment, count: usize) {
    for ordinal in 1..=count {
        eventually(&format!("an answer of product-{ordinal}"), || answers(environment, ordinal)).await;
    }
    for ordinal in count + 1..=3 {
        let met = met(environment, ordinal).await.unwrap_or_else(|error| error.kind());
        assert_eq!(met, ErrorKind::ConnectionRefused, "product-{ordinal} of {count}: as by any link to what is down");
        assert!(!answers(environment, ordinal).await);
    }
}

pub(crate) async fn come_and_go_with_the_fault(kind: RuntimeKind) {
    let environment = one_of_three(kind).await;
    assert_run(&environment, 1).await;
    let unknown = state(&environment, 2).await.unwrap_err();
    assert!(matches!(unknown, RuntimeError::UnknownInstance { .. }), "{unknown}");
    let names: Vec<String> = environment.logs(5).await.into_keys().collect();
    assert_eq!(names, ["product-1"]);
    // Twice, to another number each time: what was there before comes again.
    for count in [3, 2] {
        let mut more = inject(&environment, target("product").scale(count)).await;
        let bite = more.attest(&environment).await;
        assert!(bite.shown && bite.looked_at == format!("{} instance(s) run", count - 1), "{}", bite.looked_at);
        assert!(!more.attest_gone(&environment).await.shown);
        assert_run(&environment, usize::from(count)).await;
        more.roll_back(&environment).await.unwrap();
        more.roll_back(&environment).await.unwrap();
        let gone = more.attest_gone(&environment).await;
        assert!(gone.shown, "{}", gone.looked_at);
        assert_run(&environment, 1).await;
        assert_eq!(environment.runtime().undo_log().noted(), []);
    }
    assert!(environment.logs(5).await["product-2"].iter().any(|line| line.contains("listening on")));
    environment.destroy().await.unwrap();
}

/// A fault on the service acts on what runs when it is injected.
pub(crate) async fn are_hit_only_while_they_run(kind: RuntimeKind) {
    let environment = one_of_three(kind).await;
    let second = target("product").instance(2).kill();
    second.validate(environment.topology()).unwrap();
    let refused = second.fault.inject(&environment).await.err().unwrap();
    assert!(matches!(refused, FaultError::OnStandby { .. }), "{refused}");
    assert!(refused.to_string().contains("start it with `target(\"product\").scale(2)` first"), "{refused}");

    let mut more = inject(&environment, target("product").scale(2)).await;
    let again = target("product").scale(2).fault.inject(&environment).await.err().unwrap();
    assert!(matches!(again, FaultError::BadValue { .. }), "{again}");
    assert_run(&environment, 2).await;
    let mut still = inject(&environment, target("product").pause()).await;
    assert_eq!(still.attest(&environment).await.looked_at, "2 instance(s) stand still");
    let mut stopped = inject(&environment, target("product").stop()).await;
    more.roll_back(&environment).await.unwrap();
    for other in [&mut still, &mut stopped] {
        other.roll_back(&environment).await.unwrap();
        let gone = other.attest_gone(&environment).await;
        assert!(gone.shown, "{}", gone.looked_at);
    }
    assert!(matches!(state(&environment, 2).await, Ok(State::Exited { .. })), "on standby, whoever comes to an end");
    assert_run(&environment, 1).await;
    assert_eq!(environment.runtime().undo_log().noted(), []);
    environment.destroy().await.unwrap();
}
