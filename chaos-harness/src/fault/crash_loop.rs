//! A service crashes again and again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::catalogue::{Catalogued, Entry};
use super::lives::{attest_up, start_all};
use super::{Attestation, FaultError, FaultKind, Injected, Instances, target};
use crate::environment::{Environment, HeldDown};
use crate::runtime::{Capability, Runtime, RuntimeError};
use crate::topology::{InstanceId, Topology};

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// Ends the processes of a service with `SIGKILL` at once, and then again in every period for as long as it is held.
/// The service's restart policy starts them between; without one, the harness does. What is down when the next kill
/// is due is left alone: an engine waits longer before each restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CrashLoop {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
    /// From one kill to the next.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub period: Duration,
}

impl Catalogued for CrashLoop {
    fn entries() -> Vec<Entry> {
        let crashes = [target("product").crash_loop(Duration::from_millis(500))];
        vec![Entry::new("crash loop", "`target(\"a\").crash_loop(2.secs())`", crashes)]
    }
}

#[async_trait]
impl FaultKind for CrashLoop {
    fn describe(&self) -> String {
        format!("crash {} every {}", self.on, humantime::format_duration(self.period))
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Kill]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        if !(SHORTEST..=LONGEST).contains(&self.period) {
            let (fault, given) = (self.describe(), self.period);
            return Err(FaultError::OutOfRange { fault, what: "period", given, range: "100ms to 10m" });
        }
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let restarts = environment.topology().get(&self.on.service)?.restart.brings_back();
        let mut injected = InjectedCrashLoop { restarts, victims: Vec::new() };
        for id in self.on.running(environment)? {
            let (runtime, held) = (environment.shared_runtime(), environment.held_down().clone());
            let crash = Crash { id, restarts, runtime, held, seen: Arc::default() };
            injected.victims.push(Victim::new(crash.clone()));
            if let Err(error) = crash.once().await.and(environment.point_links_to(&crash.id).await) {
                injected.roll_back(environment).await?;
                return Err(error.into());
            }
        }
        injected.victims.iter_mut().for_each(|victim| victim.go_on(self.period));
        Ok(Box::new(injected))
    }
}

/// What was seen of the crashes of an instance.
#[derive(Debug, Default)]
struct Seen {
    kills: u64,
    failure: Option<RuntimeError>,
}

/// Crashes one instance.
#[derive(Clone)]
struct Crash {
    id: InstanceId,
    restarts: bool,
    runtime: Arc<dyn Runtime>,
    held: Arc<HeldDown>,
    seen: Arc<Mutex<Seen>>,
}

impl Crash {
    /// Kills it if it runs; it is gone on return, and started again if nobody else does that or holds it down.
    async fn once(&self) -> Result<(), RuntimeError> {
        match self.runtime.kill(&self.id).await {
            Ok(_) => self.seen.lock().kills += 1,
            Err(RuntimeError::NotRunning { .. }) => {}
            Err(error) => return Err(error),
        }
        if self.restarts || self.held.contains(&self.id) { Ok(()) } else { self.runtime.start_again(&self.id).await }
    }

    /// Kills it in every period until it is told to stop, and never in the middle of a kill.
    async fn again_and_again(self, period: Duration, mut stop: oneshot::Receiver<()>) {
        let mut beat = tokio::time::interval(period);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        beat.tick().await;
        loop {
            tokio::select! {
                _ = &mut stop => return,
                _ = beat.tick() => {}
            }
            if let Err(error) = self.once().await {
                self.seen.lock().failure = Some(error);
            }
        }
    }
}

/// One instance, and what crashes it.
struct Victim {
    crash: Crash,
    /// Dropped, it stops the loop.
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
}

impl Victim {
    fn new(crash: Crash) -> Self {
        Self { crash, stop: None, running: None }
    }

    fn go_on(&mut self, period: Duration) {
        let (stop, stopped) = oneshot::channel();
        self.stop = Some(stop);
        self.running = Some(tokio::spawn(self.crash.clone().again_and_again(period, stopped)));
    }

    async fn end(&mut self) {
        self.stop = None;
        if let Some(running) = self.running.take() {
            // It neither panics nor is it aborted; after it, no kill comes any more.
            let _ = running.await;
        }
    }
}

struct InjectedCrashLoop {
    restarts: bool,
    victims: Vec<Victim>,
}

impl InjectedCrashLoop {
    fn ids(&self) -> impl Iterator<Item = &InstanceId> {
        self.victims.iter().map(|victim| &victim.crash.id)
    }
}

#[async_trait]
impl Injected for InjectedCrashLoop {
    fn mechanism(&self) -> String {
        let by = if self.restarts { "its restart policy" } else { "the harness" };
        format!("SIGKILL again and again, started by {by}")
    }

    async fn attest(&mut self, _: &Environment) -> Attestation {
        let mut looked_at = Vec::new();
        for Victim { crash, .. } in &self.victims {
            let seen = crash.seen.lock();
            let failure = seen.failure.as_ref().map(|error| format!(", then {error}")).unwrap_or_default();
            looked_at.push(format!("{} killed {} times{failure}", crash.id, seen.kills));
        }
        let every = self.victims.iter().all(|victim| victim.crash.seen.lock().kills > 0);
        Attestation::when(every, looked_at.join("; "))
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        join_all(self.victims.iter_mut().map(Victim::end)).await;
        // With a restart policy, coming back is what is tested; helping would hide that it does not.
        if self.restarts { Ok(()) } else { start_all(environment, self.ids()).await }
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        if self.victims.iter().any(|victim| victim.running.is_some()) {
            return Attestation::not_shown("it still kills");
        }
        if self.restarts {
            return Attestation::shown("it kills no more, and the restart policy brings it back");
        }
        attest_up(environment, self.ids()).await
    }
}
