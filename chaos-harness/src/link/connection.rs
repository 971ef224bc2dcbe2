//! One connection through the link: two sockets, two lanes, one task.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::absence::Manner;
use super::control::Link;
use super::counters::Counters;
use super::entry::Entry;
use super::http::{self, Codec, Requests};
use super::lane::{Lane, Totals};
use super::pump::{Progress, Pump};
use super::socket;
use super::timer::Alarm;
use super::toxic::{Birth, Cut, Item, Marks, ToxicSpec, Way};
use crate::shortage;

/// How long a connection that a toxic closed may stay to hear the other ends' goodbyes. Its sockets are closed
/// then; to do so while bytes come in would send an RST after the FIN.
const LINGER: Duration = Duration::from_secs(1);

/// What the connection's task and the control path share.
pub(super) struct Connection {
    /// Counts from zero in the order of acceptance.
    pub(super) number: u64,
    client: TcpStream,
    upstream: OnceLock<TcpStream>,
    lanes: Mutex<Lanes>,
    task: Arc<AtomicWaker>,
}

struct Lanes {
    up: Lane,
    down: Lane,
    /// A toxic has ended both streams; the ends are given a moment to do the same.
    closing: bool,
    /// On a link that is declared HTTP.
    http: Option<Arc<Mutex<Codec>>>,
    cut: bool,
    /// What the toxics have done to the connection; none for as long as there are none.
    marks: Option<Arc<Marks>>,
}

impl Lanes {
    fn is_over(&self) -> bool {
        self.cut || (self.up.is_done() && self.down.is_done())
    }

    fn clear(&mut self, totals: &Totals) {
        for lane in [&mut self.up, &mut self.down] {
            lane.clear();
            lane.report(totals);
        }
    }
}

impl Connection {
    pub(super) fn new(number: u64, client: TcpStream, requests: Option<&Arc<Requests>>) -> Self {
        let http = requests.map(|requests| Arc::new(Mutex::new(Codec::new(Arc::clone(requests)))));
        let lane = |way| Lane::new(way, http.as_ref().map(|codec| http::Tap::new(way, codec)));
        let (up, down) = (lane(Way::Up), lane(Way::Down));
        let lanes = Mutex::new(Lanes { up, down, http, closing: false, cut: false, marks: None });
        Self { number, client, upstream: OnceLock::new(), lanes, task: Arc::default() }
    }

    /// Lets the caller's wish to connect set out, once the toxics are in place.
    pub(super) fn open(&self, totals: &Totals) {
        self.lanes.lock().up.push(Instant::now(), Item::Open, &totals.counters);
    }

    /// Brings both lanes in line with the link's toxics: on return they hold.
    pub(super) fn apply(&self, toxics: &[Entry], totals: &Totals) {
        let now = Instant::now();
        let mut lanes = self.lanes.lock();
        if lanes.cut || lanes.closing {
            return;
        }
        if let Some(codec) = &lanes.http {
            self.apply_http(&mut codec.lock(), toxics);
        }
        let Lanes { up, down, marks, .. } = &mut *lanes;
        if toxics.is_empty() {
            *marks = None;
        }
        for lane in [up, down] {
            self.apply_to(lane, marks, toxics, now, &totals.counters);
        }
        let cuts = [lanes.up.advance(now, &totals.counters), lanes.down.advance(now, &totals.counters)];
        cuts.into_iter().flatten().for_each(|cut| self.cut_lanes(&mut lanes, cut, totals));
        let idle = !lanes.cut && lanes.up.is_idle() && lanes.down.is_idle();
        drop(lanes);
        if !idle {
            self.task.wake();
        }
    }

    fn apply_http(&self, codec: &mut Codec, toxics: &[Entry]) {
        codec.retain_rules(|id| toxics.iter().any(|entry| entry.id == id && entry.affects(self.number).is_some()));
        for entry in toxics.iter().filter(|entry| entry.affects(self.number).is_some()) {
            if let ToxicSpec::Http(toxic) = &entry.toxic.spec {
                let (name, toxic, counters) = (entry.name.clone(), toxic.clone(), Arc::clone(&entry.counters));
                codec.set_rule(http::Rule { id: entry.id, name, toxic, counters });
            }
        }
    }

