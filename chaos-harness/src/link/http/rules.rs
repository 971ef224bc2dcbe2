//! Which toxics act on a request: what is decided for the link as a whole.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::answer::Answer;
use super::corrupt::Flipper;
use super::message::{Edit, Request, TraceId};
use super::spec::{Http, HttpAction, Message, Part, RequestMatch};
use super::touched::{Record, Touched, shorten};
use crate::link::counters::Counters;
use crate::link::toxic::Dice;

/// A toxic in force on a connection.
#[derive(Clone)]
pub(in crate::link) struct Rule {
    /// Identity of the toxic.
    pub(in crate::link) id: u64,
    pub(in crate::link) name: String,
    pub(in crate::link) toxic: Http,
    /// Those of the toxic itself, which counts a request when its fate is decided.
    pub(in crate::link) counters: Arc<Counters>,
}

impl Rule {
    /// By how much it delays what it holds.
    pub(super) fn delay(&self) -> Option<Duration> {
        if let HttpAction::Delay { by, .. } = self.toxic.act { Some(by) } else { None }
    }
}

/// What happens to one exchange.
#[derive(Default)]
pub(super) struct Plan {
    /// Given in place of the callee's response.
    pub(super) answer: Option<Answer>,
    pub(super) request: Vec<Edit>,
    pub(super) response: Vec<Edit>,
    /// The toxics that delay the request, by id.
    pub(super) hold_request: Vec<u64>,
    /// The toxics that delay the response, by id.
    pub(super) hold_head: Vec<u64>,
    /// The toxics that delay its body, by id.
    pub(super) hold_body: Vec<u64>,
    /// Bytes of the body after which it breaks off.
    pub(super) truncate: Option<u64>,
    pub(super) corrupt: Option<Box<Flipper>>,
}

/// What the connections of a link share about its requests. Locked after any connection.
#[derive(Debug)]
pub(in crate::link) struct Requests {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    toxics: BTreeMap<u64, Tally>,
    record: Record,
}

impl Requests {
    pub(in crate::link) fn new(seed: u64) -> Self {
        Self { seed, state: Mutex::default() }
    }

    /// The requests that a toxic acted upon: the latest few thousand.
    pub(in crate::link) fn touched(&self) -> Vec<Touched> {
        self.state.lock().record.list()
    }

    /// Forgets what it knows of toxics that are gone.
    pub(in crate::link) fn forget(&self, toxics: impl Iterator<Item = u64>) {
        let mut state = self.state.lock();
        toxics.for_each(|toxic| drop(state.toxics.remove(&toxic)));
    }

    /// Decides what happens to a request that has just arrived; `None` when nothing does.
    pub(super) fn decide(
        &self,
        rules: &[Rule],
        request: &Request<'_>,
        now: Instant,
        counters: &Counters,
    ) -> Option<Plan> {
        counters.http_requests.add(1);
        let mut plan: Option<Plan> = None;
        for rule in rules.iter().filter(|rule| fits(rule, request)) {
            let mut state = self.state.lock();
            let tally = state.toxics.entry(rule.id).or_default();
            let Some(number) = tally.pick(&rule.toxic.when, request, |n| Dice::request(self.seed, n, rule.id)) else {
                continue;
            };
            let plan_so_far = plan.get_or_insert_default();
            let dice = Dice::request(self.seed, number, rule.id);
            if !plan_so_far.add(rule, request, tally, dice, now, counters) {
                continue;
            }
            rule.toxic.act.count(&rule.counters);
            if let (true, Some(flipper)) = (request.grpc().is_some_and(|grpc| !grpc.text), &mut plan_so_far.corrupt) {
                flipper.grpc();
            }
            let status = plan_so_far.answer.as_ref().map(|answer| answer.status);
            state.record.add(Touched {
                moment: now,
                at: Timestamp::now(),
                method: shorten(request.method),
                path: shorten(&request.path()),
                trace: request.trace().map(|trace| String::from_utf8_lossy(&trace).into_owned()),
                toxic: rule.name.clone(),
                action: rule.toxic.act.to_string(),
                status,
            });
            if status.is_some() {
                // What would delay a request that is not sent delays its answer.
                let delays = std::mem::take(&mut plan_so_far.hold_request);
                plan_so_far.hold_head.extend(delays);
                break;
            }
        }
        plan
    }
}

