//! One request and its answer.

use std::net::SocketAddr;

use http::HeaderName;

use super::classify::{Stage, classify};
use super::{Load, LoadError, Request, Statuses};
use crate::measure::Outcome;

/// A client that hides nothing: no proxy, no redirect, no retry.
///
/// Beneath it, hyper-util moves a request whose pooled connection turned out to be closed before a byte was
/// written to another connection; that cannot be switched off here, and sends nothing twice.
pub(super) fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .http1_only()
        .no_proxy()
        .referer(false)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
}

/// Everything needed to send one route, made once.
#[derive(Debug)]
pub(super) struct Route {
    template: http::Request<bytes::Bytes>,
    expect: Statuses,
    degraded: HeaderName,
}

impl Route {
    /// Prepares `request` of a valid `load` for the service at `address`.
    pub(super) fn new(load: &Load, request: &Request, address: SocketAddr) -> Result<Self, LoadError> {
        let body = request.body.as_ref().map(|value| value.to_string().into_bytes()).unwrap_or_default();
        let mut template = http::Request::builder()
            .method(http::Method::from(request.method))
            .uri(format!("http://{address}{}", request.path));
        if request.body.is_some() && !request.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
            template = template.header(http::header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in &request.headers {
            template = template.header(name, value);
        }
        let invalid = |_| LoadError::Path { route: request.name.clone(), path: request.path.clone() };
        let degraded = load.degraded_header.parse();
        Ok(Self {
            template: template.body(body.into()).map_err(invalid)?,
            expect: request.expect.clone(),
            degraded: degraded.map_err(|_| LoadError::DegradedHeader { header: load.degraded_header.clone() })?,
        })
    }

    /// Sends the request and reads the whole answer.
    pub(super) async fn exchange(&self, client: &reqwest::Client) -> Outcome {
        match self.answer(client).await {
            Ok(outcome) => outcome,
            Err((error, stage)) => classify(&error, stage),
        }
    }

    async fn answer(&self, client: &reqwest::Client) -> Result<Outcome, (reqwest::Error, Stage)> {
        let request = self.template.clone().try_into().map_err(|error| (error, Stage::Head))?;
        let mut answer = client.execute(request).await.map_err(|error| (error, Stage::Head))?;
        let status = answer.status().as_u16();
        let degraded = answer.headers().contains_key(&self.degraded);
        while answer.chunk().await.map_err(|error| (error, Stage::Body))?.is_some() {}
        Ok(match (self.expect.contains(status), degraded) {
            (false, _) => Outcome::Status(status),
            (true, true) => Outcome::Degraded(status),
            (true, false) => Outcome::Good(status),
        })
    }
}