    fn apply_to(
        &self,
        lane: &mut Lane,
        marks: &mut Option<Arc<Marks>>,
        toxics: &[Entry],
        now: Instant,
        counters: &Counters,
    ) {
        let way = lane.way;
        let acting = |entry: &Entry| entry.acts(self.number, way);
        lane.retain(|toxic| toxics.iter().any(|entry| entry.id == toxic && acting(entry).is_some()), now, counters);
        for entry in toxics {
            let Some(dice) = acting(entry) else { continue };
            if lane.revision(entry.id) != Some(entry.revision) {
                let (live, shared, part) = (lane.is_open(), &entry.shared, entry.timeline.index());
                let birth = Birth { now, way, dice, part, live, shared, task: &self.task };
                lane.set(entry.stage(&birth, marks.get_or_insert_default()), now, counters);
            }
        }
    }

    /// Ends the connection at once.
    pub(super) fn cut(&self, cut: Cut, totals: &Totals) {
        self.cut_lanes(&mut self.lanes.lock(), cut, totals);
        self.task.wake();
    }

    fn cut_lanes(&self, lanes: &mut Lanes, cut: Cut, totals: &Totals) {
        if lanes.cut || (lanes.closing && cut.is_orderly()) {
            return;
        }
        match &lanes.marks {
            Some(marks) => marks.count_cut(cut, &totals.counters),
            None => totals.counters.cut(cut),
        }
        match cut {
            Cut::Lost(way) => return self.lose(lanes, way),
            cut if cut.is_orderly() => self.close(lanes),
            Cut::Shutdown(Manner::Toxiproxy) => lanes.cut = true,
            _ => {
                [Some(&self.client), self.upstream.get()].into_iter().flatten().for_each(socket::reset);
                lanes.cut = true;
            }
        }
        lanes.clear(totals);
    }

    /// Lets the end to which `way` leads vanish, without a word to the other.
    fn lose(&self, lanes: &mut Lanes, way: Way) {
        let (lane, opposite, end) = match way {
            Way::Up => (&mut lanes.up, &mut lanes.down, self.upstream.get()),
            Way::Down => (&mut lanes.down, &mut lanes.up, Some(&self.client)),
        };
        end.into_iter().for_each(socket::reset);
        lane.lose_sink();
        opposite.lose_source();
    }

    /// Ends both streams, whatever they still hold, as closing both sockets would.
    fn close(&self, lanes: &mut Lanes) {
        let until = Instant::now() + LINGER;
        [Some(&self.client), self.upstream.get()].into_iter().flatten().for_each(socket::finish);
        lanes.closing = true;
        lanes.up.close(until);
        lanes.down.close(until);
        if self.upstream.get().is_none() {
            lanes.down.sink_broke();
        }
    }
}

type Dialling = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;
type Resetting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The task of one connection: it ends when the connection does.
pub(super) struct Driver {
    connection: Arc<Connection>,
    link: Arc<Link>,
    alarm: Alarm,
    dialling: Option<Dialling>,
    /// Wait for the reset of a source that has ended its stream, which no read would tell.
    resets: [Option<Resetting>; 2],
    /// Last, so that the sockets are closed when the link hears of the end.
    _registration: Registration,
}

/// Takes the connection off the link's books when dropped.
struct Registration {
    number: u64,
    link: Arc<Link>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.link.forget(self.number);
    }
}

impl Driver {
    pub(super) fn new(connection: Arc<Connection>, link: Arc<Link>) -> Self {
        let _registration = Registration { number: connection.number, link: Arc::clone(&link) };
        Self { connection, link, alarm: Alarm::new(), dialling: None, resets: [None, None], _registration }
    }

