//! The layer and the service that it makes.

use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::control::ChaosControl;
use crate::future::ResponseFuture;
use crate::speaks::{Http, Plain, Speaks};

/// Puts the rules of a [`ChaosControl`] in front of a service. Without any it costs one relaxed load a request: it
/// allocates nothing and boxes no future.
///
/// A request that a rule delays waits in front of the service's own future; one that is refused never reaches the
/// service.
#[derive(Clone, Debug)]
pub struct ChaosLayer<M = Http> {
    control: ChaosControl,
    mode: M,
}

impl ChaosLayer {
    /// In front of a service, or a client, that speaks HTTP or gRPC. The body of its responses has a `Default`, as
    /// those of axum and tonic have.
    pub fn new(control: ChaosControl) -> Self {
        Self::speaking(control, Http)
    }
}

impl ChaosLayer<Plain> {
    /// In front of any other service, whose errors can be made from a [`Fault`](crate::Fault), as a boxed error can.
    /// Rules find it under `name`, in the place of a path.
    pub fn plain(control: ChaosControl, name: impl Into<String>) -> Self {
        Self::speaking(control, Plain { name: name.into().into() })
    }
}

impl<M> ChaosLayer<M> {
    /// In front of a service that speaks something else; see [`Speaks`].
    pub fn speaking(control: ChaosControl, mode: M) -> Self {
        Self { control, mode }
    }
}

impl<S, M: Clone> Layer<S> for ChaosLayer<M> {
    type Service = Chaos<S, M>;

    fn layer(&self, inner: S) -> Self::Service {
        Chaos { inner, control: self.control.clone(), mode: self.mode.clone() }
    }
}

/// What [`ChaosLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct Chaos<S, M = Http> {
    inner: S,
    control: ChaosControl,
    mode: M,
}

impl<S, M, Request> Service<Request> for Chaos<S, M>
where
    S: Service<Request>,
    M: Speaks<Request, S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, Result<S::Response, S::Error>>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        if self.control.is_on() {
            self.call_under_rules(request)
        } else {
            ResponseFuture::call(self.inner.call(request))
        }
    }
}

impl<S, M> Chaos<S, M> {
    #[cold]
    fn call_under_rules<Request>(
        &mut self,
        request: Request,
    ) -> ResponseFuture<S::Future, Result<S::Response, S::Error>>
    where
        S: Service<Request>,
        M: Speaks<Request, S::Response, S::Error>,
    {
        let seen = self.mode.see(&request);
        let mut plan = self.control.decide(&seen);
        let future = match plan.refusal.take() {
            Some(refusal) => ResponseFuture::refuse(self.mode.refuse(&seen, &refusal)),
            None => ResponseFuture::call(self.inner.call(request)),
        };
        future.after(plan.wait())
    }
}
