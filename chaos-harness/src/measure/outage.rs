//! Times in which users got no good answer.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Sample, SteadyStretch, Window};

/// How many outages are kept one by one; more are counted.
pub const KEPT_OUTAGES: usize = 100;

/// A time in which at least one route gave nothing but bad answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outage {
    /// When its first bad request was due.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub from: Duration,
    /// When good answers came again; `None` when they had not by the end of observation.
    #[serde(default, with = "humantime_serde::option")]
    #[schemars(with = "Option<String>")]
    pub to: Option<Duration>,
}

/// All outages in the time for which one injection was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outages {
    /// How many there were. Several are also called flapping.
    pub count: u64,
    /// The longest of them.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub longest: Duration,
    /// All of them together.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub total: Duration,
    /// Requests that went bad between the first bad request and the end of the last outage.
    pub bad: u64,
    /// All requests that were due in that time.
    pub requests: u64,
    /// Requests that went bad by themselves, within what the steady state allows; they are no outage.
    pub stray: u64,
    /// An outage that had begun before the injection, and so is not counted for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_before: Option<Outage>,
    /// The first [`KEPT_OUTAGES`] of them, in order.
    pub list: Vec<Outage>,
}

/// The outages of one observation: their account, and the first and the last of them.
pub(super) struct Found {
    pub(super) account: Outages,
    pub(super) first: Option<Outage>,
    pub(super) last: Option<Outage>,
}

/// Samples in the order in which they were due, as one injection's account needs them.
pub(super) struct Observed<'a> {
    watch: Window,
    /// Each with whether it is bad.
    samples: Vec<(&'a Sample, bool)>,
}

/// Bad requests of one route with no good one between them.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Position of its first request that the injection can have hit.
    at: usize,
    outage: Outage,
    /// How many of its requests were bad already when the injection began.
    before: usize,
    /// How many the injection can have hit.
    hit: usize,
}

/// What a route's good answers took before the injection.
#[derive(Clone, Copy, Debug)]
struct Usual {
    median: Duration,
    /// More than this takes one in a hundred.
    slow: Duration,
}

impl<'a> Observed<'a> {
    pub(super) fn new(samples: &'a [Sample], watch: Window, bad: impl Fn(&Sample) -> bool) -> Self {
        let due = samples.iter().filter(|sample| sample.intended < watch.to);
        let mut samples: Vec<_> = due.map(|sample| (sample, bad(sample))).collect();
        samples.sort_by_key(|(sample, _)| sample.intended);
        Self { watch, samples }
    }

    /// How many requests were due while it was watched.
    pub(super) fn due(&self) -> usize {
        self.samples_in(self.watch).count()
    }

    /// Whether the watch goes on for long enough after `from` to know that nothing comes any more.
    pub(super) fn holds(&self, from: Duration, steady: &SteadyStretch) -> bool {
        let rest = Window::new(from, self.watch.to);
        rest.length() >= steady.duration && self.samples_in(rest).count() >= steady.samples
    }

    fn samples_in(&self, window: Window) -> impl Iterator<Item = &(&'a Sample, bool)> {
        self.samples.iter().filter(move |(sample, _)| window.contains(sample.intended))
    }

    pub(super) fn outages(&self, steady: &SteadyStretch) -> Found {
        let mut runs: Vec<Run> = self.routes().into_iter().flat_map(|route| self.runs(route)).collect();
        runs.sort_by_key(|run| (run.outage.from, run.at));
        // One bad request before the injection is no outage; what follows on it is the injection's.
        let (before, own): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(|run| run.before > 1);
        let (strays, own) = self.set_strays_apart(own, steady);
        let own = joined(own.iter().map(|run| run.outage));
        let begun_before = joined(before.iter().map(|run| run.outage)).into_iter().next();
        let (first, last) = (own.first().copied(), own.last().copied());
        let mut account = Outages { stray: strays as u64, begun_before, ..Outages::of(&own, self.watch.to) };
        if let (Some(first), Some(last)) = (first, last) {
            let hit = Window::new(first.from, last.to.unwrap_or(self.watch.to));
            account.requests = self.samples_in(hit).count() as u64;
            account.bad = self.samples_in(hit).filter(|(_, bad)| *bad).count() as u64;
        }
        Found { account, first, last }
    }

    fn routes(&self) -> BTreeSet<u16> {
        self.samples.iter().map(|(sample, _)| sample.route).collect()
    }

