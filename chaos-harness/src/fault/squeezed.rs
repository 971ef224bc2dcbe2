//! Processes whose limit on descriptors is lowered, and goes on being lowered with what they close.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Attestation, FaultError, Injected, Instances};
use crate::environment::Environment;
use crate::runtime::ledger::Ledger;
use crate::runtime::{Descriptors, Hold, Process, ProcessUndo, Runtime, RuntimeError, TargetProcess};
use crate::safety::undo::UndoStep;
use crate::topology::InstanceId;

/// How long what a process closes may be open to it again.
const PERIOD: Duration = Duration::from_millis(20);
/// How long the processes may go on closing what they were about to close.
const SETTLES_WITHIN: Duration = Duration::from_secs(1);

/// What is left to every process that is held: processes are of the machine, and so is this.
static LEDGER: Mutex<Ledger<Process>> = Mutex::new(Ledger::new());

/// Leaves instances `left` descriptors; all or nothing.
pub(super) async fn inject(
    environment: &Environment,
    on: &Instances,
    left: u64,
) -> Result<Box<dyn Injected>, FaultError> {
    let mut injected = InjectedSqueeze { victims: Vec::new() };
    for id in on.running(environment)? {
        if let Err(error) = injected.squeeze(environment, id, left).await {
            injected.roll_back(environment).await?;
            return Err(error.into());
        }
    }
    injected.victims.iter_mut().for_each(Victim::go_on);
    Ok(Box::new(injected))
}

/// A process that is held, or was.
#[derive(Clone, Copy, Debug)]
struct Held {
    hold: Option<Hold>,
    before: u64,
}

/// One instance, and what is held of it.
struct Squeeze {
    id: InstanceId,
    root: TargetProcess,
    left: u64,
    runtime: Arc<dyn Runtime>,
    held: Mutex<BTreeMap<Process, Held>>,
    failure: Mutex<Option<RuntimeError>>,
}

impl Squeeze {
    /// Holds every process, also those that are started meanwhile: what is started after that is held by inheritance.
    fn all(&self) -> Result<(), RuntimeError> {
        while self.once()? {}
        Ok(())
    }

    /// Returns when the processes have closed what they were about to close: each such thing makes room for another.
    async fn settle(&self) -> Result<(), RuntimeError> {
        let since = Instant::now();
        let mut is_changing = true;
        while is_changing && since.elapsed() < SETTLES_WITHIN {
            tokio::time::sleep(PERIOD).await;
            is_changing = self.once()?;
        }
        Ok(())
    }

    /// Leaves every process as little as is due; whether that changed anything.
    fn once(&self) -> Result<bool, RuntimeError> {
        let (mut held, mut ledger) = (self.held.lock(), LEDGER.lock());
        let is_first = held.is_empty();
        let mut changed = false;
        for (process, parent) in self.root.process.family() {
            let Some(descriptors) = process.descriptors()? else { continue };
            if !held.contains_key(&process) {
                // What it has now was inherited, once its parent is held.
                let parents = parent.filter(|_| !is_first).and_then(|parent| held.get(&parent)).map(|held| held.before);
                let before = ledger.before(&process).flatten().or(parents).unwrap_or(descriptors.soft);
                self.runtime.undo_log().note(self.undo(process, before))?;
                let hold = ledger.add(&process, self.left, Some(before));
                held.insert(process, Held { hold: Some(hold), before });
                changed = true;
            }
            let wanted = limit(&ledger, process, &descriptors);
            if wanted < descriptors.soft {
                process.limit_descriptors(wanted)?;
                changed = true;
            }
        }
        Ok(changed)
    }

    fn undo(&self, process: Process, before: u64) -> UndoStep {
        UndoStep::Process(ProcessUndo::Descriptors { process, of: self.root.of.clone(), soft: before })
    }

    /// Holds no process any longer. Goes on past one that fails, which stays held.
    fn release(&self) -> Result<(), RuntimeError> {
        if self.held.lock().values().all(|held| held.hold.is_none()) {
            return Ok(());
        }
        // Those that were started a moment ago have inherited what the others get rid of.
        let mut released = self.all();
        let (mut held, mut ledger) = (self.held.lock(), LEDGER.lock());
        for (process, Held { hold, before }) in held.iter_mut() {
            let Some(one) = *hold else { continue };
            match self.release_one(&mut ledger, *process, one, *before) {
                Ok(()) => *hold = None,
                Err(error) => released = released.and(Err(error)),
            }
        }
        released
    }

    fn release_one(
        &self,
        ledger: &mut Ledger<Process>,
        process: Process,
        hold: Hold,
        before: u64,
    ) -> Result<(), RuntimeError> {
        let is_last = ledger.without(hold).is_none_or(|(_, others)| !others);
        if is_last {
            let step = self.undo(process, before);
            process.limit_descriptors(before)?;
            self.runtime.undo_log().done(&step)?;
            ledger.remove(hold);
            return Ok(());
        }
        ledger.remove(hold);
        let descriptors = process.descriptors()?;
        descriptors.map_or(Ok(()), |descriptors| process.limit_descriptors(limit(ledger, process, &descriptors)))
    }

