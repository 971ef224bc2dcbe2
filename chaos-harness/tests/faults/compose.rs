//! Every example of every registered fault beside another one: both are in force, and each goes without the other.

use std::time::{Duration, Instant};

use chaos_harness::environment::Environment;
use chaos_harness::fault::{Fault, FaultKind, Injected, link, network, targets};
use chaos_harness::runtime::{Capability, RuntimeKind};
use chaos_harness::topology::USERS;

use crate::catalogue::{BITES_WITHIN, bites, each_example, ends, undo};
use crate::common::asking::{SLOW, Seen, ask, ask_for, ask_name_as, ask_over_http, ask_over_udp, stressed};
use crate::common::{eventually, inside, start};

/// So often is asked under a fault, to learn what users see of it.
const ASKS: usize = 3;

/// Another fault on the same link or service, and how users tell that it is in force whatever they ask for else.
enum Partner {
    /// One page of product fails, on the link of the users.
    Page,
    /// Users of the UDP link see this.
    Datagrams(Seen),
    /// Product finds no names.
    Names,
    /// The same services are shut down.
    Stopped(Vec<String>),
}

const PAGE: &str = "/health/live";

impl Partner {
    fn of(fault: &Fault, shows: Option<Seen>) -> Self {
        match fault {
            Fault::Udp(_) if shows == Some(Seen::Twice) => Self::Datagrams(Seen::Slow),
            Fault::Udp(_) => Self::Datagrams(Seen::Twice),
            Fault::Dns(_) => Self::Page,
            _ if fault.requires().contains(&Capability::NetworkNamespace) && inside::may_enter() => Self::Names,
            _ => Self::Page,
        }
    }

    fn fault(&self) -> Fault {
        let users = link(USERS, "product");
        match self {
            Self::Page => users.http().get(PAGE).abort(503).fault,
            Self::Datagrams(Seen::Slow) => users.udp().delay(SLOW).fault,
            Self::Datagrams(_) => users.udp().duplicate(1.0).fault,
            Self::Names => network("product").dns_refused().fault,
            Self::Stopped(services) => targets(services).stop().fault,
        }
    }

    /// What users see who ask for what it alone takes from them.
    async fn ask(&self, environment: &Environment) -> Seen {
        match self {
            Self::Page => ask_for(environment, PAGE).await,
            Self::Datagrams(_) => ask_over_udp(environment).await,
            Self::Names => ask_name_as(environment, "product").await,
            Self::Stopped(_) => ask_over_http(environment).await,
        }
    }

    fn shows(&self) -> Seen {
        match self {
            Self::Datagrams(seen) => *seen,
            _ => Seen::Error,
        }
    }

    async fn inject(&self, environment: &Environment) -> Box<dyn Injected> {
        let fault = self.fault();
        fault.inject(environment).await.unwrap_or_else(|error| panic!("{fault}: {error}"))
    }

    /// In force, now that it is the only one.
    async fn is_alone_in_force(&self, environment: &Environment, without: &Fault) {
        let what = format!("`{}` alone, after `{without}`", self.fault());
        eventually(&what, || async { self.ask(environment).await == self.shows() }).await;
    }
}

pub(crate) async fn every_fault(kind: RuntimeKind) {
    each_example(kind, async |environment, fault| {
        let shows = alone(environment, fault).await;
        beside(environment, fault, shows, &Partner::of(fault, shows)).await;
        if fault.link().is_none() {
            leaves_down(environment, fault).await;
        }
        ends(environment, fault).await;
    })
    .await;
}

/// What users see of a fault by itself, if they always see something.
async fn alone(environment: &Environment, fault: &Fault) -> Option<Seen> {
    let mut injected = fault.inject(environment).await.unwrap();
    bites(environment, fault, injected.as_mut()).await;
    let mut seen = Vec::new();
    for _ in 0..ASKS {
        seen.push(ask(environment, fault).await);
    }
    undo(environment, fault, injected.as_mut()).await;
    ends(environment, fault).await;
    if seen.contains(&Seen::Answer) { None } else { seen.pop() }
}

