//! The proxies, and what each request does to them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard};

use super::ApiError;
use super::call::{Call, NewProxy, ProxyChange};
use super::error::Wire;
use super::metrics::Ledger;
use super::proxy::{Proxy, View};

/// How a stand-alone proxy behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides all randomness.
    pub seed: u64,
    /// Whether the page of metrics tells of the proxies.
    pub proxy_metrics: bool,
    /// Whether the page of metrics tells of the process. Without either there is no such page.
    pub runtime_metrics: bool,
    /// Whether a proxy without a host, as `:6379`, listens on every interface, as toxiproxy does, and not on loopback alone.
    pub every_interface: bool,
    /// The names that `Host` may hold beside addresses and names without a dot.
    pub hosts: Vec<String>,
    /// Where the connections live, if not in the runtime in which requests are handled. Those then do not wait for
    /// each other, however much the connections have to do.
    pub links: Option<Handle>,
    /// Is told, in one line each, what happens.
    pub log: fn(fmt::Arguments<'_>),
}

impl Default for Settings {
    fn default() -> Self {
        let log = |_: fmt::Arguments<'_>| {};
        Self {
            seed: 0,
            proxy_metrics: false,
            runtime_metrics: false,
            every_interface: false,
            hosts: Vec::new(),
            links: None,
            log,
        }
    }
}

/// What is sent back.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// All proxies of a server.
pub struct Control {
    settings: Settings,
    /// A request has it for as long as it works, and no connection ever takes it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    proxies: BTreeMap<String, Proxy>,
    ledger: Ledger,
}

/// What `/populate` answers.
#[derive(Serialize)]
struct Populated<'a> {
    #[serde(flatten)]
    error: Option<Wire>,
    /// `null` when there is none, as in Go.
    proxies: Option<Vec<View<'a>>>,
}

impl Control {
    /// No proxies yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// How it behaves.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Does what a request asks for.
    ///
    /// # Errors
    /// Says what was wrong with it. Nothing has changed then, but that a proxy that could not move has stopped.
    pub async fn handle(&self, call: Call) -> Result<Reply, ApiError> {
        let mut state = self.state.lock().await;
        match call {
            Call::ListProxies => {
                let views: BTreeMap<_, _> = state.proxies.iter().map(|(name, proxy)| (name, proxy.view())).collect();
                Ok(json(200, &views))
            }
            Call::CreateProxy(new) => state.create(new?, &self.settings).await,
            Call::Populate(list) => Ok(self.populate(state, list).await),
            Call::ShowProxy(proxy) => Ok(json(200, &state.get(&proxy)?.view())),
            Call::UpdateProxy(proxy, change) => state.update(&proxy, change, &self.settings).await,
            Call::DeleteProxy(proxy) => state.delete(&proxy, &self.settings).await,
            Call::ListToxics(proxy) => Ok(json(200, &state.get(&proxy)?.toxics())),
            Call::AddToxic(proxy, toxic) => Ok(json(200, state.get(&proxy)?.add(toxic?)?)),
            Call::ShowToxic(proxy, toxic) => Ok(json(200, state.get(&proxy)?.toxic(&toxic)?)),
            Call::UpdateToxic(proxy, toxic, change) => {
                let proxy = state.get(&proxy)?;
                proxy.toxic(&toxic)?;
                Ok(json(200, proxy.change(&toxic, &change?)?))
            }
            Call::DeleteToxic(proxy, toxic) => state.get(&proxy)?.remove(&toxic).map(|()| nothing()),
            Call::Reset => state.reset(&self.settings).await,
            Call::Version => Ok(version()),
            Call::Metrics if self.settings.proxy_metrics || self.settings.runtime_metrics => Ok(self.metrics(&state)),
            Call::Metrics => Err(ApiError::NoSuchPath),
        }
    }

    /// Creates or replaces the proxies of a list, in order, up to the first that fails; says how many there are.
    ///
    /// # Errors
    /// The text is no list of proxies, or one of them cannot listen.
    pub async fn populate_from(&self, text: &[u8]) -> Result<usize, ApiError> {
        let list = super::call::populate(text)?;
        let (placed, error) = self.state.lock().await.place_all(list, &self.settings).await;
        error.map_or(Ok(placed.len()), Err)
    }

    async fn populate(&self, mut state: MutexGuard<'_, State>, list: Result<Vec<NewProxy>, ApiError>) -> Reply {
        let (placed, error) = match list {
            Ok(list) => state.place_all(list, &self.settings).await,
            Err(error) => (Vec::new(), Some(error)),
        };
        let views: Vec<_> = placed.iter().filter_map(|name| state.proxies.get(name)).map(Proxy::view).collect();
        let proxies = Some(views).filter(|views| !views.is_empty());
        let status = error.as_ref().map_or(201, ApiError::status);
        json(status, &Populated { error: error.as_ref().map(ApiError::wire), proxies })
    }

