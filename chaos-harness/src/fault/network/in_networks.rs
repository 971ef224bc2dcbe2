//! What a fault does to the networks of instances: to all or to none, counted, taken away everywhere. An instance that
//! comes back has another network, and it is done to that one as well.
//!
//! That takes a moment, in which what runs there is spared. What a network has counted goes with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chaos_harness_netns::Counted;
use tokio::sync::Mutex;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use crate::environment::Environment;
use crate::fault::{Attestation, FaultError, Injected};
use crate::runtime::{Change, Runtime, RuntimeError, TargetNetwork};
use crate::safety::undo::UndoLog;
use crate::topology::InstanceId;

/// What is done to one network.
#[async_trait]
pub(super) trait Treatment: Send + 'static {
    /// By what, for the journal.
    const MEANS: &str;

    /// Does it to the network of `id`, having noted what undoes it.
    async fn begin(&mut self, id: &InstanceId, network: &TargetNetwork, log: &UndoLog) -> Result<(), RuntimeError>;

    /// What there is of it now.
    async fn look(&mut self, id: &InstanceId, network: &TargetNetwork) -> Result<Look, RuntimeError>;

    /// Undoes it; what was not done, or is gone, is fine.
    async fn end(&mut self, network: &TargetNetwork, log: &UndoLog) -> Result<(), RuntimeError>;

    /// What was counted, for people.
    fn words(&self, counted: Counted) -> String;
}

/// What there is of a treatment.
pub(super) struct Look {
    pub(super) is_there: bool,
    /// `None` where it is lost.
    pub(super) counted: Option<Counted>,
}

/// Treats the networks of `ids`, or none.
pub(super) async fn treat<T: Treatment>(
    treatment: T,
    ids: impl IntoIterator<Item = InstanceId>,
    environment: &Environment,
) -> Result<Box<dyn Injected>, RuntimeError> {
    let runtime = environment.shared_runtime();
    let changes = runtime.changes();
    let mut state = State { treatment, places: BTreeMap::new(), before: Counted::default(), again: 0, is_over: false };
    for id in ids {
        if let Err(error) = state.begin(&id, runtime.as_ref()).await {
            state.end(runtime.undo_log()).await?;
            return Err(error);
        }
    }
    let mut places: Vec<String> = state.places.values().map(|place| place.network.to_string()).collect();
    places.dedup();
    let mechanism = format!("{} {}", T::MEANS, places.join(", "));
    let state = Arc::new(Mutex::new(state));
    let follower = tokio::spawn(follow(changes, runtime, state.clone()));
    Ok(Box::new(InNetworks { state, mechanism, follower }))
}

struct State<T> {
    treatment: T,
    places: BTreeMap<InstanceId, Place>,
    /// What was counted in networks that are gone.
    before: Counted,
    /// How often it was done again.
    again: u32,
    is_over: bool,
}

/// The network of an instance.
struct Place {
    network: TargetNetwork,
    /// The process by which it is told from that of another life.
    pid: Option<u32>,
    counted: Counted,
}

impl<T: Treatment> State<T> {
    async fn begin(&mut self, id: &InstanceId, runtime: &dyn Runtime) -> Result<(), RuntimeError> {
        let pid = runtime.status(id).await?.pid;
        let network = runtime.network(id).await?;
        let place = Place { network: network.clone(), pid, counted: Counted::default() };
        self.places.insert(id.clone(), place);
        self.treatment.begin(id, &network, runtime.undo_log()).await
    }

    /// Goes on in another network, if `id` has another one since it is process `pid`.
    async fn begin_again(&mut self, id: &InstanceId, pid: u32, runtime: &dyn Runtime) -> Result<(), RuntimeError> {
        let Some(place) = self.places.get_mut(id).filter(|place| place.pid != Some(pid)) else { return Ok(()) };
        let last = self.treatment.look(id, &place.network).await.ok().and_then(|look| look.counted);
        self.treatment.end(&place.network, runtime.undo_log()).await?;
        add(&mut self.before, last.unwrap_or(std::mem::take(&mut place.counted)));
        self.begin(id, runtime).await?;
        self.again += 1;
        Ok(())
    }

    /// What was counted everywhere, or whose network is without it.
    async fn count(&mut self) -> Result<Result<Counted, InstanceId>, RuntimeError> {
        let mut total = self.before;
        for (id, place) in &mut self.places {
            let look = self.treatment.look(id, &place.network).await?;
            if !look.is_there {
                return Ok(Err(id.clone()));
            }
            place.counted = look.counted.unwrap_or(place.counted);
            add(&mut total, place.counted);
        }
        Ok(Ok(total))
    }

    /// In how many networks it is.
    async fn left(&mut self) -> Result<usize, RuntimeError> {
        let mut left = 0;
        for (id, place) in &self.places {
            let look = self.treatment.look(id, &place.network).await?;
            // What counts is not gone either.
            left += usize::from(look.is_there || look.counted.is_some());
        }
        Ok(left)
    }

    async fn end(&mut self, log: &UndoLog) -> Result<(), RuntimeError> {
        self.is_over = true;
        let mut first_error = None;
        for place in self.places.values() {
            first_error = first_error.or(self.treatment.end(&place.network, log).await.err());
        }
        first_error.map_or(Ok(()), Err)
    }
}

fn add(total: &mut Counted, more: Counted) {
    total.seen += more.seen;
    total.bitten += more.bitten;
}

/// Treats the networks of instances that come back. The lock is held meanwhile, so that nothing ends halfway.
async fn follow<T: Treatment>(mut changes: Receiver<Change>, runtime: Arc<dyn Runtime>, state: Arc<Mutex<State<T>>>) {
    loop {
        let change = match changes.recv().await {
            Ok(change) => change,
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "changes of instances came too fast");
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let mut state = state.lock().await;
        if state.is_over {
            return;
        }
        let Some(pid) = change.status.pid else { continue };
        if let Err(error) = state.begin_again(&change.id, pid, runtime.as_ref()).await {
            // Attesting will show that it is not there, unless the next change brings it.
            tracing::warn!(%error, id = %change.id, "a fault could not follow into the network of an instance");
        }
    }
}

struct InNetworks<T> {
    state: Arc<Mutex<State<T>>>,
    mechanism: String,
    follower: JoinHandle<()>,
}

impl<T> Drop for InNetworks<T> {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

#[async_trait]
impl<T: Treatment> Injected for InNetworks<T> {
    fn mechanism(&self) -> String {
        self.mechanism.clone()
    }

    async fn attest(&mut self, _: &Environment) -> Attestation {
        let mut state = self.state.lock().await;
        match state.count().await {
            Ok(Ok(counted)) => {
                let again = if state.again > 0 {
                    format!("; done again after {} restart(s)", state.again)
                } else {
                    String::new()
                };
                Attestation::when(counted.bitten > 0, state.treatment.words(counted) + &again)
            }
            Ok(Err(id)) => {
                Attestation::not_shown(format!("the network of {id} was replaced meanwhile, and is without it"))
            }
            Err(error) => Attestation::not_shown(error.to_string()),
        }
    }

    async fn roll_back(&mut self, environment: &Environment) -> Result<(), FaultError> {
        Ok(self.state.lock().await.end(environment.runtime().undo_log()).await?)
    }

    async fn attest_gone(&mut self, _: &Environment) -> Attestation {
        let mut state = self.state.lock().await;
        match state.left().await {
            Ok(left) => Attestation::when(left == 0, format!("it is in {left} of {} networks", state.places.len())),
            Err(error) => Attestation::not_shown(error.to_string()),
        }
    }
}
