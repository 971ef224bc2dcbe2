//! Users who ask, over whatever a fault acts on, and what they see.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chaos_harness::environment::Environment;
use chaos_harness::fault::{Fault, FaultKind};
use chaos_harness::runtime::{Capability, RuntimeKind};
use chaos_harness::topology::{InstanceId, Protocol, Service, Topology, USERS};
use tokio::net::UdpSocket;

use super::{inside, pair};

/// Long enough to tell from an answer of a healthy service, short enough to wait for.
pub(crate) const SLOW: Duration = Duration::from_millis(300);
pub(crate) const PATIENCE: Duration = Duration::from_millis(900);

/// The trace to which every request belongs.
pub(crate) const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What the answers of product hold, in the order in which they are asked for over UDP.
pub(crate) const SKUS: [&str; 6] = ["tea-green", "tea-black", "tea-herbal", "coffee-beans", "mug-white", "pot-glass"];

/// `inventory` -> `product`, which uses up resources on demand and has an instance on standby; users ask it over HTTP
/// and UDP.
pub(crate) fn stressed(kind: RuntimeKind) -> Topology {
    let stressed = |product: Service| match kind {
        RuntimeKind::Docker => {
            let product = product.env("STRESS", "on").env("DATA", "/data").env("DISK", "/disk");
            product.volume("/data", 4 << 20).disk("/disk")
        }
        RuntimeKind::Process => product.env("STRESS", "on"),
    };
    let spare = |product| stressed(product).instances(2).standby(1);
    let linked = pair().with("product", spare).unwrap().link_over(USERS, "product", Protocol::Http);
    linked.link_over(USERS, "product", Protocol::Udp)
}

/// What a user sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Answer,
    Slow,
    Error,
    Nothing,
    Twice,
    Disorder,
}

/// A fresh user asks for the products, over what the fault acts on.
pub(crate) async fn ask(environment: &Environment, fault: &Fault) -> Seen {
    match fault {
        Fault::Udp(_) => ask_over_udp(environment).await,
        Fault::Partition(_) | Fault::Netem(_) => ask_as_inventory(environment).await,
        Fault::Dns(_) | Fault::DnsDelay(_) => ask_name_as(environment, fault.services()[0]).await,
        Fault::CpuQuota(_) => ask_for(environment, &format!("/stress/cpu?amount={}", *WORK.get().unwrap())).await,
        Fault::MemoryLimit(_) => ask_for(environment, "/stress/memory?amount=96").await,
        Fault::DiskFull(_) => ask_for(environment, "/stress/disk?amount=64").await,
        Fault::SlowDisk(_) => ask_for(environment, "/stress/sync?amount=64").await,
        Fault::ProcessLimit(_) => ask_for(environment, "/stress/threads?amount=4").await,
        _ => ask_for(environment, "/products").await,
    }
}

/// So many thousand rounds take about 60 ms of a processor of this machine.
pub(crate) static WORK: OnceLock<u32> = OnceLock::new();

/// Measures [`WORK`] where processor time can be measured, and where alone it is asked for.
pub(crate) async fn calibrate(environment: &Environment) {
    const TRY: u32 = 20_000;
    let Some(resources) = environment.runtime().resources() else { return };
    let (id, path) = (InstanceId::new("product", 1), format!("/stress/cpu?amount={TRY}"));
    let mut least = Duration::MAX;
    // What the service does besides counts too: the least is nearest to the truth.
    for _ in 0..3 {
        let before = resources.usage(&id).await.unwrap().cpu;
        assert_eq!(ask_for(environment, &path).await, Seen::Answer);
        least = least.min(resources.usage(&id).await.unwrap().cpu - before);
    }
    WORK.get_or_init(|| (0.060 / least.as_secs_f64() * f64::from(TRY)) as u32);
}

/// Once, from where inventory runs.
pub(crate) async fn ask_as_inventory(environment: &Environment) -> Seen {
    let (link, asked) = (environment.links("inventory", "product")[0].addr(), Instant::now());
    match inside::get(environment, "inventory", link, PATIENCE).await {
        Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => Seen::Nothing,
        Err(_) => Seen::Error,
        Ok(answer) if !answer.contains(SKUS[0]) => Seen::Error,
        Ok(_) if asked.elapsed() >= SLOW => Seen::Slow,
        Ok(_) => Seen::Answer,
    }
}

