//! One proxy: what it is told to be, and the link that it is while enabled.

use std::io;
use std::net::SocketAddr;

use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use super::attributes::{Attributes, Stream, Toxicity};
use super::call::{NewProxy, NewToxic, ToxicChange};
use super::listen::{Place, resolve};
use super::metrics::{Ledger, Series};
use super::{ApiError, Settings};
use crate::link::{LinkError, LinkProxy, Manner};

pub(super) struct Proxy {
    name: String,
    /// As it was asked for, then as it was bound.
    listen: String,
    upstream: String,
    toxics: Vec<Named>,
    /// There while the proxy is enabled.
    link: Option<LinkProxy>,
    /// How often it was enabled: each time decides anew.
    starts: u64,
}

/// A toxic, as it goes over the wire.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Named {
    attributes: Attributes,
    name: String,
    r#type: &'static str,
    stream: Stream,
    toxicity: Toxicity,
}

/// A proxy, as it goes over the wire.
#[derive(Serialize)]
pub(super) struct View<'a> {
    name: &'a str,
    listen: &'a str,
    upstream: &'a str,
    enabled: bool,
    toxics: Vec<&'a Named>,
}

impl Proxy {
    pub(super) fn new(new: NewProxy) -> Self {
        let NewProxy { name, listen, upstream, enabled: _ } = new;
        Self { name, listen, upstream, toxics: Vec::new(), link: None, starts: 0 }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn view(&self) -> View<'_> {
        let Self { name, listen, upstream, .. } = self;
        View { name, listen, upstream, enabled: self.is_enabled(), toxics: self.toxics() }
    }

    /// Those of the stream upstream first, each stream in the order of addition.
    pub(super) fn toxics(&self) -> Vec<&Named> {
        let of = |stream| self.toxics.iter().filter(move |toxic| toxic.stream == stream);
        of(Stream::Upstream).chain(of(Stream::Downstream)).collect()
    }

    pub(super) fn toxic(&self, name: &str) -> Result<&Named, ApiError> {
        self.toxics.iter().find(|toxic| toxic.name == name).ok_or(ApiError::ToxicNotFound)
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.link.is_some()
    }

    /// Whether it would have to start anew to listen and connect there.
    pub(super) async fn differs(&self, listen: &str, upstream: &str, settings: &Settings) -> Result<bool, ApiError> {
        Ok(resolve(listen, settings.every_interface).await?.addr.to_string() != self.listen
            || upstream != self.upstream)
    }

    /// Where it listens and connects on to.
    pub(super) fn place(&self) -> (String, String) {
        (self.listen.clone(), self.upstream.clone())
    }

    /// Moves a stopped proxy.
    pub(super) fn point(&mut self, listen: String, upstream: String) {
        (self.listen, self.upstream) = (listen, upstream);
    }

    /// Listens, unless it does.
    pub(super) async fn start(&mut self, settings: &Settings) -> Result<(), ApiError> {
        if self.is_enabled() {
            return Ok(());
        }
        let place = resolve(&self.listen, settings.every_interface).await;
        let Place { addr, narrowed } = place.map_err(|error| ApiError::Listen(format!(": {error}")))?;
        let _links = settings.links.as_ref().map(Handle::enter);
        let link =
            LinkProxy::bind_with(addr, self.upstream.as_str().into(), self.seed(settings.seed), Manner::Toxiproxy)
                .map_err(refused)?;
        self.toxics.iter().try_for_each(|toxic| link.toxics().add(&toxic.name, toxic.on_link())).map_err(refused)?;
        if narrowed {
            (settings.log)(format_args!(
                "WARNING: {:?} asked for {:?}, which is every interface to toxiproxy: listening on {} alone; start \
                 with --all-interfaces, or ask for 0.0.0.0:{}",
                self.name,
                self.listen,
                link.addr(),
                link.addr().port(),
            ));
        }
        self.listen = link.addr().to_string();
        self.link = Some(link);
        self.starts += 1;
        (settings.log)(format_args!("{:?}: {} -> {:?}", self.name, self.listen, self.upstream));
        Ok(())
    }

