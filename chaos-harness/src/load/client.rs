//! One request and its answer.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::classify::{Stage, classify};
use super::{Load, LoadError, Request, Statuses};
use crate::measure::Outcome;

/// A client that hides nothing: no proxy, no redirect, no retry.
///
/// Beneath it, hyper-util moves a request whose pooled connection turned out to be closed before a byte was
/// written to another connection; that cannot be switched off here, and sends nothing twice.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .http1_only()
        .no_proxy()
        .referer(false)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never().max_retries_per_request(0))
}

/// Everything needed to send one route, made once.
#[derive(Debug)]
pub(super) struct Route {
    method: http::Method,
    url: reqwest::Url,
    headers: HeaderMap,
    body: Option<Bytes>,
    expect: Statuses,
    degraded: HeaderName,
}

impl Route {
    /// Prepares `request` of `load` for the service at `address`.
    pub(super) fn new(load: &Load, request: &Request, address: SocketAddr) -> Result<Self, LoadError> {
        let no_path = |_| LoadError::Path { route: request.name.clone(), path: request.path.clone() };
        let no_header = |_| LoadError::DegradedHeader { header: load.degraded_header.clone() };
        Ok(Self {
            method: request.method.into(),
            url: format!("http://{address}{}", request.path).parse().map_err(no_path)?,
            headers: headers(request)?,
            body: request.body.as_ref().map(|body| body.to_string().into()),
            expect: request.expect.clone(),
            degraded: load.degraded_header.parse().map_err(no_header)?,
        })
    }

    fn request(&self) -> reqwest::Request {
        let mut request = reqwest::Request::new(self.method.clone(), self.url.clone());
        request.headers_mut().clone_from(&self.headers);
        *request.body_mut() = self.body.clone().map(reqwest::Body::from);
        request
    }

    /// Sends the request and reads the whole answer.
    pub(super) async fn exchange(&self, client: &reqwest::Client) -> Outcome {
        match self.answer(client).await {
            Ok(outcome) => outcome,
            Err((error, stage)) => classify(&error, stage),
        }
    }

    async fn answer(&self, client: &reqwest::Client) -> Result<Outcome, (reqwest::Error, Stage)> {
        let mut answer = client.execute(self.request()).await.map_err(|error| (error, Stage::Head))?;
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

fn headers(request: &Request) -> Result<HeaderMap, LoadError> {
    let mut headers = HeaderMap::new();
    if request.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &request.headers {
        let invalid = || LoadError::Header { route: request.name.clone(), header: name.clone() };
        let name = name.parse::<HeaderName>().map_err(|_| invalid())?;
        headers.insert(name, value.parse().map_err(|_| invalid())?);
    }
    Ok(headers)
}
