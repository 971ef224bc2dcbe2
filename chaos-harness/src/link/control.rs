//! The control path: which toxics there are, and how a change of them reaches every connection.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::absence::Manner;
use super::clock::Clock;
use super::connection::{Connection, Driver};
use super::counters::CountersSnapshot;
use super::entry::Entry;
use super::error::LinkError;
use super::gate::Gate;
use super::http::Requests;
use super::lane::Totals;
use super::peers::Peers;
use super::socket;
use super::toxic::{Cut, Toxic, ToxicSpec};
use super::upstream::Upstream;

/// How long a turn waits after the port could not be opened.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// What the proxy, its handles and its tasks share.
pub(super) struct Link {
    pub(super) addr: SocketAddr,
    pub(super) totals: Totals,
    /// On a link that is declared HTTP.
    pub(super) http: Option<Arc<Requests>>,
    pub(super) manner: Manner,
    peers: Peers,
    pub(super) runtime: Handle,
    seed: u64,
    pub(super) state: Mutex<State>,
    // The locks from here on are taken last.
    pub(super) upstream: Mutex<Option<Upstream>>,
    /// The task that follows a callee that refuses.
    pub(super) watch: Mutex<Option<JoinHandle<()>>>,
    /// A connection to the callee that no caller has yet.
    pub(super) spare: Mutex<Option<TcpStream>>,
    pub(super) refused_again: Notify,
    /// Signals that the last connection has ended.
    idle: Notify,
}

/// Lock order: this one before any connection's.
pub(super) struct State {
    /// `None` once the link has shut down.
    gate: Option<Gate>,
    /// A toxic keeps the port closed.
    refusing: bool,
    /// The callee refuses, which keeps the port closed too.
    pub(super) refused: bool,
    toxics: Vec<Entry>,
    /// Turns the toxics; a task for as long as one of them will begin or end by itself.
    clock: Option<JoinHandle<()>>,
    next_toxic: u64,
    /// In the order of acceptance, in which they get places and shares of what they share.
    connections: BTreeMap<u64, Arc<Connection>>,
    next_connection: u64,
}

impl Link {
    pub(super) fn start(
        gate: Gate,
        upstream: Option<Upstream>,
        seed: u64,
        http: bool,
        manner: Manner,
        peers: Peers,
    ) -> Result<Arc<Self>, LinkError> {
        let state = State {
            gate: None,
            refusing: false,
            refused: false,
            toxics: Vec::new(),
            clock: None,
            next_toxic: 0,
            connections: BTreeMap::new(),
            next_connection: 0,
        };
        let link = Arc::new(Self {
            addr: gate.addr(),
            totals: Totals::default(),
            http: http.then(|| Arc::new(Requests::new(seed))),
            manner,
            peers,
            runtime: gate.runtime().clone(),
            seed,
            state: Mutex::new(state),
            upstream: Mutex::new(upstream),
            watch: Mutex::default(),
            spare: Mutex::default(),
            refused_again: Notify::new(),
            idle: Notify::new(),
        });
        let mut state = link.state.lock();
        state.gate = Some(gate);
        link.update_gate(&mut state)?;
        drop(state);
        Ok(link)
    }

    /// Refuses new connections and resets live ones, for good; returns the accept loop and the clock, which
    /// are about to end.
    pub(super) fn close(&self) -> [Option<JoinHandle<()>>; 2] {
        let mut state = self.state.lock();
        let accept_loop = state.gate.take().and_then(|mut gate| gate.close());
        let clock = state.clock.take().inspect(JoinHandle::abort);
        state.connections.values().for_each(|connection| connection.cut(Cut::Shutdown(self.manner), &self.totals));
        [accept_loop, clock]
    }

    /// Closes, and waits until no task and no descriptor is left.
    pub(super) async fn shutdown(&self) {
        for task in self.close().into_iter().flatten() {
            // An error says that it was cancelled, as it should be.
            let _ = task.await;
        }
        loop {
            let idle = self.idle.notified();
            if self.state.lock().connections.is_empty() {
                break;
            }
            idle.await;
        }
        // The last connections may have begun to watch the callee.
        if let Some(watch) = self.stop_watching() {
            let _ = watch.await;
        }
    }

    /// Takes an ended connection off the books, which closes its sockets.
    pub(super) fn forget(&self, number: u64) {
        let mut state = self.state.lock();
        if state.connections.remove(&number).is_some() {
            self.totals.counters.active.subtract(1);
        }
        if state.connections.is_empty() {
            self.idle.notify_waiters();
        }
    }