    /// Whether the process that was held is that of the instance still.
    async fn is_current(&self) -> Result<bool, RuntimeError> {
        match self.runtime.process(&self.id).await {
            Err(RuntimeError::NotRunning { .. }) => Ok(false),
            other => Ok(other?.process == self.root.process),
        }
    }

    /// What is left to the processes, and whether that is as little as was wanted.
    async fn felt(&self) -> Result<(bool, String), RuntimeError> {
        if !self.is_current().await? {
            return Ok((false, format!("{} has ended or was started again, and has its own limit", self.id)));
        }
        if let Some(error) = &*self.failure.lock() {
            return Ok((false, format!("{}: {error}", self.id)));
        }
        // What was closed a moment ago is not left to it for long.
        self.once()?;
        let mut most: Option<(u64, String)> = None;
        let mut bitten = true;
        for (process, Held { before, .. }) in self.held.lock().clone() {
            let Some(now) = process.descriptors()? else { continue };
            bitten &= now.room() <= self.left && now.soft < before;
            let (open, room, limit) = (now.open.len(), now.room(), now.soft);
            let what = format!("{process} has {open} open and room for {room}, its limit {limit} and not {before}");
            most = most.max(Some((now.open.len() as u64, what)));
        }
        let (_, what) = most.unwrap_or_default();
        Ok((bitten && !what.is_empty(), format!("{}: {what}", self.id)))
    }

    /// The first process that has not got its limit back, if there is one, and how many have.
    fn left(&self) -> Result<(Option<String>, usize), RuntimeError> {
        let mut back = 0;
        for (process, Held { before, .. }) in self.held.lock().clone() {
            // Who holds it beside this is not its business.
            let is_held = LEDGER.lock().before(&process).is_some();
            match process.descriptors()? {
                Some(now) if now.soft != before && !is_held => {
                    return Ok((Some(format!("{process} has a limit of {}, not {before}", now.soft)), back));
                }
                now => back += usize::from(now.is_some()),
            }
        }
        Ok((None, back))
    }

    /// Squeezes until it is told to stop.
    async fn again_and_again(self: Arc<Self>, mut stop: oneshot::Receiver<()>) {
        let mut beat = tokio::time::interval(PERIOD);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut stop => return,
                _ = beat.tick() => {}
            }
            if let Err(error) = self.once() {
                *self.failure.lock() = Some(error);
            }
        }
    }
}

/// What a process is to be limited to now.
fn limit(ledger: &Ledger<Process>, process: Process, descriptors: &Descriptors) -> u64 {
    let before = ledger.before(&process).flatten().unwrap_or(descriptors.soft);
    ledger.due(&process).flatten().map_or(before, |left| descriptors.limit_leaving(left).min(before))
}

/// One instance, and what squeezes it.
struct Victim {
    squeeze: Arc<Squeeze>,
    /// Dropped, it stops the loop.
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
}

impl Victim {
    fn go_on(&mut self) {
        let (stop, stopped) = oneshot::channel();
        self.stop = Some(stop);
        self.running = Some(tokio::spawn(self.squeeze.clone().again_and_again(stopped)));
    }

    async fn end(&mut self) -> Result<(), RuntimeError> {
        self.stop = None;
        if let Some(running) = self.running.take() {
            // It neither panics nor is it aborted.
            let _ = running.await;
        }
        self.squeeze.release()
    }
}

struct InjectedSqueeze {
    victims: Vec<Victim>,
}

impl InjectedSqueeze {
    async fn squeeze(&mut self, environment: &Environment, id: InstanceId, left: u64) -> Result<(), RuntimeError> {
        let runtime = environment.shared_runtime();
        let root = runtime.process(&id).await?;
        let squeeze = Arc::new(Squeeze { id, root, left, runtime, held: Mutex::default(), failure: Mutex::default() });
        self.victims.push(Victim { squeeze: squeeze.clone(), stop: None, running: None });
        squeeze.all()?;
        squeeze.settle().await
    }
}

#[async_trait]
impl Injected for InjectedSqueeze {
    fn mechanism(&self) -> String {
        "RLIMIT_NOFILE of the processes, set by prlimit".to_owned()
    }

    async fn attest(&mut self, _: &Environment) -> Attestation {
        let mut looked_at = Vec::new();
        for Victim { squeeze, .. } in &self.victims {
            match squeeze.felt().await {
                Ok((true, what)) => looked_at.push(what),
                Ok((false, what)) => return Attestation::not_shown(what),
                Err(error) => return Attestation::not_shown(error.to_string()),
            }
        }
        Attestation::when(!looked_at.is_empty(), looked_at.join("; "))
    }

    async fn roll_back(&mut self, _: &Environment) -> Result<(), FaultError> {
        let ended: Result<Vec<()>, _> = join_all(self.victims.iter_mut().map(Victim::end)).await.into_iter().collect();
        Ok(ended.map(drop)?)
    }

    async fn attest_gone(&mut self, _: &Environment) -> Attestation {
        let mut all = 0;
        for Victim { squeeze, .. } in &self.victims {
            match squeeze.left() {
                Ok((None, back)) => all += back,
                Ok((Some(left), _)) => return Attestation::not_shown(format!("{}: {left}", squeeze.id)),
                Err(error) => return Attestation::not_shown(error.to_string()),
            }
        }
        Attestation::shown(format!("{all} process(es) have the limit that they had"))
    }
}
