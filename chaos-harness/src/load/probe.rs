//! Side measurements: metrics and health, read at fixed times beside the load.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::uri::PathAndQuery;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, timeout_at};

use super::classify::{Stage, classify};
use super::client::builder;
use super::own_runtime::OwnRuntime;
pub use super::prometheus::MetricError;
use super::prometheus::{Format, Metric};
use crate::clock::Clock;
use crate::measure::{Outcome, ReadFailure, Reading, Series, Signal};

/// Something to read again and again while the load runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Name, in hypotheses and reports.
    pub name: String,
    /// The service that is asked.
    pub service: String,
    /// Path that is asked.
    pub path: String,
    /// What is read from the answer.
    pub read: Read,
    /// Time from one reading to the next.
    #[serde(default = "tenth", with = "humantime_serde")]
    #[schemars(with = "String")]
    pub every: Duration,
    /// Longest time for one reading.
    #[serde(default = "second", with = "humantime_serde")]
    #[schemars(with = "String")]
    pub deadline: Duration,
    /// Values that mean that the system has noticed the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detects: Option<Signal>,
}

/// What a probe reads from an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Read {
    /// The metric that this selector matches, on a page in the Prometheus text format or OpenMetrics:
    /// `name{label="value"}`, or `{"any name", label="value"}`.
    Metric(String),
    /// 1 for a status from 200 to 299, as a service is waited for at its start; 0 for anything else and for no answer.
    Health,
}

fn tenth() -> Duration {
    Duration::from_millis(100)
}

fn second() -> Duration {
    Duration::from_secs(1)
}

impl Probe {
    /// Reads a metric every 100 ms; a reading fails after 1 s.
    pub fn metric(
        name: impl Into<String>,
        service: impl Into<String>,
        path: impl Into<String>,
        selector: impl Into<String>,
    ) -> Self {
        Self::new(name.into(), service.into(), path.into(), Read::Metric(selector.into()))
    }

    /// Reads health every 100 ms: 1 or 0; no answer in 1 s is 0.
    pub fn health(name: impl Into<String>, service: impl Into<String>, path: impl Into<String>) -> Self {
        Self::new(name.into(), service.into(), path.into(), Read::Health)
    }

    fn new(name: String, service: String, path: String, read: Read) -> Self {
        Self { name, service, path, read, every: tenth(), deadline: second(), detects: None }
    }

    /// Sets the time from one reading to the next.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval;
        self
    }

    /// Sets the longest time for one reading.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Takes `value` or more as the sign that the system has noticed the fault.
    pub fn detects_at_least(mut self, value: f64) -> Self {
        self.detects = Some(Signal::AtLeast(value));
        self
    }

    /// Takes less than `value` as the sign that the system has noticed the fault.
    pub fn detects_below(mut self, value: f64) -> Self {
        self.detects = Some(Signal::Below(value));
        self
    }

    /// Checks everything that can be known without the topology.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), ProbeError> {
        let probe = || self.name.clone();
        if !self.path.starts_with('/') || self.path.parse::<PathAndQuery>().is_err() {
            return Err(ProbeError::Path { probe: probe(), path: self.path.clone() });
        }
        let bounds = Duration::from_millis(1)..=Duration::from_secs(600);
        for time in [self.every, self.deadline] {
            if !bounds.contains(&time) {
                return Err(ProbeError::Time { probe: probe(), time });
            }
        }
        match self.detects {
            Some(Signal::AtLeast(value) | Signal::Below(value)) if !value.is_finite() => {
                Err(ProbeError::Signal { probe: probe(), value })
            }
            _ => self.reader().map(drop),
        }
    }

    fn reader(&self) -> Result<Reader, ProbeError> {
        match &self.read {
            Read::Health => Ok(Reader::Health),
            Read::Metric(selector) => Metric::parse(selector)
                .map(Reader::Metric)
                .map_err(|source| ProbeError::Selector { probe: self.name.clone(), source }),
        }
    }
}

