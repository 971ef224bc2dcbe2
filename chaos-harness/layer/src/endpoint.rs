//! The control endpoint: rules and fail points over HTTP, as JSON.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower_service::Service;

use crate::control::ChaosControl;
use crate::invalid::Invalid;
use crate::rule::Rule;
use crate::wire::{Order, Refused};

/// Far more than any rule takes.
const MOST_BYTES: usize = 64 * 1024;

/// A service that switches the faults of a process, to be mounted where nobody but tests can reach it, and outside
/// the [`ChaosLayer`](crate::ChaosLayer), whose rules would act on it as well.
///
/// | request | does |
/// |---|---|
/// | `GET /` | tells what is in force, with counts: a [`Report`](crate::Report) |
/// | `DELETE /` | takes everything away |
/// | `PUT /rules/NAME` | puts a rule in force, or renews its lease; the body is an [`Order`] of a [`Rule`] |
/// | `DELETE /rules/NAME` | takes it away; so it does when it is gone already |
/// | `PUT /points/NAME` | switches a fail point on, or renews its lease; the body is an [`Order`] of a [`FailPoint`](crate::FailPoint) |
/// | `DELETE /points/NAME` | switches it off |
///
/// What it refuses it answers with 4xx and [`Refused`], which names what is wrong.
///
/// ```
/// use axum::{Router, routing::get};
/// use chaos_layer::{ChaosControl, ChaosLayer, ControlEndpoint};
///
/// let control = ChaosControl::new();
/// let app: Router = Router::new()
///     .route("/stock", get(async || "7"))
///     .layer(ChaosLayer::new(control.clone()))
///     .nest_service("/chaos", ControlEndpoint::new(control));
/// ```
#[derive(Clone, Debug)]
pub struct ControlEndpoint(ChaosControl);

impl ControlEndpoint {
    /// Switches what `control` has, and the fail points of the process.
    pub fn new(control: ChaosControl) -> Self {
        Self(control)
    }
}

impl<B> Service<Request<B>> for ControlEndpoint
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>, Data: Send> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let control = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = Limited::new(body, MOST_BYTES).collect().await.map(|body| body.to_bytes());
            let body = body.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "body", error.to_string()));
            let answer = body.and_then(|body| handle(&control, &head.method, head.uri.path(), &body));
            Ok(answer.unwrap_or_else(Problem::into_response))
        })
    }
}

fn handle(control: &ChaosControl, method: &Method, path: &str, body: &[u8]) -> Result<Response<Full<Bytes>>, Problem> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (reads, puts, deletes) = (method == Method::GET, method == Method::PUT, method == Method::DELETE);
    match parts.as_slice() {
        [""] if reads => return Ok(json(StatusCode::OK, &control.report())),
        [""] if deletes => control.clear(),
        [""] => return Err(Problem::method(method, "GET, DELETE")),
        ["rules", name] if puts => {
            let Order { ttl, fault } = read::<Order<Rule>>(body)?;
            control.put(name, fault, ttl)?;
        }
        ["rules", name] if deletes => drop(control.remove(name)),
        ["points", name] if puts => put_point(name, body)?,
        ["points", name] if deletes => remove_point(name),
        ["rules" | "points", _] => return Err(Problem::method(method, "PUT, DELETE")),
        _ => return Err(Problem::new(StatusCode::NOT_FOUND, "path", format!("there is nothing at {path:?}"))),
    }
    Ok(empty(StatusCode::NO_CONTENT))
}

#[cfg(feature = "fail-points")]
fn put_point(name: &str, body: &[u8]) -> Result<(), Problem> {
    let Order { ttl, fault } = read::<Order<crate::FailPoint>>(body)?;
    Ok(crate::points::put(name, fault, ttl)?)
}

#[cfg(not(feature = "fail-points"))]
fn put_point(name: &str, _: &[u8]) -> Result<(), Problem> {
    let problem = format!("no fail point `{name}`: this service is built without the feature `fail-points`");
    Err(Problem::new(StatusCode::NOT_FOUND, "points", problem))
}

fn remove_point(_name: &str) {
    #[cfg(feature = "fail-points")]
    crate::points::remove(_name);
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let name = if path == "." { "body".to_owned() } else { path };
        Problem::new(StatusCode::BAD_REQUEST, name, error.into_inner().to_string())
    })?;
    json.end().map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "body", error.to_string()))?;
    Ok(read)
}

/// A 4xx answer.
struct Problem {
    status: StatusCode,
    allow: Option<&'static str>,
    refused: Refused,
}

impl Problem {
    fn new(status: StatusCode, name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { status, allow: None, refused: Refused { name: name.into(), problem: problem.into() } }
    }

    fn method(given: &Method, allow: &'static str) -> Self {
        let problem = format!("{given} is not allowed here; use {allow}");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", problem) }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = json(self.status, &self.refused);
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, invalid.field, invalid.problem)
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    // The types here have nothing that JSON has not.
    let mut response = Response::new(Full::from(serde_json::to_vec(value).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