    fn open(self: &Arc<Self>, gate: &mut Gate) -> Result<(), LinkError> {
        let link = Arc::clone(self);
        gate.open(move |stream| link.accept(stream)).map_err(|source| LinkError::Listen { addr: self.addr, source })
    }

    /// Whether the link serves whoever has connected. Others are reset, and counted.
    fn admits(&self, stream: &TcpStream) -> bool {
        // One whose peer is not known any more is gone.
        let Ok(peer) = stream.peer_addr() else { return false };
        let is_served = self.peers.include(peer);
        if !is_served {
            self.totals.counters.refused_peers.add(1);
            socket::reset(stream);
        }
        is_served
    }

    fn accept(self: &Arc<Self>, stream: TcpStream) {
        if !self.admits(&stream) {
            return;
        }
        // Fails only when the connection is gone already, which its task finds out.
        let _ = stream.set_nodelay(true);
        let mut state = self.state.lock();
        if state.gate.is_none() {
            return;
        }
        let connection = Arc::new(Connection::new(state.next_connection, stream, self.http.as_ref()));
        state.next_connection += 1;
        self.totals.counters.accepted.add(1);
        self.totals.counters.active.add(1);
        connection.apply(&state.toxics, &self.totals);
        connection.open(&self.totals);
        state.connections.insert(connection.number, Arc::clone(&connection));
        drop(state);
        // Without the lock: a runtime that is shutting down drops the task here, which takes it.
        tokio::spawn(Driver::new(connection, Arc::clone(self)));
    }

    fn running(&self) -> Result<MutexGuard<'_, State>, LinkError> {
        let state = self.state.lock();
        if state.gate.is_some() { Ok(state) } else { Err(LinkError::Closed(self.addr)) }
    }

    /// Whether the toxic makes sense on this link.
    fn check(&self, name: &str, toxic: &Toxic) -> Result<(), LinkError> {
        toxic.validate().map_err(|source| LinkError::Invalid { name: name.to_owned(), source })?;
        match (&toxic.spec, &self.http) {
            (ToxicSpec::Http(_), None) => Err(LinkError::NotHttp { name: name.to_owned(), addr: self.addr }),
            _ => Ok(()),
        }
    }

    /// Replaces the toxics: for the port first, which alone can fail, then for every connection.
    ///
    /// Connections accepted meanwhile wait for the lock and then see the new ones.
    fn install(self: &Arc<Self>, state: &mut State, toxics: Vec<Entry>) -> Result<(), LinkError> {
        self.set_gate(state, &toxics)?;
        if let Some(requests) = &self.http {
            let gone = |old: &&Entry| !toxics.iter().any(|new| new.id == old.id);
            requests.forget(state.toxics.iter().filter(gone).map(|entry| entry.id));
        }
        state.toxics = toxics;
        self.apply(state);
        if let Some(clock) = state.clock.take() {
            clock.abort();
        }
        let turns = state.toxics.iter().any(|entry| entry.timeline.until().is_some());
        state.clock = state.gate.as_ref().filter(|_| turns).map(|gate| gate.spawn(Clock::new(Arc::clone(self))));
        Ok(())
    }

    /// Lets the toxics begin and end that are due; says when the next one is.
    pub(super) fn turn(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let mut state = self.state.lock();
        let mut toxics = state.toxics.clone();
        let turned = toxics.iter_mut().fold(false, |turned, entry| entry.timeline.advance(now) | turned);
        if turned {
            if self.set_gate(&mut state, &toxics).is_err() {
                return Some(now + PAUSE);
            }
            state.toxics = toxics;
            self.apply(&state);
        }
        state.toxics.iter().filter_map(|entry| entry.timeline.until()).min()
    }

    /// Opens or closes the port as things are.
    pub(super) fn update_gate(self: &Arc<Self>, state: &mut State) -> Result<(), LinkError> {
        let toxics = std::mem::take(&mut state.toxics);
        let updated = self.set_gate(state, &toxics);
        state.toxics = toxics;
        updated
    }

    /// Opens or closes the port as `toxics` and the callee want it, and counts the closings of toxics.
    fn set_gate(self: &Arc<Self>, state: &mut State, toxics: &[Entry]) -> Result<(), LinkError> {
        let refusing = toxics.iter().any(Entry::closes_port);
        let absent = self.manner == Manner::Transparent && (state.refused || self.upstream.lock().is_none());
        let closed = refusing || (absent && !toxics.iter().any(Entry::hides_callee));
        let Some(gate) = &mut state.gate else { return Ok(()) };
        match (closed, gate.is_open()) {
            (true, true) => drop(gate.close()),
            (false, false) => self.open(gate)?,
            _ => {}
        }
        if refusing && !std::mem::replace(&mut state.refusing, refusing) {
            self.totals.counters.closings.add(1);
            toxics.iter().filter(|entry| entry.closes_port()).for_each(|entry| entry.counters.closings.add(1));
        }
        state.refusing = refusing;
        Ok(())
    }

    fn apply(&self, state: &State) {
        state.connections.values().for_each(|connection| connection.apply(&state.toxics, &self.totals));
    }
}

