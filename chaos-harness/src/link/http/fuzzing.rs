//! The codec without sockets, for tests and for fuzzing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::h2::PREFACE;
use super::{Abort, Codec, GrpcCode, Http, HttpAction, Message, Part, RequestMatch, Requests, Rule};
use crate::link::counters::{Counters, CountersSnapshot};
use crate::link::toxic::{Cut, Item, Way};

/// A connection's codec, and what it has given out.
pub(in crate::link) struct Machine {
    codec: Codec,
    counters: Counters,
    now: Instant,
    pub(in crate::link) up: Vec<u8>,
    pub(in crate::link) down: Vec<u8>,
    fed: usize,
}

impl Machine {
    /// With a rule that fits nothing when `ruled`.
    pub(in crate::link) fn new(ruled: bool) -> Self {
        let requests = Arc::new(Requests::new(7));
        let (up, down) = (Vec::new(), Vec::new());
        let mut machine =
            Self { codec: Codec::new(requests), counters: Counters::default(), now: Instant::now(), up, down, fed: 0 };
        if ruled {
            let when = RequestMatch { path: Some("/never".to_owned()), ..RequestMatch::default() };
            machine.rule(0, when, HttpAction::default());
        }
        machine
    }

    pub(in crate::link) fn rule(&mut self, id: u64, when: RequestMatch, act: HttpAction) {
        self.codec.set_rule(Rule { id, name: String::new(), toxic: Http { when, act }, counters: Arc::default() });
    }

    /// Takes bytes in, and gives out what is due.
    pub(in crate::link) fn feed(&mut self, way: Way, data: &[u8]) {
        self.fed += data.len();
        self.item(way, Item::Data(Bytes::copy_from_slice(data)));
    }

    fn item(&mut self, way: Way, item: Item) {
        self.codec.feed(way, self.now, item, &self.counters);
        self.drain();
    }

    fn drain(&mut self) {
        for (way, sink) in [(Way::Up, &mut self.up), (Way::Down, &mut self.down)] {
            while let Some((_, item)) = self.codec.next(way, self.now) {
                if let Item::Data(data) = item {
                    sink.extend_from_slice(&data);
                }
            }
            assert!(self.codec.deadline(way).is_none_or(|deadline| deadline > self.now), "something due stayed");
        }
    }

    /// Lets time go on, and gives out what is due.
    pub(in crate::link) fn pass_time(&mut self, duration: Duration) {
        self.now += duration;
        self.drain();
    }

    pub(in crate::link) fn counters(&self) -> CountersSnapshot {
        self.counters.snapshot()
    }
}

/// Feeds arbitrary bytes as an arbitrary conversation under arbitrary toxics; panics when a guarantee is broken.
///
/// The first byte says whether there are toxics (bit 0) and whether HTTP/2 is spoken from the start (bit 1), the second
/// one which toxics. Then come steps: a byte whose highest bit is the way and whose others are a length, and as many
/// bytes; with a length of zero time goes on, a way ends or a toxic goes.
pub fn fuzz_http(input: &[u8]) {
    let Some((&[flags, toxics], mut rest)) = input.split_first_chunk() else { return };
    let (mut machine, ruled) = (Machine::new(false), flags & 1 != 0);
    for (id, act) in (0..).zip(actions()).filter(|(id, _)| ruled && toxics >> (id % 8) & 1 == 1) {
        let when = RequestMatch { path: Some("/*".to_owned()), every: Some(id % 3 + 1), ..RequestMatch::default() };
        machine.rule(id, when, act);
    }
    if flags & 2 != 0 {
        machine.feed(Way::Up, PREFACE);
        (machine.up, machine.fed) = (Vec::new(), 0);
    }
    let (mut up, mut down) = (Vec::new(), Vec::new());
    while let Some((step, after)) = rest.split_first() {
        let (way, fed) = if step & 0x80 == 0 { (Way::Up, &mut up) } else { (Way::Down, &mut down) };
        let (data, after) = after.split_at(after.len().min(usize::from(step & 0x7f)));
        rest = after;
        if data.is_empty() {
            let Some((what, after)) = rest.split_first() else { break };
            rest = after;
            match what % 8 {
                0 => machine.item(way, Item::Fin),
                1 => machine.item(way, Item::Abort(Cut::Peer)),
                2 if ruled => machine.codec.retain_rules(|id| id != u64::from(what / 8)),
                _ => machine.pass_time(Duration::from_millis(u64::from(*what))),
            }
            machine.drain();
            continue;
        }
        fed.extend_from_slice(data);
        machine.feed(way, data);
        let held = machine.codec.cost(Way::Up) + machine.codec.cost(Way::Down);
        assert!(held <= 2_000 * machine.fed + 100_000, "{held} bytes held of {}", machine.fed);
    }
    assert!(machine.counters().http_opaque <= 1, "a connection gets lost once");
    if !ruled {
        assert!(up.starts_with(&machine.up) && down.starts_with(&machine.down), "bytes were changed");
    }
}

fn actions() -> Vec<HttpAction> {
    let name = || "x-one".to_owned();
    vec![
        HttpAction::Delay { by: Duration::from_millis(300), before: Part::Headers },
        HttpAction::Delay { by: Duration::from_millis(200), before: Part::Body },
        HttpAction::Truncate { after: 5 },
        HttpAction::Corrupt { every: 3 },
        HttpAction::SetHeader { on: Message::Request, name: name(), value: "2".to_owned() },
        HttpAction::DropHeader { on: Message::Response, name: name() },
        HttpAction::RateLimit { requests: 2, per: Duration::from_secs(1) },
        HttpAction::GrpcAbort { code: GrpcCode::Internal, message: "no".to_owned() },
        HttpAction::Abort(Abort::new(503).body("no", "text/plain")),
        HttpAction::Delay { by: Duration::from_millis(250), before: Part::Request },
    ]
}
