//! What the links saw: a small plot for each, those with a fault first, and a table of all.

use std::ops::Range;

use maud::{Markup, PreEscaped, html};
use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::element::Rectangle;
use plotters::style::Color;

use super::lanes::Lanes;
use super::panel::{Canvas, Panel};
use super::plot::palette::{FAULT, GOOD, GRID, MEDIAN};
use super::plot::{Area, Drawn, Size, seconds};
use super::series::{Filled, Run};
use crate::report::course::{Bin, Course};
use crate::report::traffic::{LinkView, links};
use crate::report::{View, words};

/// A plot that fits a telephone, and three times beside each other on a screen.
const SMALL: Size = Size { width: 358, panel: 92, letters: 11, left: 46 };
/// More links than this are in the table only.
const MOST: usize = 12;
/// The disturbed share is drawn in the upper part of the panel, from here to its top.
const SHARES: Range<f64> = 0.82..1.0;

pub(super) fn section(view: &View<'_>) -> Markup {
    let links = links(view);
    if links.is_empty() {
        return html! {};
    }
    html! {
        h3 { "Links" }
        div.links { @for link in links.iter().take(MOST) { (figure(view, link)) } }
        p.note { "Bytes per second to the callee (up) and to the caller (down). Where something happened to the traffic, the band on top shows to which share of it; full height is all." }
        details { summary { "What " (words::count(links.len(), "link")) " counted" } (table(&links)) }
    }
}

fn figure(view: &View<'_>, link: &LinkView<'_>) -> Markup {
    let label = format!("Traffic of {} over time", link.name());
    let connections = words::count(usize::try_from(link.connections()).unwrap_or(usize::MAX), "connection");
    let disturbed = link.disturbed();
    html! {
        figure.link.faulted[!link.faults.is_empty()] {
            figcaption {
                strong { (link.name()) }
                @for fault in &link.faults { " " span.fault { (short(fault, link)) } }
                span.counted {
                    (connections) ", " (link.up()) " up, " (link.down()) " down"
                    @if !disturbed.is_empty() { "; " (disturbed) }
                }
            }
            @if let Some(drawn) = draw(view, link) { div.plot role="img" aria-label=(label) { (PreEscaped(drawn)) } }
        }
    }
}

/// A fault without the link's name, which stands beside it.
fn short(fault: &str, link: &LinkView<'_>) -> String {
    let fault = words::line(fault);
    fault.strip_suffix(&format!(" on {}", link.name())).unwrap_or(&fault).to_owned()
}

fn table(links: &[LinkView<'_>]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "link" } th.number { "connections" } th.number { "up" } th.number { "down" } th { "disturbed" } } }
            tbody { @for link in links { tr {
                td { (link.name()) @if !link.faults.is_empty() { " " strong { "(faulted)" } } }
                td.number { (link.connections()) }
                td.number { (link.up()) }
                td.number { (link.down()) }
                td { (link.disturbed()) }
            } } }
        } }
    }
}

/// The plot as an SVG element; `None` when nothing passed the link.
fn draw(view: &View<'_>, link: &LinkView<'_>) -> Option<String> {
    let course = Course::of(view, link.traffic);
    if course.is_empty() {
        return None;
    }
    let canvas = Canvas::small(SMALL, seconds(view));
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, canvas.pixels()).into_drawing_area();
        let lanes = Lanes::of(view, SMALL);
        draw_all(&root, &canvas, &lanes, &course, !link.faults.is_empty()).and_then(|()| root.present()).ok()?;
    }
    Some(svg)
}

fn draw_all(root: &Area<'_>, canvas: &Canvas, lanes: &Lanes, course: &Course, is_faulted: bool) -> Drawn {
    let panel = panel(course);
    canvas.draw_frame(root, 0, &panel)?;
    panel.draw_areas(root, canvas, 0)?;
    lanes.shade(root, canvas, 0)?;
    panel.draw_lines(root, canvas, 0)?;
    draw_shares(root, canvas, course)?;
    if is_faulted {
        lanes.mark(root, canvas, 0)?;
    }
    canvas.draw_ticks(root)
}

fn panel(course: &Course) -> Panel {
    let most = course.bins.iter().map(|bin| bin.up.max(bin.down)).fold(0.0, f64::max);
    let (unit, name) = match most {
        most if most >= 1e6 => (1e6, "MB/s"),
        most if most >= 1e3 => (1e3, "kB/s"),
        _ => (1.0, "B/s"),
    };
    let labelled = if course.shares.is_empty() { 1.0 } else { SHARES.start };
    let mut panel = Panel::linear("traffic", name, 0.0..(most / unit).max(1.0) * 1.06 / labelled);
    panel.labelled = labelled;
    panel.areas = vec![Filled { colour: GOOD, outline: under(course, |bin| bin.down / unit) }];
    panel.line(MEDIAN, vec![steps(course, |bin| bin.up / unit)]);
    panel.legend = vec![("up", MEDIAN), ("down", GOOD)];
    if !course.shares.is_empty() {
        panel.legend.push(("disturbed share", FAULT));
    }
    panel
}

/// The band on top, where anything was disturbed: its ground, and the shares.
fn draw_shares(root: &Area<'_>, canvas: &Canvas, course: &Course) -> Drawn {
    let y = |share: f64| canvas.y(0, SHARES.start + share * (SHARES.end - SHARES.start));
    if !course.shares.is_empty() {
        let ground = [(canvas.left(), y(1.0)), (canvas.right(), y(0.0))];
        root.draw(&Rectangle::new(ground, GRID.filled()))?;
    }
    for disturbed in &course.shares {
        let corners = [(canvas.x(disturbed.from), y(disturbed.share)), (canvas.x(disturbed.until), y(0.0))];
        root.draw(&Rectangle::new(corners, FAULT.filled()))?;
    }
    Ok(())
}

/// Two points for each bin: a rate is flat over its bin.
fn steps(course: &Course, rate: impl Fn(&Bin) -> f64) -> Run {
    let flat = |(at, bin)| [(course.at(at), rate(bin)), (course.at(at + 1), rate(bin))];
    course.bins.iter().enumerate().flat_map(flat).collect()
}

/// The area under the steps.
fn under(course: &Course, rate: impl Fn(&Bin) -> f64) -> Run {
    let ends = [(course.at(course.bins.len()), 0.0), (course.at(0), 0.0)];
    steps(course, rate).into_iter().chain(ends).collect()
}