/// Whether somebody looks at the value of a header, whose name is in lower case: a rule, or the record of what it did.
pub(super) fn reads(rules: &[Rule], name: &[u8]) -> bool {
    let named =
        |rule: &Rule| rule.toxic.when.headers.iter().any(|header| header.name.as_bytes().eq_ignore_ascii_case(name));
    matches!(name, b"content-type" | b"accept" | b"traceparent" | b"host") || rules.iter().any(named)
}

fn fits(rule: &Rule, request: &Request<'_>) -> bool {
    let Http { when, act } = &rule.toxic;
    request.fits(when) && (!matches!(act, HttpAction::GrpcAbort { .. }) || request.grpc().is_some())
}

impl Plan {
    /// Adds what `rule` does; says whether that is anything.
    fn add(
        &mut self,
        rule: &Rule,
        request: &Request<'_>,
        tally: &mut Tally,
        dice: Dice,
        now: Instant,
        counters: &Counters,
    ) -> bool {
        match &rule.toxic.act {
            HttpAction::Abort(abort) => {
                counters.http_aborted.add(1);
                self.answer = Some(Answer::of(abort));
            }
            HttpAction::GrpcAbort { code, message } => {
                counters.http_aborted.add(1);
                self.answer = Some(Answer::grpc(*code, message, request));
            }
            HttpAction::RateLimit { requests, per } => match tally.window.admit(*requests, *per, now) {
                Ok(()) => return false,
                Err(wait) => {
                    counters.http_rate_limited.add(1);
                    self.answer = Some(Answer::too_many(wait));
                }
            },
            HttpAction::Delay { before: Part::Request, .. } => self.hold_request.push(rule.id),
            HttpAction::Delay { before: Part::Headers, .. } => self.hold_head.push(rule.id),
            HttpAction::Delay { before: Part::Body, .. } => self.hold_body.push(rule.id),
            HttpAction::Truncate { after } => self.truncate = Some(self.truncate.map_or(*after, |n| n.min(*after))),
            HttpAction::Corrupt { every } => self.corrupt = Some(Box::new(Flipper::new(*every, dice.bits()))),
            HttpAction::SetHeader { on, name, value } => {
                self.edits(*on).push(Edit::Set(name.to_ascii_lowercase(), value.clone()));
            }
            HttpAction::DropHeader { on, name } => self.edits(*on).push(Edit::Drop(name.to_ascii_lowercase())),
        }
        true
    }

    fn edits(&mut self, on: Message) -> &mut Vec<Edit> {
        match on {
            Message::Request => &mut self.request,
            Message::Response => &mut self.response,
        }
    }
}

/// What one toxic has counted on the link.
#[derive(Debug, Default)]
struct Tally {
    /// Requests that fit but for `every`, `share` and `first`.
    fitting: u64,
    picked: u64,
    traces: Traces,
    window: Window,
}

impl Tally {
    /// Whether the toxic acts on a request that fits; its number if so.
    fn pick(&mut self, when: &RequestMatch, request: &Request<'_>, dice: impl Fn(u64) -> Dice) -> Option<u64> {
        if let Some(nth) = when.nth_of_trace
            && self.traces.count(request.trace()?) != nth
        {
            return None;
        }
        self.fitting += 1;
        let number = self.fitting;
        let picked = when.every.is_none_or(|every| number.is_multiple_of(every))
            && dice(number).affects(when.share)
            && when.first.is_none_or(|first| self.picked < first);
        self.picked += u64::from(picked);
        picked.then_some(number)
    }
}

/// How many requests of each of the latest traces there were.
#[derive(Debug, Default)]
struct Traces {
    counts: HashMap<TraceId, u64>,
    order: VecDeque<TraceId>,
}

impl Traces {
    const REMEMBERED: usize = 10_000;

    /// Counts one more of `trace`, from 1.
    fn count(&mut self, trace: TraceId) -> u64 {
        if !self.counts.contains_key(&trace) {
            if self.order.len() == Self::REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.counts.remove(&oldest);
            }
            self.order.push_back(trace);
        }
        let count = self.counts.entry(trace).or_default();
        *count += 1;
        *count
    }
}

/// The window of a rate limit.
#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    admitted: u64,
}

impl Window {
    /// Lets a request pass, or says after how many seconds to try again.
    fn admit(&mut self, requests: u64, per: Duration, now: Instant) -> Result<(), u64> {
        let began = *self.began.get_or_insert(now);
        let mut age = now.saturating_duration_since(began);
        if age >= per {
            (self.began, self.admitted, age) = (Some(now), 0, Duration::ZERO);
        }
        if self.admitted < requests {
            self.admitted += 1;
            return Ok(());
        }
        Err((per - age).as_secs_f64().ceil().max(1.0) as u64)
    }
}
