//! A rule in force: what it decides for each request, and what it has counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::dice::{draw, is_of_share};
use crate::plan::{Plan, Refusal, Stall};
use crate::rule::{Act, Rule, Seen};
use crate::wire::InForce;

#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) rule: Rule,
    /// When it ends by itself. Requests that wait see it change, and its drop is the end of the rule.
    lease: watch::Sender<Instant>,
    matched: AtomicU64,
    bitten: AtomicU64,
    window: Mutex<Window>,
}

/// The window of a rate limit.
#[derive(Debug, Default)]
struct Window {
    ends: Option<Instant>,
    passed: u64,
}

impl Active {
    pub(crate) fn new(rule: Rule, ends: Instant) -> Self {
        let (lease, _) = watch::channel(ends);
        Self { rule, lease, matched: AtomicU64::new(0), bitten: AtomicU64::new(0), window: Mutex::default() }
    }

    pub(crate) fn renew(&self, ends: Instant) {
        self.lease.send_replace(ends);
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        *self.lease.borrow() <= now
    }

    pub(crate) fn in_force(&self, now: Instant) -> InForce<Rule> {
        InForce {
            fault: self.rule.clone(),
            matched: self.matched.load(Relaxed),
            bitten: self.bitten.load(Relaxed),
            ends_in: self.lease.borrow().saturating_duration_since(now),
        }
    }

    /// Adds to `plan` what becomes of a request.
    pub(crate) fn decide(&self, seen: &Seen<'_>, now: Instant, plan: &mut Plan) {
        if !self.rule.when.fits(seen) {
            return;
        }
        let number = self.matched.fetch_add(1, Relaxed);
        if is_of_share(self.rule.seed, number, self.rule.share) && self.act(number, now, plan) {
            self.bitten.fetch_add(1, Relaxed);
        }
    }

    /// Whether the request is acted upon.
    fn act(&self, number: u64, now: Instant, plan: &mut Plan) -> bool {
        match &self.rule.act {
            Act::Delay { by, jitter } => plan.stalls.push(self.stall(self.jittered(number, *by, *jitter))),
            Act::Error { status, grpc } => plan.refusal = Some(Refusal::Failed { status: *status, grpc: *grpc }),
            Act::Hang { at_most } => {
                plan.stalls.push(self.stall(*at_most));
                plan.refusal = Some(Refusal::TimedOut);
            }
            Act::RateLimit { requests, per } => match self.turned_away(now, *requests, *per) {
                Some(retry_after) => plan.refusal = Some(Refusal::TooMany { retry_after }),
                None => return false,
            },
        }
        true
    }

    fn stall(&self, by: Duration) -> Stall {
        Stall { by, lease: self.lease.subscribe() }
    }

    /// Evenly between `by - jitter` and `by + jitter`.
    fn jittered(&self, number: u64, by: Duration, jitter: Duration) -> Duration {
        if jitter.is_zero() {
            return by;
        }
        by.saturating_sub(jitter) + (2 * jitter).mul_f64(draw(self.rule.seed, number, 1))
    }

    /// How long the window lasts for one beyond its limit.
    fn turned_away(&self, now: Instant, requests: u64, per: Duration) -> Option<Duration> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = match window.ends {
            Some(ends) if now < ends => ends,
            _ => {
                *window = Window { ends: Some(now + per), passed: 0 };
                now + per
            }
        };
        if window.passed < requests {
            window.passed += 1;
            return None;
        }
        Some(ends - now)
    }
}