/// `service` asks for a name.
pub(crate) async fn ask_name_as(environment: &Environment, service: &str) -> Seen {
    let asked = Instant::now();
    match inside::ask_name(environment, service, PATIENCE).await {
        Ok(()) if asked.elapsed() >= SLOW => Seen::Slow,
        Ok(()) => Seen::Answer,
        Err(ErrorKind::WouldBlock) => Seen::Nothing,
        Err(_) => Seen::Error,
    }
}

/// For one after the other, without waiting for an answer.
pub(crate) async fn ask_over_udp(environment: &Environment) -> Seen {
    let link = environment.udp_address("product").unwrap();
    ask_link(UdpSocket::bind((link.ip(), 0)).await.unwrap(), link).await
}

/// From where `socket` is.
pub(crate) async fn ask_link(socket: UdpSocket, link: SocketAddr) -> Seen {
    socket.connect(link).await.unwrap();
    let asked = Instant::now();
    for sku in SKUS {
        socket.send(sku.as_bytes()).await.unwrap();
    }
    let (mut answers, mut buffer, mut patience) = (Vec::new(), [0; 1024], PATIENCE);
    while let Ok(length) = tokio::time::timeout(patience, socket.recv(&mut buffer)).await {
        answers.push((asked.elapsed(), String::from_utf8_lossy(&buffer[..length.unwrap()]).into_owned()));
        if answers.len() >= SKUS.len() {
            patience = Duration::from_millis(50);
        }
    }
    let in_order = answers.iter().zip(SKUS).all(|((_, answer), sku)| answer.contains(sku));
    match answers.last() {
        None => Seen::Nothing,
        Some(_) if answers.iter().any(|(_, answer)| answer.contains("error")) => Seen::Error,
        Some(_) if answers.len() > SKUS.len() => Seen::Twice,
        Some(_) if !in_order => Seen::Disorder,
        Some((last, _)) if *last >= SLOW => Seen::Slow,
        Some(_) => Seen::Answer,
    }
}

pub(crate) async fn ask_over_http(environment: &Environment) -> Seen {
    ask_for(environment, "/products").await
}

/// Once.
pub(crate) async fn ask_for(environment: &Environment, path: &str) -> Seen {
    let address = environment.address("product").unwrap();
    let client = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    let asked = Instant::now();
    let request = client.get(format!("http://{address}{path}")).header("traceparent", TRACE);
    let answer = async { request.send().await?.error_for_status()?.bytes().await };
    match answer.await {
        Err(error) if error.is_timeout() => Seen::Nothing,
        Err(_) => Seen::Error,
        Ok(_) if asked.elapsed() >= SLOW => Seen::Slow,
        Ok(_) => Seen::Answer,
    }
}
/// Whether [`ask`] asks from within the network of a service.
pub(crate) fn is_asked_from_inside(fault: &Fault) -> bool {
    matches!(fault, Fault::Partition(_) | Fault::Netem(_) | Fault::Dns(_) | Fault::DnsDelay(_))
}

/// What keeps a fault from being applied here: the runtime, or the machine.
pub(crate) fn why_not(fault: &Fault, kind: RuntimeKind) -> Option<String> {
    let missing = fault.requires().iter().find(|needed| !kind.capabilities().contains(needed));
    let inside = is_asked_from_inside(fault) && kind.capabilities().contains(&Capability::NetworkNamespace);
    let others = matches!(fault, Fault::Descriptors(_) | Fault::SlowDisk(_)) && kind == RuntimeKind::Docker;
    match missing {
        Some(missing) => Some(format!("it requires {missing}")),
        None if others && !rustix::process::geteuid().is_root() => Some("it takes root".to_owned()),
        None if inside && !inside::may_enter() => Some("only root may ask from inside".to_owned()),
        None => Some(fault.check_machine().err()?.to_string()),
    }
}

/// Users who ask over everything, ten times a second, whatever they are told.
pub(crate) async fn keep_asking(environment: Arc<Environment>) {
    loop {
        let _ = tokio::join!(ask_over_http(&environment), ask_over_udp(&environment));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
