//! The drawn timeline of an experiment: availability, latency and requests over one time axis, the faults
//! shaded and the recovery marked.
//!
//! The drawing uses the light palette; the page's style sheet maps each colour to its dark partner.

use std::ops::Range;
use std::time::Duration;

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};

use super::lanes::Lanes;
use super::panel::{Canvas, Panel};
use super::series::{Latency, stacked};
use crate::hypothesis::{Hypothesis, Measure, Threshold};
use crate::report::View;

/// The colours, safe for colour-blind eyes (Okabe and Ito, 2008); `style.css` knows each of them by its value.
pub(super) mod palette {
    use plotters::style::RGBColor;

    pub(in super::super) const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
    pub(in super::super) const FAINT: RGBColor = RGBColor(0x57, 0x60, 0x6a);
    pub(in super::super) const GRID: RGBColor = RGBColor(0xe1, 0xe4, 0xe8);
    pub(in super::super) const FAULT: RGBColor = RGBColor(0x8c, 0x5a, 0x78);
    pub(in super::super) const STEADY: RGBColor = RGBColor(0x00, 0x7a, 0x5a);
    pub(in super::super) const GOOD: RGBColor = RGBColor(0x56, 0xb4, 0xe9);
    pub(in super::super) const DEGRADED: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
    pub(in super::super) const FAILED: RGBColor = RGBColor(0xc8, 0x46, 0x00);
    pub(in super::super) const MEDIAN: RGBColor = RGBColor(0x00, 0x72, 0xb2);
    pub(in super::super) const LIMIT: RGBColor = RGBColor(0x24, 0x29, 0x30);
    pub(in super::super) const ROUTE: RGBColor = RGBColor(0x9b, 0x4d, 0x96);
}

use palette::{DEGRADED, FAILED, GOOD, LIMIT, MEDIAN, ROUTE};

/// A plot's measures, in CSS pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Width of the drawing.
    pub(super) width: i32,
    /// Height of one panel's plotting area.
    pub(super) panel: i32,
    /// Size of the letters.
    pub(super) letters: i32,
    /// Room for the labels of the vertical axes.
    pub(super) left: i32,
}

/// For screens.
pub(super) const WIDE: Size = Size { width: 1100, panel: 132, letters: 13, left: 64 };
/// For telephones.
pub(super) const NARROW: Size = Size { width: 358, panel: 110, letters: 11, left: 46 };

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// The timeline as an SVG element; `None` when no request was sent.
pub(super) fn draw(view: &View<'_>, size: Size) -> Option<String> {
    if view.samples().is_empty() {
        return None;
    }
    let lanes = Lanes::of(view, size);
    let canvas = Canvas::new(size, seconds(view), lanes.height(), 3);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, canvas.pixels()).into_drawing_area();
        // Drawing into a string fails only by a mistake in a coordinate; a report without its picture is better than none.
        draw_all(&root, &canvas, &lanes, view).and_then(|()| root.present()).ok()?;
    }
    Some(svg)
}

/// The time that is drawn.
pub(super) fn seconds(view: &View<'_>) -> Range<f64> {
    let window = view.window();
    window.from.as_secs_f64()..window.to.as_secs_f64().max(window.from.as_secs_f64() + 0.1)
}

fn draw_all(root: &Area<'_>, canvas: &Canvas, lanes: &Lanes, view: &View<'_>) -> Drawn {
    let panels = [availability(view), latency(view), requests(view)];
    for (row, panel) in panels.iter().enumerate() {
        canvas.draw_frame(root, row, panel)?;
        panel.draw_areas(root, canvas, row)?;
        lanes.shade(root, canvas, row)?;
        panel.draw_lines(root, canvas, row)?;
        lanes.mark(root, canvas, row)?;
    }
    lanes.draw(root, canvas)?;
    canvas.draw_time_axis(root)
}

fn availability(view: &View<'_>) -> Panel {
    let timeline = view.timeline();
    let mut panel = Panel::linear("availability", "%", 0.0..100.0);
    panel.areas = stacked(&timeline, |bucket| bucket.all().max(1) as f64 / 100.0);
    panel.legend = vec![("good", GOOD), ("degraded", DEGRADED), ("failed", FAILED)];
    for claim in claims(view) {
        if let (Measure::Availability { route: None }, Threshold::Ratio(share)) = (&claim.measure, claim.threshold) {
            panel.limit(share * 100.0);
        }
    }
    panel
}

fn requests(view: &View<'_>) -> Panel {
    let timeline = view.timeline();
    let width = timeline.width.as_secs_f64();
    let most = timeline.buckets.iter().map(|bucket| bucket.all()).max().unwrap_or(1) as f64 / width;
    let mut panel = Panel::linear("requests", "per second", 0.0..most.max(1.0) * 1.08);
    panel.areas = stacked(&timeline, |_| width);
    panel.legend = vec![("good", GOOD), ("degraded", DEGRADED), ("failed", FAILED)];
    panel
}

fn latency(view: &View<'_>) -> Panel {
    let timeline = view.timeline();
    let claims = claims(view).filter_map(|claim| match (&claim.measure, claim.threshold) {
        (Measure::Latency { route, .. }, Threshold::Time(limit)) => Some((route.as_deref(), limit)),
        _ => None,
    });
    let claims: Vec<(Option<&str>, Duration)> = claims.collect();
    let of_route = claims.iter().find_map(|(route, _)| *route).map(|route| Latency::of_route(view, route));
    let limits = claims.iter().map(|(_, limit)| *limit);
    let times = timeline.buckets.iter().flat_map(|bucket| [bucket.p50, bucket.p99]).flatten().chain(limits);
    let mut panel = Panel::logarithmic("latency", "ms, logarithmic", times.map(|time| time.as_secs_f64() * 1e3));
    panel.line(MEDIAN, Latency::points(&timeline, |bucket| bucket.p50));
    panel.line(FAILED, Latency::points(&timeline, |bucket| bucket.p99));
    panel.legend = vec![("p50", MEDIAN), ("p99", FAILED)];
    if let Some(route) = of_route {
        panel.line(ROUTE, route.points);
        panel.legend_of_route = Some((format!("p99 of {}", route.name), ROUTE));
    }
    for (_, limit) in claims {
        panel.limit(limit.as_secs_f64() * 1e3);
    }
    panel.legend.push(("limit", LIMIT));
    if panel.limits.is_empty() {
        panel.legend.pop();
    }
    panel
}

fn claims<'a>(view: &View<'a>) -> impl Iterator<Item = &'a Hypothesis> {
    view.journal.plan.hypotheses.iter()
}