    /// The runs of bad requests of one route that were not over when the injection began.
    fn runs(&self, route: u16) -> Vec<Run> {
        let of_route = self.samples.iter().enumerate().filter(|(_, (sample, _))| sample.route == route);
        let of_route: Vec<(usize, &Sample, bool)> = of_route.map(|(at, (sample, bad))| (at, *sample, *bad)).collect();
        let usual = self.usual(&of_route);
        let runs = of_route.chunk_by(|(.., bad), (.., next)| bad == next);
        let mut runs = runs.peekable();
        let mut found = Vec::new();
        while let Some(run) = runs.next() {
            if run.first().is_some_and(|(.., bad)| *bad) {
                let back = runs.peek().and_then(|good| back(good, usual));
                found.extend(self.run(run, back, usual));
            }
        }
        found
    }

    fn run(&self, samples: &[(usize, &Sample, bool)], back: Option<Duration>, usual: Usual) -> Option<Run> {
        let began = self.watch.from;
        let overdue = |sample: &Sample| sample.intended.saturating_add(usual.slow) < began;
        let before = samples.iter().filter(|(_, sample, _)| sample.known_at() < began || overdue(sample)).count();
        let mut hit = samples.iter().filter(|(_, sample, _)| sample.known_at() >= began).peekable();
        let (at, from) = match hit.peek() {
            Some((at, sample, _)) if before <= 1 => (*at, sample.intended.max(began)),
            None if before <= 1 || back.is_some_and(|back| back <= began) => return None,
            _ => samples.first().map(|(at, sample, _)| (*at, sample.intended))?,
        };
        Some(Run { at, outage: Outage { from, to: back.map(|back| back.max(from)) }, before, hit: hit.count() })
    }

    /// What answers took before the injection; nothing, where there were none.
    fn usual(&self, of_route: &[(usize, &Sample, bool)]) -> Usual {
        let good = of_route.iter().filter(|(_, sample, bad)| !bad && sample.end < self.watch.from);
        let mut took: Vec<Duration> = good.map(|(_, sample, _)| sample.latency()).collect();
        took.sort_unstable();
        match took.len() {
            0 => Usual { median: Duration::ZERO, slow: Duration::MAX },
            all => Usual { median: took[all / 2], slow: took[all - 1 - all / 100] },
        }
    }

    /// Counts single bad requests that the steady state allows, and gives the other runs back. The first bad
    /// request of all is no stray: nothing tells it from what the injection did.
    fn set_strays_apart(&self, runs: Vec<Run>, steady: &SteadyStretch) -> (usize, Vec<Run>) {
        let single = |(nth, run): &(usize, &Run)| *nth > 0 && run.hit == 1;
        let singles: Vec<(usize, usize)> =
            runs.iter().enumerate().filter(single).map(|(nth, run)| (nth, run.at)).collect();
        let stretch = steady.stretch().min(self.due());
        let too_many = steady.allowed(stretch) + 1;
        let crowded: BTreeSet<usize> = singles
            .windows(too_many)
            .filter(|several| several[too_many - 1].1 - several[0].1 < stretch)
            .flat_map(|several| several.iter().map(|(nth, _)| *nth))
            .collect();
        let stray = |nth: &usize| !crowded.contains(nth);
        let strays: BTreeSet<usize> = singles.into_iter().map(|(nth, _)| nth).filter(stray).collect();
        let others = runs.into_iter().enumerate().filter(|(nth, _)| !strays.contains(nth)).map(|(_, run)| run);
        (strays.len(), others.collect())
    }
}

/// When good answers came again: with the first good answer, less what an answer usually takes, but not before its
/// request was due. Requests that wait for the end of an outage are answered with it and so do not end it earlier.
fn back(good: &[(usize, &Sample, bool)], usual: Usual) -> Option<Duration> {
    good.iter().map(|(_, sample, _)| sample.end.saturating_sub(usual.median).max(sample.intended)).min()
}

/// Outages in order of their beginning, those that overlap as one.
fn joined(outages: impl Iterator<Item = Outage>) -> Vec<Outage> {
    let mut joined: Vec<Outage> = Vec::new();
    for next in outages {
        match joined.last_mut() {
            Some(last) if last.to.is_none_or(|to| next.from <= to) => {
                last.to = last.to.zip(next.to).map(|(one, other)| one.max(other));
            }
            _ => joined.push(next),
        }
    }
    joined
}

impl Outage {
    /// How long it lasted, at most until `end`.
    pub fn length(&self, end: Duration) -> Duration {
        self.to.map_or(end, |to| to.min(end)).saturating_sub(self.from)
    }
}

impl Outages {
    fn of(outages: &[Outage], end: Duration) -> Self {
        let lengths = || outages.iter().map(|outage| outage.length(end));
        Self {
            count: outages.len() as u64,
            longest: lengths().max().unwrap_or_default(),
            total: lengths().sum(),
            list: outages.iter().take(KEPT_OUTAGES).copied().collect(),
            ..Self::default()
        }
    }
}
