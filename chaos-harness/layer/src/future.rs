//! The future of a request that passed a layer.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

/// Boxed, since only requests under a rule have one.
type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

pin_project! {
    /// What [`Chaos`](crate::Chaos) answers: `F` is the service's own future, `O` what comes of it.
    pub struct ResponseFuture<F, O> {
        wait: Option<Wait>,
        #[pin]
        then: Then<F, O>,
    }
}

pin_project! {
    // A refusal is boxed: it is rare, and beside the service's future it would make every future larger.
    #[project = ThenProj]
    enum Then<F, O> {
        Call { #[pin] future: F },
        Refuse { with: Option<Box<O>> },
    }
}

impl<F, O> ResponseFuture<F, O> {
    #[inline]
    pub(crate) fn call(future: F) -> Self {
        Self { wait: None, then: Then::Call { future } }
    }

    pub(crate) fn refuse(with: O) -> Self {
        Self { wait: None, then: Then::Refuse { with: Some(Box::new(with)) } }
    }

    pub(crate) fn after(mut self, wait: Option<impl Future<Output = ()> + Send + 'static>) -> Self {
        self.wait = wait.map(|wait| Box::pin(wait) as Wait);
        self
    }
}

impl<F: Future<Output = O>, O> Future for ResponseFuture<F, O> {
    type Output = O;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O> {
        let this = self.project();
        if let Some(wait) = this.wait {
            ready!(wait.as_mut().poll(cx));
            *this.wait = None;
        }
        match this.then.project() {
            ThenProj::Call { future } => future.poll(cx),
            ThenProj::Refuse { with } => with.take().map_or(Poll::Pending, |with| Poll::Ready(*with)),
        }
    }
}

impl<F, O> fmt::Debug for ResponseFuture<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("waits", &self.wait.is_some()).finish_non_exhaustive()
    }
}
