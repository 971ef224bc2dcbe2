//! How a layer sees a request, and how it says no: over HTTP, or plainly.

use std::time::Duration;

use thiserror::Error;

use crate::answer::{answer, is_grpc};
use crate::plan::Refusal;
use crate::rule::Seen;

/// How requests of one type are seen, and refused. [`Http`] and [`Plain`] are what most services need.
pub trait Speaks<Request, Response, Error> {
    /// What rules look at.
    fn see<'a>(&'a self, request: &'a Request) -> Seen<'a>;

    /// What a request that was `seen` gets in place of the service's answer.
    ///
    /// # Errors
    /// Where refusing means an error and not a response.
    fn refuse(&self, seen: &Seen<'_>, refusal: &Refusal) -> Result<Response, Error>;
}

/// Requests and responses of the `http` crate, and of reqwest with the feature `reqwest`: refused with a status, or
/// with a gRPC status where the request is a gRPC call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Http;

impl<B, A: Default, E> Speaks<http::Request<B>, http::Response<A>, E> for Http {
    fn see<'a>(&'a self, request: &'a http::Request<B>) -> Seen<'a> {
        Seen { method: Some(request.method()), path: request.uri().path(), headers: Some(request.headers()) }
    }

    fn refuse(&self, seen: &Seen<'_>, refusal: &Refusal) -> Result<http::Response<A>, E> {
        Ok(answer(refusal, is_grpc(seen)).map(|()| A::default()))
    }
}

#[cfg(feature = "reqwest")]
impl<E> Speaks<reqwest::Request, reqwest::Response, E> for Http {
    fn see<'a>(&'a self, request: &'a reqwest::Request) -> Seen<'a> {
        Seen { method: Some(request.method()), path: request.url().path(), headers: Some(request.headers()) }
    }

    fn refuse(&self, seen: &Seen<'_>, refusal: &Refusal) -> Result<reqwest::Response, E> {
        Ok(answer(refusal, is_grpc(seen)).map(|()| "").into())
    }
}

/// Any request: known by the name of its service, and refused with an error.
#[derive(Clone, Debug)]
pub struct Plain {
    pub(crate) name: std::sync::Arc<str>,
}

impl<Request, Response, E: From<Fault>> Speaks<Request, Response, E> for Plain {
    fn see<'a>(&'a self, _: &'a Request) -> Seen<'a> {
        Seen { path: &self.name, ..Seen::default() }
    }

    fn refuse(&self, _: &Seen<'_>, refusal: &Refusal) -> Result<Response, E> {
        let name = self.name.to_string();
        Err(E::from(match refusal {
            Refusal::Failed { status, .. } => Fault::Failed { name, status: *status },
            Refusal::TimedOut => Fault::TimedOut { name },
            Refusal::TooMany { retry_after } => Fault::TooMany { name, retry_after: *retry_after },
        }))
    }
}

/// What a service that does not speak HTTP answers instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The rule says that it failed.
    #[error("`{name}` failed with {status}, as a chaos rule says")]
    Failed {
        /// The name of the service.
        name: String,
        /// The status of the rule.
        status: u16,
    },
    /// The rule held it up for as long as it could.
    #[error("`{name}` took too long, as a chaos rule says")]
    TimedOut {
        /// The name of the service.
        name: String,
    },
    /// The rule lets no more pass for now.
    #[error("`{name}` had too many requests, as a chaos rule says; try again in {retry_after:?}")]
    TooMany {
        /// The name of the service.
        name: String,
        /// When the next window begins.
        retry_after: Duration,
    },
}
