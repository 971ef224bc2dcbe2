//! The task that makes toxics begin and end as their profiles say.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::control::Link;
use super::timer::Alarm;

/// Turns the link's toxics whenever one of them is due, until none will be any more.
pub(super) struct Clock {
    link: Arc<Link>,
    alarm: Alarm,
}

impl Clock {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link, alarm: Alarm::new() }
    }
}

impl Future for Clock {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.alarm.acknowledge();
        let Some(next) = self.link.turn(now) else { return Poll::Ready(()) };
        self.alarm.set(Some(next), cx);
        Poll::Pending
    }
}