/// Injected under its partner it bites; each stays in force when the other goes.
async fn beside(environment: &Environment, fault: &Fault, shows: Option<Seen>, partner: &Partner) {
    let mut other = partner.inject(environment).await;
    partner.is_alone_in_force(environment, fault).await;
    let mut injected = fault.inject(environment).await.unwrap();
    bites(environment, fault, injected.as_mut()).await;
    undo(environment, &partner.fault(), other.as_mut()).await;
    is_in_force(environment, fault, shows, injected.as_mut()).await;

    let mut other = partner.inject(environment).await;
    undo(environment, fault, injected.as_mut()).await;
    partner.is_alone_in_force(environment, fault).await;
    undo(environment, &partner.fault(), other.as_mut()).await;
    ends(environment, fault).await;
}

/// Measured anew: by users, where they see it; else by itself.
async fn is_in_force(environment: &Environment, fault: &Fault, shows: Option<Seen>, injected: &mut dyn Injected) {
    let (since, before) = (Instant::now(), injected.attest(environment).await);
    loop {
        let seen = ask(environment, fault).await;
        let now = injected.attest(environment).await;
        let unseen = shows.is_none() && now.shown;
        if seen != Seen::Answer || (unseen && (now != before || !injected.attest_gone(environment).await.shown)) {
            return;
        }
        let (looked_at, was) = (&now.looked_at, &before.looked_at);
        assert!(since.elapsed() < BITES_WITHIN, "{fault} went with its partner: {seen:?}, {looked_at} (before {was})");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What is shut down under a fault stays so when the fault goes, whatever that starts again.
async fn leaves_down(environment: &Environment, fault: &Fault) {
    let services: Vec<String> = fault.services().into_iter().map(str::to_owned).collect();
    let partner = Partner::Stopped(services);
    let mut injected = fault.inject(environment).await.unwrap();
    let mut stopped = partner.inject(environment).await;
    assert_is_down(environment, fault, stopped.as_mut()).await;
    undo(environment, fault, injected.as_mut()).await;
    assert_is_down(environment, fault, stopped.as_mut()).await;
    assert_eq!(partner.ask(environment).await, partner.shows(), "{fault} has started what was shut down");
    undo(environment, &partner.fault(), stopped.as_mut()).await;
}

async fn assert_is_down(environment: &Environment, fault: &Fault, stopped: &mut dyn Injected) {
    let down = stopped.attest(environment).await;
    assert!(down.shown, "shut down beside `{fault}`: {}", down.looked_at);
}

/// Two toxics that act on the same bytes, in both orders.
pub(crate) async fn on_one_link(kind: RuntimeKind) {
    let environment = start(kind, stressed(kind)).await;
    let (slow, silent) = (link(USERS, "product").latency(SLOW).fault, link(USERS, "product").black_hole().fault);
    for last in [Seen::Slow, Seen::Nothing] {
        let mut slow = slow.inject(&environment).await.unwrap();
        let mut silent = silent.inject(&environment).await.unwrap();
        assert_eq!(ask_over_http(&environment).await, Seen::Nothing);
        assert!(silent.attest(&environment).await.shown);
        let bite = slow.attest(&environment).await;
        assert!(!bite.shown, "nothing came through to be delayed, whatever the other did: {}", bite.looked_at);
        let (mut first, mut second) = if last == Seen::Slow { (silent, slow) } else { (slow, silent) };
        first.roll_back(&environment).await.unwrap();
        assert_eq!(ask_over_http(&environment).await, last);
        assert!(second.attest(&environment).await.shown);
        second.roll_back(&environment).await.unwrap();
        assert_eq!(ask_over_http(&environment).await, Seen::Answer);
    }
    environment.destroy().await.unwrap();
}
