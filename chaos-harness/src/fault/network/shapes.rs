//! The queueing disciplines of this process's environments: one root per namespace, worked out anew from all faults that
//! are in force there.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chaos_harness_netns::{Done, Job, Netem, NetnsError, Packets, Shaping};
use tokio::sync::Mutex;

use crate::runtime::{NetworkUndo, RuntimeError, TargetNetwork};
use crate::safety::undo::{UndoLog, UndoStep};

/// By injection.
type Faults = BTreeMap<String, (Vec<Packets>, Netem)>;

/// Held while a kernel is told, so that it is told in the order in which faults come and go.
static FAULTS: LazyLock<Mutex<BTreeMap<TargetNetwork, Faults>>> = LazyLock::new(Mutex::default);

fn shaping(faults: &Faults) -> Shaping {
    Shaping { faults: faults.values().cloned().collect() }
}

/// Adds what injection `name` does in `network`.
pub(super) async fn add(
    network: &TargetNetwork,
    log: &UndoLog,
    name: &str,
    fault: (Vec<Packets>, Netem),
) -> Result<(), RuntimeError> {
    let mut all = FAULTS.lock().await;
    let faults = all.entry(network.clone()).or_default();
    let before = shaping(faults);
    log.note(UndoStep::Network(NetworkUndo::Shape { network: network.clone() }))?;
    faults.insert(name.to_owned(), fault);
    let Err(error) = network.perform(Job::Shape(shaping(faults))).await else { return Ok(()) };
    faults.remove(name);
    // The others stay in force.
    if !before.faults.is_empty() {
        network.perform(Job::Shape(before)).await?;
    }
    Err(error)
}

/// Takes away what injection `name` does in `network`; nothing is fine.
pub(super) async fn remove(network: &TargetNetwork, log: &UndoLog, name: &str) -> Result<(), RuntimeError> {
    let mut all = FAULTS.lock().await;
    let Some(faults) = all.get_mut(network) else { return Ok(()) };
    let mut left = faults.clone();
    if left.remove(name).is_none() && !left.is_empty() {
        return Ok(());
    }
    match network.perform(Job::Shape(shaping(&left))).await {
        Ok(_) | Err(RuntimeError::Network(NetnsError::Gone)) => {}
        Err(error) => return Err(error),
    }
    *faults = left;
    if faults.is_empty() {
        all.remove(network);
        log.done(&UndoStep::Network(NetworkUndo::Shape { network: network.clone() }))?;
    }
    Ok(())
}

/// How many packets have been shaped as `packets` are; `None` when nothing is shaped there.
pub(super) async fn count(network: &TargetNetwork, packets: &[Packets]) -> Result<Option<u64>, RuntimeError> {
    let all = FAULTS.lock().await;
    let shaping = all.get(network).map(shaping).unwrap_or_default();
    match network.perform(Job::Shaped { shaping, packets: packets.to_vec() }).await {
        Ok(Done::Counted(counted)) => Ok(Some(counted.bitten)),
        Ok(_) | Err(RuntimeError::Network(NetnsError::Gone)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether injection `name` is in force in `network`.
pub(super) async fn has(network: &TargetNetwork, name: &str) -> bool {
    FAULTS.lock().await.get(network).is_some_and(|faults| faults.contains_key(name))
}