/// What is wrong with a probe, found before anything is read.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Two probes share a name.
    #[error("two probes are called `{probe}`; give one another name")]
    Duplicate {
        /// The name.
        probe: String,
    },
    /// A path that is no path.
    #[error("path `{path}` of probe `{probe}` is not valid; it must begin with `/` and hold no spaces")]
    Path {
        /// The probe.
        probe: String,
        /// Its path.
        path: String,
    },
    /// An interval or a deadline of nothing, or an absurd one.
    #[error("probe `{probe}` has an interval or deadline of {time:?}; give 1 ms to 10 min")]
    Time {
        /// The probe.
        probe: String,
        /// The time.
        time: Duration,
    },
    /// A sign of detection that no value can be.
    #[error("probe `{probe}` detects by {value}; give a finite number")]
    Signal {
        /// The probe.
        probe: String,
        /// The number.
        value: f64,
    },
    /// A selector that selects nothing.
    #[error("probe `{probe}` cannot be read: {source}")]
    Selector {
        /// The probe.
        probe: String,
        /// Why.
        source: MetricError,
    },
    /// A service that the topology does not have.
    #[error("probe `{probe}` asks service `{service}`, which the topology does not have")]
    UnknownService {
        /// The probe.
        probe: String,
        /// The service.
        service: String,
    },
    /// The thread for the probes could not be started.
    #[error("cannot start the thread of the probes: {0}")]
    Threads(#[from] std::io::Error),
    /// The HTTP client could not be made.
    #[error("cannot make the HTTP client of the probes: {0}")]
    Client(#[from] reqwest::Error),
}

/// Probes at work. Dropped, they end at once.
#[derive(Debug)]
#[must_use = "probes end when they are dropped; keep them, and call `stop` for what they read"]
pub struct RunningProbes {
    runtime: OwnRuntime,
    stop: watch::Sender<bool>,
    /// Nothing is ever sent: it is closed when the last reading has ended.
    at_work: mpsc::Receiver<Infallible>,
    series: Vec<Arc<Mutex<Series>>>,
}

impl RunningProbes {
    /// Starts all `probes`, on a thread of their own; `resolve` gives the stable address of a service.
    ///
    /// Readings are an open loop: each is asked for at its time, whether or not the one before has come back, and
    /// on a connection of its own, so that it shows what a fresh caller would see.
    ///
    /// # Errors
    /// [`ProbeError`] when a probe is not valid, a service is unknown, or no thread can be started.
    pub fn start(
        probes: &[Probe],
        clock: Clock,
        resolve: impl Fn(&str) -> Option<SocketAddr>,
    ) -> Result<Self, ProbeError> {
        let client = builder().pool_max_idle_per_host(0).build()?;
        let runtime = OwnRuntime::start("chaos-probe", 1)?;
        let mut names = HashSet::new();
        let (stop, stopped) = watch::channel(false);
        let (working, at_work) = mpsc::channel(1);
        let mut series = Vec::new();
        for probe in probes {
            probe.validate()?;
            if !names.insert(&probe.name) {
                return Err(ProbeError::Duplicate { probe: probe.name.clone() });
            }
            let unknown = || ProbeError::UnknownService { probe: probe.name.clone(), service: probe.service.clone() };
            let address = resolve(&probe.service).ok_or_else(unknown)?;
            let empty = Series { name: probe.name.clone(), ..Series::default() };
            let target = Arc::new(Target {
                client: client.clone(),
                url: format!("http://{address}{}", probe.path),
                reader: probe.reader()?,
                deadline: probe.deadline,
                clock,
                series: Arc::new(Mutex::new(empty)),
                _working: working.clone(),
            });
            series.push(Arc::clone(&target.series));
            runtime.handle().spawn(target.watch(probe.every, stopped.clone()));
        }
        Ok(Self { runtime, stop, at_work, series })
    }

    /// What was read so far, in the order of the probes.
    pub fn series(&self) -> Vec<Series> {
        self.series.iter().map(|series| sorted(lock(series).clone())).collect()
    }

    /// Asks no more, waits for the readings under way, at most for their deadline, and gives all of them.
    pub async fn stop(self) -> Vec<Series> {
        self.stop_unless(std::future::pending()).await
    }

    /// Asks no more, and waits for the readings under way until `cut` ends. Those that have no answer by then have no
    /// value.
    pub async fn stop_unless(mut self, cut: impl Future<Output = ()>) -> Vec<Series> {
        // Nobody listens any more only when all have ended, which is what is wanted.
        let _ = self.stop.send(true);
        let is_cut = tokio::select! {
            biased;
            _ = self.at_work.recv() => false,
            () = cut => true,
        };
        if is_cut {
            self.runtime.end();
            self.at_work.recv().await;
        }
        self.series()
    }
}

fn lock(series: &Mutex<Series>) -> std::sync::MutexGuard<'_, Series> {
    series.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sorted(mut series: Series) -> Series {
    series.readings.sort_by_key(|reading| reading.at);
    series
}

#[derive(Debug)]
enum Reader {
    Metric(Metric),
    Health,
}

/// What one probe needs to be read.
#[derive(Debug)]
struct Target {
    client: reqwest::Client,
    url: String,
    reader: Reader,
    deadline: Duration,
    clock: Clock,
    series: Arc<Mutex<Series>>,
    _working: mpsc::Sender<Infallible>,
}

/// A reading under way. One that is dropped before its end was cut off.
#[derive(Debug)]
struct UnderWay {
    target: Arc<Target>,
    due: Instant,
    answer: Result<f64, ReadFailure>,
}

impl UnderWay {
    fn new(target: &Arc<Target>, due: Instant) -> Self {
        Self { target: Arc::clone(target), due, answer: Err(ReadFailure::NoAnswer { outcome: Outcome::CutOff }) }
    }

    async fn read(mut self) {
        let timeout = ReadFailure::NoAnswer { outcome: Outcome::Timeout };
        let answer = timeout_at(self.due + self.target.deadline, self.target.ask()).await;
        self.answer = answer.unwrap_or(Err(timeout));
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Self { target, due, answer } = self;
        let (value, failure) = match (answer, &target.reader) {
            (Ok(value), _) => (Some(*value), None),
            // What was not waited for is not known to be unhealthy.
            (Err(failure @ ReadFailure::NoAnswer { outcome: Outcome::CutOff }), _) => (None, Some(failure.clone())),
            (Err(failure), Reader::Health) => (Some(0.0), Some(failure.clone())),
            (Err(failure), Reader::Metric(_)) => (None, Some(failure.clone())),
        };
        let reading = Reading { at: target.clock.at(due.into_std()), known: target.clock.now(), value };
        let mut series = lock(&target.series);
        series.readings.push(reading);
        if let Some(failure) = failure {
            series.failed(reading.at, failure);
        }
    }
}

impl Target {
    async fn watch(self: Arc<Self>, every: Duration, mut stopped: watch::Receiver<bool>) {
        let mut ticks = interval_at(Instant::now(), every);
        let mut readings = JoinSet::new();
        loop {
            tokio::select! {
                _ = stopped.changed() => break,
                due = ticks.tick() => drop(readings.spawn(UnderWay::new(&self, due).read())),
            }
            while readings.try_join_next().is_some() {}
        }
        readings.join_all().await;
    }

    async fn ask(&self) -> Result<f64, ReadFailure> {
        let failed = |stage| move |error| ReadFailure::NoAnswer { outcome: classify(&error, stage) };
        let answer = self.client.get(&self.url).send().await.map_err(failed(Stage::Head))?;
        if !answer.status().is_success() {
            return Err(ReadFailure::Status { status: answer.status().as_u16() });
        }
        match &self.reader {
            Reader::Health => Ok(1.0),
            Reader::Metric(metric) => {
                let content_type = answer.headers().get(http::header::CONTENT_TYPE);
                let format = Format::of(content_type.and_then(|value| value.to_str().ok()));
                metric.read(&answer.text().await.map_err(failed(Stage::Body))?, format)
            }
        }
    }
}

#[cfg(test)]
mod tests;
