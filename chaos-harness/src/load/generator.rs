//! Sends a load and collects what came back.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::client::{Route, builder};
use super::own_runtime::OwnRuntime;
use super::pacer::Pacer;
use super::{LagReport, Load, LoadError, Schedule, Slot};
use crate::clock::Clock;
use crate::measure::{Outcome, Sample};

/// Files that a test process has open beside the generator's connections.
const OTHER_FILES: u64 = 512;

/// Sends loads.
#[derive(Debug)]
pub struct Generator;

impl Generator {
    /// Starts to send `load` at once; `resolve` gives the stable address of a service. The seed decides the
    /// order of the routes.
    ///
    /// Raises this process's soft limit of open files as far as the hard one allows, if `max_in_flight`
    /// connections need it.
    ///
    /// # Errors
    /// [`LoadError`] when the load is not valid, a service is unknown, or no thread can be started.
    pub fn start(
        load: &Load,
        clock: Clock,
        seed: u64,
        resolve: impl Fn(&str) -> Option<SocketAddr>,
    ) -> Result<Running, LoadError> {
        load.validate()?;
        let routes = load.requests.iter().map(|request| {
            let unknown =
                || LoadError::UnknownService { route: request.name.clone(), service: request.service.clone() };
            Route::new(load, request, resolve(&request.service).ok_or_else(unknown)?)
        });
        let feed = SampleFeed::default();
        let sender = Arc::new(Sender {
            routes: routes.collect::<Result<_, _>>()?,
            client: builder().pool_max_idle_per_host(usize::MAX).build()?,
            clock,
            deadline: load.deadline,
            feed: feed.clone(),
        });
        allow_open_files(load.max_in_flight);
        let runtime = OwnRuntime::start("chaos-load", workers())?;
        let in_flight = Arc::new(Semaphore::new(load.max_in_flight as usize));
        let pacer = {
            let (handle, in_flight) = (runtime.handle().clone(), Arc::clone(&in_flight));
            Pacer::start(Schedule::new(load, seed), clock, move |slot, intended| {
                match Arc::clone(&in_flight).try_acquire_owned() {
                    Ok(permit) => drop(handle.spawn(UnderWay::new(&sender, slot, intended, permit).send())),
                    Err(_) => sender.give_up(slot, intended),
                }
            })?
        };
        Ok(Running { pacer, runtime, in_flight, feed, load: load.clone() })
    }
}

/// Threads that send: half of the processors, since the pacer and the targets need some too.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| (processors.get() / 2).clamp(1, 4))
}

/// What a request needs to be sent.
#[derive(Debug)]
struct Sender {
    routes: Vec<Route>,
    client: reqwest::Client,
    clock: Clock,
    deadline: Duration,
    feed: SampleFeed,
}

impl Sender {
    async fn exchange(&self, slot: Slot, intended: Duration) -> Outcome {
        let deadline = Instant::from_std(self.clock.instant(intended + self.deadline));
        let exchange = self.routes[usize::from(slot.route)].exchange(&self.client);
        timeout_at(deadline, exchange).await.unwrap_or(Outcome::Timeout)
    }

    fn give_up(&self, slot: Slot, intended: Duration) {
        let (sent, end) = (self.clock.now(), intended + self.deadline);
        self.feed.push(Sample { route: slot.route, intended, sent, end: end.max(sent), outcome: Outcome::Unsent });
    }
}

/// A request under way. However it ends, it becomes a sample: one that is dropped before its end was cut off.
struct UnderWay {
    sender: Arc<Sender>,
    slot: Slot,
    intended: Duration,
    sent: Duration,
    outcome: Outcome,
    // Given back when the sample is there.
    _permit: OwnedSemaphorePermit,
}

impl UnderWay {
    fn new(sender: &Arc<Sender>, slot: Slot, intended: Duration, permit: OwnedSemaphorePermit) -> Self {
        let (sender, sent) = (Arc::clone(sender), sender.clock.now());
        Self { sender, slot, intended, sent, outcome: Outcome::CutOff, _permit: permit }
    }

    async fn send(mut self) {
        self.sent = self.sender.clock.now();
        self.outcome = self.sender.exchange(self.slot, self.intended).await;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Self { ref sender, slot, intended, sent, outcome, .. } = *self;
        match outcome {
            Outcome::Unsent => sender.give_up(slot, intended),
            _ => sender.feed.push(Sample { route: slot.route, intended, sent, end: sender.clock.now(), outcome }),
        }
    }
}

/// Makes room for `connections`. Where the hard limit is too low, what does not fit becomes `Unsent`.
fn allow_open_files(connections: u32) {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current else { return };
    let wanted = u64::from(connections) + OTHER_FILES;
    let possible = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if possible > current
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum: limit.maximum })
    {
        tracing::warn!(%error, current, wanted, "cannot raise the limit of open files");
    }
}

/// A live view of the samples of a running load, in the order in which they became known.
#[derive(Clone, Debug, Default)]
pub struct SampleFeed {
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl SampleFeed {
    /// How many samples there are so far.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// The samples from the one with index `from` on. Pass the count of those already seen.
    pub fn since(&self, from: usize) -> Vec<Sample> {
        self.lock().get(from..).unwrap_or_default().to_vec()
    }

    fn push(&self, sample: Sample) {
        self.lock().push(sample);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Sample>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load that is being sent. Dropped, it stops at once and forgets what is under way.
#[derive(Debug)]
#[must_use = "a load ends when it is dropped; keep it, and call `stop` for its report"]
pub struct Running {
    // Before the runtime, which is its way to send: fields are dropped in this order.
    pacer: Pacer,
    runtime: OwnRuntime,
    in_flight: Arc<Semaphore>,
    feed: SampleFeed,
    load: Load,
}

impl Running {
    /// A view of the samples so far; it stays valid after the load has ended.
    pub fn feed(&self) -> SampleFeed {
        self.feed.clone()
    }

    /// Requests under way.
    pub fn in_flight(&self) -> usize {
        self.load.max_in_flight as usize - self.in_flight.available_permits()
    }

    /// Sends no more, waits for every request under way to end, at most for its deadline, and reports.
    /// So each request that left has the outcome that its user saw; none is cut off.
    pub async fn stop(self) -> LoadReport {
        self.stop_unless(std::future::pending()).await
    }

    /// Sends no more, waits for the requests under way until `cut` ends, and reports. What has no answer by then is
    /// [`CutOff`](Outcome::CutOff).
    pub async fn stop_unless(mut self, cut: impl Future<Output = ()>) -> LoadReport {
        self.pacer.stop();
        // All permits are back when nothing is under way; the semaphore is never closed.
        let drained = || self.in_flight.acquire_many(self.load.max_in_flight);
        let is_cut = tokio::select! {
            biased;
            _ = drained() => false,
            () = cut => true,
        };
        if is_cut {
            self.runtime.end();
            let _ = drained().await;
        }
        let mut samples = self.feed.since(0);
        samples.sort_by_key(|sample| sample.intended);
        LoadReport { lag: LagReport::of(&samples, &self.load), samples }
    }
}

/// What a load came to.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadReport {
    /// Every request that was due, by its intended start.
    pub samples: Vec<Sample>,
    /// Whether the generator kept its schedule.
    pub lag: LagReport,
}