/// The toxics of a link, to be changed while it works.
///
/// Each change holds for every live and every new connection when the call returns, or it is an
/// error and nothing has changed. No call waits for a peer. A toxic acts on what the ones added
/// before it let through, and those that act on HTTP requests come before all others.
#[derive(Clone)]
pub struct Toxics {
    pub(super) link: Arc<Link>,
}

impl Toxics {
    /// Adds a toxic under a new name.
    ///
    /// # Errors
    /// The name is taken, a value makes no sense, the link is not declared HTTP and the toxic needs it, or the link
    /// has shut down.
    pub fn add(&self, name: impl Into<String>, toxic: Toxic) -> Result<(), LinkError> {
        let name = name.into();
        self.link.check(&name, &toxic)?;
        let mut state = self.link.running()?;
        if state.toxics.iter().any(|entry| entry.name == name) {
            return Err(LinkError::Duplicate(name));
        }
        let mut toxics = state.toxics.clone();
        toxics.push(Entry::new(state.next_toxic, name, toxic, state.next_connection, self.link.seed));
        self.link.install(&mut state, toxics)?;
        state.next_toxic += 1;
        Ok(())
    }

    /// Replaces a toxic in its place. What it held back is treated as if the new one had been there from the start;
    /// the same connections stay affected as far as the probability is the same.
    ///
    /// # Errors
    /// There is no such toxic, a value makes no sense, the link is not declared HTTP and the toxic needs it, or the
    /// link has shut down.
    pub fn update(&self, name: &str, toxic: Toxic) -> Result<(), LinkError> {
        self.link.check(name, &toxic)?;
        let mut state = self.link.running()?;
        let index = position(&state, name)?;
        let mut toxics = state.toxics.clone();
        toxics[index] = toxics[index].updated(toxic);
        self.link.install(&mut state, toxics)
    }

    /// What the toxic itself has counted since it was added: that of others on the link is not in it.
    ///
    /// # Errors
    /// There is no such toxic, or the link has shut down.
    pub fn counters(&self, name: &str) -> Result<CountersSnapshot, LinkError> {
        let state = self.link.running()?;
        let entry = &state.toxics[position(&state, name)?];
        let own = entry.counters.snapshot();
        // A toxic on requests counts those that it chose; the link counts what then became of them.
        let decided = matches!(entry.toxic.spec, ToxicSpec::Http(_));
        Ok(if decided { own.at_most(&self.link.totals.counters.snapshot()) } else { own })
    }

    /// Removes a toxic; what it held back moves on at once, in order. Says what it was and what it did.
    ///
    /// # Errors
    /// There is no such toxic, the port cannot be listened on again, or the link has shut down.
    pub fn remove(&self, name: &str) -> Result<Removed, LinkError> {
        let mut state = self.link.running()?;
        let index = position(&state, name)?;
        let mut toxics = state.toxics.clone();
        let removed = toxics.remove(index);
        self.link.install(&mut state, toxics)?;
        Ok(Removed { counters: removed.counters.snapshot(), toxic: removed.toxic })
    }

    /// Removes all toxics.
    ///
    /// # Errors
    /// The port cannot be listened on again, or the link has shut down.
    pub fn clear(&self) -> Result<(), LinkError> {
        let mut state = self.link.running()?;
        self.link.install(&mut state, Vec::new())
    }

    /// The toxics by name, in the order in which they were added.
    pub fn list(&self) -> Vec<(String, Toxic)> {
        self.link.state.lock().toxics.iter().map(|entry| (entry.name.clone(), entry.toxic.clone())).collect()
    }
}

/// A toxic that is gone.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Removed {
    /// What it was.
    pub toxic: Toxic,
    /// What it did while it was there.
    pub counters: CountersSnapshot,
}

impl fmt::Debug for Toxics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.list()).finish()
    }
}

fn position(state: &State, name: &str) -> Result<usize, LinkError> {
    state.toxics.iter().position(|entry| entry.name == name).ok_or_else(|| {
        let known: Vec<_> = state.toxics.iter().map(|entry| entry.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        LinkError::Unknown { name: name.to_owned(), known }
    })
}
