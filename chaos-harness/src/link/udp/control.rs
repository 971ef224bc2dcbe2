//! The control path: what the relay and the handles share, and how toxics change.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use futures::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};

use super::counters::UdpCounters;
use super::path::Path;
use super::toxic::UdpToxic;
use crate::link::LinkError;
use crate::link::toxic::Way;

/// What the link, its handles and its task share. The sockets are the task's alone.
pub(super) struct Shared {
    pub(super) addr: SocketAddr,
    pub(super) counters: UdpCounters,
    pub(super) state: Mutex<State>,
    pub(super) task: AtomicWaker,
    seed: u64,
}

pub(super) struct State {
    pub(super) upstream: Option<SocketAddr>,
    pub(super) up: Path,
    pub(super) down: Path,
    toxics: Vec<Entry>,
    next_toxic: u64,
    closed: bool,
}

/// A toxic of the link.
#[derive(Clone, PartialEq)]
pub(super) struct Entry {
    /// Never used twice; it keys the toxic's randomness.
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) toxic: UdpToxic,
}

impl Shared {
    pub(super) fn new(addr: SocketAddr, seed: u64) -> Self {
        let (up, down) = (Path::new(Way::Up), Path::new(Way::Down));
        let state = State { upstream: None, up, down, toxics: Vec::new(), next_toxic: 0, closed: false };
        Self { addr, counters: UdpCounters::default(), state: Mutex::new(state), task: AtomicWaker::new(), seed }
    }

    /// Forgets what is on its way, and takes no more changes.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.up.clear();
        state.down.clear();
    }

    fn running(&self) -> Result<MutexGuard<'_, State>, LinkError> {
        let state = self.state.lock();
        if state.closed { Err(LinkError::Closed(self.addr)) } else { Ok(state) }
    }

    /// Sets a toxic on both ways; what that lets go is sent by the relay.
    fn set(&self, state: &mut State, entry: &Entry) {
        let now = Instant::now();
        for path in [&mut state.up, &mut state.down] {
            path.set(entry, self.seed, now, &self.counters);
        }
        self.task.wake();
    }

    fn remove(&self, state: &mut State, entry: &Entry) {
        let now = Instant::now();
        for path in [&mut state.up, &mut state.down] {
            path.remove(entry.id, now, &self.counters);
        }
        self.task.wake();
    }
}

/// The toxics of a UDP link, to be changed while it works.
///
/// Each change holds for every datagram when the call returns, or it is an error and nothing has changed. No call
/// waits. A toxic acts on what the ones added before it let through.
#[derive(Clone)]
pub struct UdpToxics {
    pub(super) shared: Arc<Shared>,
}

impl UdpToxics {
    /// Adds a toxic under a new name.
    ///
    /// # Errors
    /// The name is taken, a value makes no sense, or the link has shut down.
    pub fn add(&self, name: impl Into<String>, toxic: UdpToxic) -> Result<(), LinkError> {
        let name = name.into();
        validate(&name, &toxic)?;
        let mut state = self.shared.running()?;
        if state.toxics.iter().any(|entry| entry.name == name) {
            return Err(LinkError::Duplicate(name));
        }
        let entry = Entry { id: state.next_toxic, name, toxic };
        state.next_toxic += 1;
        self.shared.set(&mut state, &entry);
        state.toxics.push(entry);
        Ok(())
    }

    /// Replaces a toxic in its place. What it held back is treated as if the new one had been there from the start.
    ///
    /// # Errors
    /// There is no such toxic, a value makes no sense, or the link has shut down.
    pub fn update(&self, name: &str, toxic: UdpToxic) -> Result<(), LinkError> {
        validate(name, &toxic)?;
        let mut state = self.shared.running()?;
        let index = position(&state, name)?;
        let entry = Entry { toxic, ..state.toxics[index].clone() };
        self.shared.set(&mut state, &entry);
        state.toxics[index] = entry;
        Ok(())
    }

    /// Removes a toxic; what it held back moves on at once, in the order of arrival.
    ///
    /// # Errors
    /// There is no such toxic, or the link has shut down.
    pub fn remove(&self, name: &str) -> Result<UdpToxic, LinkError> {
        let mut state = self.shared.running()?;
        let index = position(&state, name)?;
        let entry = state.toxics.remove(index);
        self.shared.remove(&mut state, &entry);
        Ok(entry.toxic)
    }

    /// Removes all toxics.
    ///
    /// # Errors
    /// The link has shut down.
    pub fn clear(&self) -> Result<(), LinkError> {
        let mut state = self.shared.running()?;
        for entry in std::mem::take(&mut state.toxics) {
            self.shared.remove(&mut state, &entry);
        }
        Ok(())
    }

    /// The toxics by name, in the order in which they were added.
    pub fn list(&self) -> Vec<(String, UdpToxic)> {
        self.shared.state.lock().toxics.iter().map(|entry| (entry.name.clone(), entry.toxic.clone())).collect()
    }
}

impl fmt::Debug for UdpToxics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.list()).finish()
    }
}

fn validate(name: &str, toxic: &UdpToxic) -> Result<(), LinkError> {
    toxic.validate().map_err(|source| LinkError::Invalid { name: name.to_owned(), source })
}

fn position(state: &State, name: &str) -> Result<usize, LinkError> {
    state.toxics.iter().position(|entry| entry.name == name).ok_or_else(|| {
        let known: Vec<_> = state.toxics.iter().map(|entry| entry.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        LinkError::Unknown { name: name.to_owned(), known }
    })
}
