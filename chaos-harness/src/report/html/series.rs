//! From a timeline to the points of a panel. Time is in seconds.

use std::time::Duration;

use plotters::style::RGBColor;

use super::plot::palette::{DEGRADED, FAILED, GOOD};
use crate::measure::{Bucket, Timeline, of_route};
use crate::report::{View, words};

/// Points that belong together; a stretch without requests begins a new run.
pub(super) type Run = Vec<(f64, f64)>;

/// A filled area: its outline, and its colour.
pub(super) struct Filled {
    pub(super) colour: RGBColor,
    pub(super) outline: Run,
}

/// Good, degraded and failed requests on top of each other, as steps; each count divided by `unit`.
pub(super) fn stacked(timeline: &Timeline, unit: impl Fn(&Bucket) -> f64) -> Vec<Filled> {
    let good: fn(&Bucket) -> u64 = |bucket| bucket.good;
    let served: fn(&Bucket) -> u64 = |bucket| bucket.good + bucket.degraded;
    let none: fn(&Bucket) -> u64 = |_| 0;
    let layers = [(GOOD, none, good), (DEGRADED, good, served), (FAILED, served, Bucket::all as fn(&Bucket) -> u64)];
    let mut areas = Vec::new();
    for (colour, below, above) in layers {
        let is_drawn = |bucket: &&Bucket| above(bucket) > below(bucket);
        for run in timeline.buckets.chunk_by(|a, b| is_drawn(&a) == is_drawn(&b)).filter(|run| is_drawn(&&run[0])) {
            let steps = |height: fn(&Bucket) -> u64| -> Run {
                run.iter()
                    .flat_map(|bucket| step(bucket, timeline.width, height(bucket) as f64 / unit(bucket)))
                    .collect()
            };
            let outline = steps(above).into_iter().chain(steps(below).into_iter().rev()).collect();
            areas.push(Filled { colour, outline });
        }
    }
    areas
}

fn step(bucket: &Bucket, width: Duration, height: f64) -> [(f64, f64); 2] {
    let from = bucket.from.as_secs_f64();
    [(from, height), (from + width.as_secs_f64(), height)]
}

/// p99 of one route.
pub(super) struct Latency {
    /// The route, for people.
    pub(super) name: String,
    /// Milliseconds over time.
    pub(super) points: Vec<Run>,
}

impl Latency {
    pub(super) fn of_route(view: &View<'_>, route: &str) -> Self {
        let index = view.journal.routes.iter().position(|known| known == route);
        let index = index.and_then(|index| u16::try_from(index).ok());
        let samples: Vec<_> = match index {
            Some(index) => of_route(view.samples(), Some(index)).copied().collect(),
            None => Vec::new(),
        };
        let timeline = Timeline::of(&samples, view.window());
        Self { name: words::line(route), points: Self::points(&timeline, |bucket| bucket.p99) }
    }

    /// Milliseconds at the middle of each bucket.
    pub(super) fn points(timeline: &Timeline, quantile: fn(&Bucket) -> Option<Duration>) -> Vec<Run> {
        let runs = timeline.buckets.chunk_by(|a, b| quantile(a).is_some() == quantile(b).is_some());
        let point = |bucket: &Bucket| {
            let middle = (bucket.from + timeline.width / 2).as_secs_f64();
            quantile(bucket).map(|time| (middle, time.as_secs_f64() * 1e3))
        };
        runs.map(|run| run.iter().filter_map(point).collect()).filter(|run: &Run| !run.is_empty()).collect()
    }
}
