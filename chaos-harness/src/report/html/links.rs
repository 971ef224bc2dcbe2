//! What the links saw: a small plot for each, those with a fault first, and a table of all.

use std::ops::Range;

use maud::{Markup, PreEscaped, html};
use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::element::Rectangle;
use plotters::style::Color;

use super::lanes::Lanes;
use super::panel::{Canvas, Panel};
use super::plot::palette::{DISTURBED, GOOD, GRID, MEDIAN};
use super::plot::{Area, Drawn, Size, seconds};
use super::series::{Filled, Run};
use crate::report::traffic::{Bin, Bins, LinkView, links};
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
        p.note { "Bytes per second to the callee (up) and to the caller (down). The band on top is the share of the traffic that something happened to; full height is all of it." }
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
                @for fault in &link.faults { " " span.fault { (words::line(fault)) } }
                span.counted {
                    (connections) ", " (link.up()) " up, " (link.down()) " down"
                    @if !disturbed.is_empty() { "; " (disturbed) }
                }
            }
            @if let Some(drawn) = draw(view, link) { div.plot role="img" aria-label=(label) { (PreEscaped(drawn)) } }
        }
    }
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
    let bins = Bins::of(view, link.traffic);
    let most = bins.bins.iter().map(|bin| bin.up.max(bin.down)).fold(0.0, f64::max);
    let disturbed = bins.bins.iter().any(|bin| bin.disturbed > 0.0);
    if most <= 0.0 && !disturbed {
        return None;
    }
    let canvas = Canvas::new(SMALL, seconds(view), 0, 1);
    let lanes = Lanes::of(view, SMALL);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, canvas.pixels()).into_drawing_area();
        let is_faulted = !link.faults.is_empty();
        draw_all(&root, &canvas, &lanes, &bins, most, is_faulted).and_then(|()| root.present()).ok()?;
    }
    Some(svg)
}

fn draw_all(root: &Area<'_>, canvas: &Canvas, lanes: &Lanes, bins: &Bins, most: f64, is_faulted: bool) -> Drawn {
    let panel = panel(bins, most);
    canvas.draw_frame(root, 0, &panel)?;
    panel.draw_areas(root, canvas, 0)?;
    lanes.shade(root, canvas, 0)?;
    panel.draw_lines(root, canvas, 0)?;
    draw_shares(root, canvas, bins)?;
    if is_faulted {
        lanes.mark(root, canvas, 0)?;
    }
    canvas.draw_ticks(root)
}

fn panel(bins: &Bins, most: f64) -> Panel {
    let (unit, name) = match most {
        most if most >= 1e6 => (1e6, "MB/s"),
        most if most >= 1e3 => (1e3, "kB/s"),
        _ => (1.0, "B/s"),
    };
    let top = (most / unit).max(1.0) / (SHARES.start - 0.04);
    let mut panel = Panel::linear("traffic", name, 0.0..top);
    panel.labelled = SHARES.start;
    panel.areas = vec![Filled { colour: GOOD, outline: under(bins, |bin| bin.down / unit) }];
    panel.line(MEDIAN, vec![steps(bins, |bin| bin.up / unit)]);
    panel.legend = vec![("up", MEDIAN), ("down", GOOD), ("disturbed share", DISTURBED)];
    panel
}

/// The band on top: its ground, and the share of each bin.
fn draw_shares(root: &Area<'_>, canvas: &Canvas, bins: &Bins) -> Drawn {
    let y = |share: f64| canvas.y(0, SHARES.start + share * (SHARES.end - SHARES.start));
    let ground = [(canvas.left(), y(1.0)), (canvas.right(), y(0.0))];
    root.draw(&Rectangle::new(ground, GRID.filled()))?;
    for (at, bin) in bins.bins.iter().enumerate().filter(|(_, bin)| bin.disturbed > 0.0) {
        let corners = [(canvas.x(bins.at(at)), y(bin.disturbed)), (canvas.x(bins.at(at + 1)), y(0.0))];
        root.draw(&Rectangle::new(corners, DISTURBED.filled()))?;
    }
    Ok(())
}

/// Two points for each bin: a rate is flat over its bin.
fn steps(bins: &Bins, rate: impl Fn(&Bin) -> f64) -> Run {
    let flat = |(at, bin)| [(bins.at(at), rate(bin)), (bins.at(at + 1), rate(bin))];
    bins.bins.iter().enumerate().flat_map(flat).collect()
}

/// The area under the steps.
fn under(bins: &Bins, rate: impl Fn(&Bin) -> f64) -> Run {
    let ends = [(bins.at(bins.bins.len()), 0.0), (bins.at(0), 0.0)];
    steps(bins, rate).into_iter().chain(ends).collect()
}