    /// Stops to listen and closes every connection; returns when both is done.
    pub(super) async fn stop(&mut self, ledger: &mut Ledger, settings: &Settings) {
        if let Some(series) = self.series() {
            ledger.add(series);
        }
        if let Some(link) = self.link.take() {
            link.shutdown().await;
            (settings.log)(format_args!("{:?}: {} closed", self.name, self.listen));
        }
    }

    pub(super) fn add(&mut self, new: NewToxic) -> Result<&Named, ApiError> {
        if self.toxic(&new.name).is_ok() {
            return Err(ApiError::ToxicAlreadyExists);
        }
        let NewToxic { name, stream, toxicity, attributes } = new;
        let attributes = attributes?;
        let toxic = Named { attributes, name, r#type: attributes.name(), stream, toxicity };
        if let Some(link) = &self.link {
            link.toxics().add(&toxic.name, toxic.on_link()).map_err(refused)?;
        }
        self.toxics.push(toxic);
        Ok(&self.toxics[self.toxics.len() - 1])
    }

    pub(super) fn change(&mut self, name: &str, change: &ToxicChange) -> Result<&Named, ApiError> {
        let position = self.position(name)?;
        let mut toxic = self.toxics[position].clone();
        toxic.attributes = change.applied_to(toxic.attributes)?;
        toxic.toxicity = change.toxicity.unwrap_or(toxic.toxicity);
        if let Some(link) = &self.link {
            link.toxics().update(name, toxic.on_link()).map_err(refused)?;
        }
        self.toxics[position] = toxic;
        Ok(&self.toxics[position])
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<(), ApiError> {
        let position = self.position(name)?;
        if let Some(link) = &self.link {
            self.toxics[position].leave(link).map_err(refused)?;
        }
        self.toxics.remove(position);
        Ok(())
    }

    pub(super) fn clear(&mut self) -> Result<(), ApiError> {
        if let Some(link) = &self.link {
            self.toxics.iter().try_for_each(|toxic| toxic.leave(link)).map_err(refused)?;
        }
        self.toxics.clear();
        Ok(())
    }

    /// What it has carried since it was last enabled.
    pub(super) fn series(&self) -> Option<Series> {
        let link = self.link.as_ref()?;
        Some(Series::new([&self.name, &self.listen, &self.upstream], link.received(), link.counters()))
    }

    fn position(&self, name: &str) -> Result<usize, ApiError> {
        self.toxics.iter().position(|toxic| toxic.name == name).ok_or(ApiError::ToxicNotFound)
    }

    /// A proxy decides the same whatever other proxies there are.
    fn seed(&self, seed: u64) -> u64 {
        let key = [&seed.to_le_bytes(), &self.starts.to_le_bytes(), self.name.as_bytes()].concat();
        let digest: [u8; 32] = Sha256::digest(key).into();
        digest[..8].iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte))
    }
}

impl Named {
    fn on_link(&self) -> crate::link::Toxic {
        self.attributes.toxic(self.stream, self.toxicity)
    }

    fn leave(&self, link: &LinkProxy) -> Result<(), LinkError> {
        if let Some(parting) = self.attributes.parting(self.stream, self.toxicity) {
            link.toxics().update(&self.name, parting)?;
        }
        link.toxics().remove(&self.name).map(|_| ())
    }
}

/// What the link says, in Go's words.
fn refused(error: LinkError) -> ApiError {
    let bind = |addr: SocketAddr, problem: &str| ApiError::Listen(format!(" {addr}: bind: {problem}"));
    match error {
        LinkError::PortInUse(addr) => bind(addr, "address already in use"),
        LinkError::Listen { addr, source } => bind(addr, &system_message(&source)),
        other => ApiError::Listen(format!(": {other}")),
    }
}

/// `Permission denied (os error 13)` as Go has it: `permission denied`.
fn system_message(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
