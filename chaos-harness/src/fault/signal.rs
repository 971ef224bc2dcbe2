//! A signal to the processes of a service.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogued, Entry};
use super::lives::{attest_up, start_all};
use super::{Attestation, FaultError, FaultKind, Injected, Instances, target};
use crate::environment::{DownHold, Environment};
use crate::runtime::{Capability, Signal, State, Status, Wont};
use crate::topology::{InstanceId, Topology};

/// How long the kernel may take to act on a signal that the process leaves to it.
const ACTS_WITHIN: Duration = Duration::from_secs(2);

/// Sends a signal to the processes of a service. What ends of it comes back by its restart policy, or at the rollback;
/// what stands still goes on at the rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SendSignal {
    /// What it hits.
    #[serde(flatten)]
    pub on: Instances,
    /// Its name: `SIGTERM`.
    pub signal: String,
}

impl SendSignal {
    fn named(&self) -> Result<Signal, FaultError> {
        let known = || Signal::ALL.iter().map(|signal| signal.name()).collect::<Vec<_>>().join(", ");
        let unknown = || FaultError::UnknownSignal { given: self.signal.clone(), known: known() };
        Signal::named(&self.signal).ok_or_else(unknown)
    }
}

impl Catalogued for SendSignal {
    fn entries() -> Vec<Entry> {
        let signals = [target("product").signal("SIGUSR1"), target("product").signal("SIGSTOP")];
        vec![
            Entry::new(
                "any signal",
                "`target(\"a\").signal(\"SIGTERM\")`, `target(\"a\").kill_with(Signal::Segv)`",
                signals,
            )
            .privileges("none; as root the restart is the engine's own"),
        ]
    }
}

#[async_trait]
impl FaultKind for SendSignal {
    fn describe(&self) -> String {
        format!("{} to {}", self.signal, self.on)
    }

    fn services(&self) -> Vec<&str> {
        vec![&self.on.service]
    }

    fn requires(&self) -> &'static [Capability] {
        &[Capability::Signals]
    }

    fn validate(&self, topology: &Topology) -> Result<(), FaultError> {
        self.named()?;
        self.on.ids(topology).map(drop)
    }

    async fn inject(&self, environment: &Environment) -> Result<Box<dyn Injected>, FaultError> {
        let restarts = environment.topology().get(&self.on.service)?.restart.brings_back();
        let ids = self.on.running(environment)?;
        // What ends of it without a policy stays down until the rollback.
        let hold = environment.held_down().hold(ids.iter().filter(|_| !restarts));
        let mut injected = InjectedSignal { hold, signal: self.named()?, restarts, sent: Vec::new(), how: Vec::new() };
        for id in ids {
            if let Err(error) = injected.send(environment, &id).await {
                injected.roll_back(environment).await?;
                return Err(error);
            }
        }
        Ok(Box::new(injected))
    }
}

/// A signal that was sent to an instance.
struct Sent {
    id: InstanceId,
    before: Status,
    wont: Option<Wont>,
    pid: Option<u32>,
}

/// The letter of its state in `/proc/PID/stat`.
fn state_letter(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

struct InjectedSignal {
    hold: DownHold,
    signal: Signal,
    restarts: bool,
    sent: Vec<Sent>,
    how: Vec<String>,
}

impl InjectedSignal {
    async fn send(&mut self, environment: &Environment, id: &InstanceId) -> Result<(), FaultError> {
        let runtime = environment.runtime();
        let before = runtime.status(id).await?;
        let signalled = runtime.signal(id, self.signal).await?;
        let sent = Sent { id: id.clone(), before, wont: signalled.wont, pid: signalled.pid };
        if sent.wont == Some(Wont::TakesDefault) {
            self.wait_for(environment, &sent).await;
        }
        self.sent.push(sent);
        self.how.push(signalled.mechanism);
        Ok(environment.point_links_to(id).await?)
    }

    /// The kernel acts on its own a moment after the call. What takes longer, attesting will show.
    async fn wait_for(&self, environment: &Environment, sent: &Sent) {
        let since = Instant::now();
        while !self.outcome(environment, sent).await.0 && since.elapsed() < ACTS_WITHIN {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// What came of it, and whether anything did.
    async fn outcome(&self, environment: &Environment, sent: &Sent) -> (bool, String) {
        let Sent { id, before, wont, pid } = sent;
        let number = pid.or(before.pid).unwrap_or_default();
        let now = match environment.runtime().status(id).await {
            Ok(now) => now,
            Err(error) => return (false, error.to_string()),
        };
        if now.pid != before.pid || matches!(now.state, State::Exited { .. }) {
            return (true, format!("process {number} of {id} ended"));
        }
        let letter = pid.and_then(state_letter);
        match wont {
            _ if self.signal.stops() && letter == Some('T') => (true, format!("process {number} of {id} stands still")),
            Some(Wont::Handles) => (true, format!("the handler of process {number} of {id} had it")),
            Some(Wont::Ignores) => (false, format!("process {number} of {id} ignores {}", self.signal)),
            _ => (false, format!("process {number} of {id} goes on")),
        }
    }
}

#[async_trait]
impl Injected for InjectedSignal {
    fn mechanism(&self) -> String {
        self.how.join(", ")
    }

    async fn attest(&mut self, environment: &Environment) -> Attestation {
        let mut looked_at = Vec::new();
        for sent in &self.sent {
            let (shown, what) = self.outcome(environment, sent).await;
            if !shown {
                return Attestation::not_shown(what);
            }
            looked_at.push(what);
        }
        Attestation::when(!looked_at.is_empty(), looked_at.join(", "))
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        if self.signal.stops() {
            for Sent { id, .. } in &self.sent {
                // It may have been killed or shut down meanwhile.
                if environment.runtime().status(id).await?.pid.is_some() {
                    environment.runtime().signal(id, Signal::Cont).await?;
                }
            }
        }
        // With a restart policy, coming back is what is tested; helping would hide that it does not.
        if self.restarts {
            return Ok(());
        }
        self.hold.let_go();
        start_all(environment, self.sent.iter().map(|sent| &sent.id)).await
    }

    async fn attest_gone(&mut self, environment: &Environment) -> Attestation {
        let still = |sent: &&Sent| sent.pid.and_then(state_letter) == Some('T');
        if let Some(sent) = self.sent.iter().find(still) {
            return Attestation::not_shown(format!("process {} of {} stands still", sent.pid.unwrap_or(0), sent.id));
        }
        if self.restarts {
            return Attestation::shown("nothing to undo: the restart policy brings it back");
        }
        attest_up(environment, self.sent.iter().map(|sent| &sent.id)).await
    }
}