    fn pump(&mut self, lanes: &mut Lanes, cx: &mut Context<'_>) -> Poll<()> {
        let connection = Arc::clone(&self.connection);
        let (client, upstream) = (Some(&connection.client), connection.upstream.get());
        let totals = &self.link.totals;
        let now = self.alarm.acknowledge();
        let up = Pump { lane: &mut lanes.up, source: client, sink: upstream, totals }.run(now, cx);
        let down = Pump { lane: &mut lanes.down, source: upstream, sink: client, totals }.run(now, cx);
        let more = self.handle(Way::Up, up, lanes) | self.handle(Way::Down, down, lanes) | self.poll_resets(lanes, cx);
        if lanes.is_over() {
            return Poll::Ready(());
        }
        lanes.up.report(&self.link.totals);
        lanes.down.report(&self.link.totals);
        if more {
            cx.waker().wake_by_ref();
        }
        self.alarm.set([lanes.up.deadline(), lanes.down.deadline()].into_iter().flatten().min(), cx);
        Poll::Pending
    }

    /// Does what a lane cannot do alone; says whether the lanes should be looked at again at once.
    fn handle(&mut self, way: Way, progress: Progress, lanes: &mut Lanes) -> bool {
        match progress {
            Progress::Blocked => return false,
            Progress::Yielded => {}
            Progress::Dial => self.dialling = Some(Box::pin(Arc::clone(&self.link).dial())),
            Progress::SinkBroke => self.sink_broke(way, lanes),
            Progress::Cut(cut) => self.connection.cut_lanes(lanes, cut, &self.link.totals),
        }
        true
    }

    fn sink_broke(&self, way: Way, lanes: &mut Lanes) {
        let (lane, opposite) = match way {
            Way::Up => (&mut lanes.up, &mut lanes.down),
            Way::Down => (&mut lanes.down, &mut lanes.up),
        };
        lane.sink_broke();
        opposite.source_broke(Instant::now(), &self.link.totals.counters);
    }

    /// Says whether a source that had ended its stream has reset the connection.
    fn poll_resets(&mut self, lanes: &mut Lanes, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        for (lane, waiting) in [&mut lanes.up, &mut lanes.down].into_iter().zip(&mut self.resets) {
            if lane.is_half_closed() {
                let new = || -> Resetting { Box::pin(until_reset(Arc::clone(&self.connection), lane.way)) };
                if waiting.get_or_insert_with(new).as_mut().poll(cx).is_ready() {
                    lane.abort(Instant::now(), &self.link.totals.counters);
                    any = true;
                }
            }
        }
        any
    }

    fn poll_dial(&mut self, lanes: &mut Lanes, cx: &mut Context<'_>) {
        if lanes.up.is_lost() {
            self.dialling = None;
        }
        let Some(dialling) = &mut self.dialling else { return };
        let Poll::Ready(result) = dialling.as_mut().poll(cx) else { return };
        self.dialling = None;
        match result {
            Ok(stream) => drop(self.connection.upstream.set(stream)),
            Err(error) => {
                shortage::note(&error, "connections of links to callees");
                self.link.totals.counters.upstream_failed.add(1);
                lanes.up.sink_broke();
                match self.link.manner {
                    Manner::Transparent => lanes.down.abort(Instant::now(), &self.link.totals.counters),
                    Manner::Toxiproxy => self.connection.cut_lanes(lanes, Cut::HungUp, &self.link.totals),
                }
            }
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.connection.task.register(cx.waker());
        let connection = Arc::clone(&self.connection);
        let mut lanes = connection.lanes.lock();
        self.poll_dial(&mut lanes, cx);
        let poll = if lanes.cut { Poll::Ready(()) } else { self.pump(&mut lanes, cx) };
        // A change of toxics that waits for the lock gets it before this task's next turn.
        MutexGuard::unlock_fair(lanes);
        poll
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.connection.lanes.lock().clear(&self.link.totals);
    }
}

async fn until_reset(connection: Arc<Connection>, way: Way) {
    let source = match way {
        Way::Up => Some(&connection.client),
        Way::Down => connection.upstream.get(),
    };
    match source {
        Some(source) => drop(source.ready(Interest::ERROR).await),
        None => std::future::pending().await,
    }
}