    fn metrics(&self, state: &State) -> Reply {
        let mut ledger = state.ledger.clone();
        state.proxies.values().filter_map(Proxy::series).for_each(|series| ledger.add(series));
        let process = self.settings.runtime_metrics.then(super::process::metrics).unwrap_or_default();
        let body = process + &if self.settings.proxy_metrics { ledger.render() } else { String::new() };
        Reply { status: 200, content_type: "text/plain; version=0.0.4; charset=utf-8", body }
    }

    /// Stops every proxy; returns when no listener and no connection is left.
    pub async fn shutdown(&self) {
        let State { proxies, ledger } = &mut *self.state.lock().await;
        for proxy in proxies.values_mut() {
            proxy.stop(ledger, &self.settings).await;
        }
    }
}

impl State {
    fn get(&mut self, name: &str) -> Result<&mut Proxy, ApiError> {
        self.proxies.get_mut(name).ok_or(ApiError::ProxyNotFound)
    }

    async fn create(&mut self, new: NewProxy, settings: &Settings) -> Result<Reply, ApiError> {
        if self.proxies.contains_key(&new.name) {
            return Err(ApiError::ProxyAlreadyExists);
        }
        let proxy = self.insert(new, settings).await?;
        Ok(json(201, &proxy.view()))
    }

    /// The names of those that came to be, and why it ended before the last.
    async fn place_all(&mut self, list: Vec<NewProxy>, settings: &Settings) -> (Vec<String>, Option<ApiError>) {
        let mut placed = Vec::new();
        for new in list {
            let name = new.name.clone();
            match self.place(new, settings).await {
                Ok(()) => placed.push(name),
                Err(error) => return (placed, Some(error)),
            }
        }
        (placed, None)
    }

    /// A proxy that is there already stays as it is, unless it listens or connects elsewhere.
    async fn place(&mut self, new: NewProxy, settings: &Settings) -> Result<(), ApiError> {
        if let Some(existing) = self.proxies.get_mut(&new.name) {
            if !existing.differs(&new.listen, &new.upstream, settings).await? {
                return Ok(());
            }
            existing.stop(&mut self.ledger, settings).await;
        }
        self.insert(new, settings).await.map(|_| ())
    }

    async fn insert(&mut self, new: NewProxy, settings: &Settings) -> Result<&Proxy, ApiError> {
        let enabled = new.enabled;
        let mut proxy = Proxy::new(new);
        if enabled {
            proxy.start(settings).await?;
        }
        let name = proxy.name().to_owned();
        Ok(self.proxies.entry(name).insert_entry(proxy).into_mut())
    }

    async fn update(
        &mut self,
        name: &str,
        change: Result<ProxyChange, ApiError>,
        settings: &Settings,
    ) -> Result<Reply, ApiError> {
        let proxy = self.proxies.get_mut(name).ok_or(ApiError::ProxyNotFound)?;
        let change = change?;
        let (listen, upstream) = proxy.place();
        let (listen, upstream) = (change.listen.unwrap_or(listen), change.upstream.unwrap_or(upstream));
        let enabled = change.enabled.unwrap_or(proxy.is_enabled());
        if proxy.differs(&listen, &upstream, settings).await? {
            proxy.stop(&mut self.ledger, settings).await;
            proxy.point(listen, upstream);
        }
        match enabled {
            true => proxy.start(settings).await?,
            false => proxy.stop(&mut self.ledger, settings).await,
        }
        Ok(json(200, &proxy.view()))
    }

    async fn delete(&mut self, name: &str, settings: &Settings) -> Result<Reply, ApiError> {
        self.proxies.get_mut(name).ok_or(ApiError::ProxyNotFound)?.stop(&mut self.ledger, settings).await;
        self.proxies.remove(name);
        Ok(nothing())
    }

    async fn reset(&mut self, settings: &Settings) -> Result<Reply, ApiError> {
        for proxy in self.proxies.values_mut() {
            proxy.start(settings).await?;
            proxy.clear()?;
        }
        Ok(nothing())
    }
}

fn json(status: u16, value: &impl Serialize) -> Reply {
    // Strings and numbers under string keys: there is nothing that JSON cannot hold.
    let body = serde_json::to_string(value).unwrap_or_default();
    Reply { status, content_type: "application/json", body }
}

fn nothing() -> Reply {
    Reply { status: 204, content_type: "", body: String::new() }
}

/// The version whose interface this is, which clients look at, and the library's own.
fn version() -> Reply {
    let body = format!("{{\"version\": \"{}\"}}\n", super::VERSION);
    Reply { status: 200, content_type: "application/json;charset=utf-8", body }
}
