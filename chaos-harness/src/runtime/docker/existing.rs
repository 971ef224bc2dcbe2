//! Containers that were there before: touched only when the allow-list names them, by one experiment at a time, and
//! never removed.

use bollard::Docker;
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

use super::address;
use super::client::{engine, find};
use super::events::{self, Watch};
use crate::folders::undo_dir;
use crate::runtime::machine_lock::MachineLock;
use crate::runtime::{Change, RuntimeError};
use crate::safety::{AllowList, undo};

/// A container of somebody else, locked for this environment.
#[derive(Debug)]
pub(super) struct Existing {
    /// The engine's id of it: a name may belong to another one later.
    pub(super) container: String,
    /// Tells of changes in its life.
    watch: AbortHandle,
    _lock: MachineLock,
}

impl Drop for Existing {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// Looks the container up, and takes it for this environment. Changes in its life are told to `changes` from then on.
pub(super) async fn adopt(
    docker: &Docker,
    given: &str,
    watch: Watch,
    changes: &broadcast::Sender<Change>,
) -> Result<Existing, RuntimeError> {
    let found = find(docker, given).await.map_err(engine(format!("inspect container {given}")))?;
    let details = found.ok_or_else(|| RuntimeError::NoContainer { container: given.to_owned() })?;
    let address = address::of_existing(docker, &details, &watch.network, watch.port).await?;
    let is_running = details.state.as_ref().and_then(|state| state.running) == Some(true);
    let (id, name) = (details.id.unwrap_or_default(), details.name.unwrap_or_default());
    let name = name.trim_start_matches('/');
    let allowed = AllowList::current().map_err(RuntimeError::AllowList)?;
    if !allowed.allows(name, &id) {
        return Err(RuntimeError::NotOurs { container: name.to_owned(), file: allowed.file() });
    }
    let lock = lock(name, &id)?;
    // Its lock goes with a process; what that has left to undo may not be taken for what was there before.
    if undo::names(&undo_dir(), &id)? {
        return Err(RuntimeError::Taken { container: name.to_owned() });
    }
    if is_running && address.is_none() {
        return Err(RuntimeError::NoAddress { container: name.to_owned(), port: watch.port });
    }
    let watch = tokio::spawn(events::watch(docker.clone(), id.clone(), watch, changes.clone())).abort_handle();
    Ok(Existing { _lock: lock, watch, container: id })
}

/// Takes the lock that every harness on this machine takes before it touches the container.
fn lock(name: &str, id: &str) -> Result<MachineLock, RuntimeError> {
    let taken = MachineLock::take(id).map_err(RuntimeError::io(format!("lock container {name}")))?;
    taken.ok_or_else(|| RuntimeError::Taken { container: name.to_owned() })
}
