//! The lanes above the panels: phases, one lane for each planned fault, and what users felt.

use plotters::element::{PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, RGBColor};

use super::panel::{Canvas, fitted, thin};
use super::plot::palette::{FAILED, FAINT, FAULT, GRID, INK, STEADY};
use super::plot::{Area, Drawn, Size};
use crate::measure::Recovery;
use crate::report::impact::recovery_words;
use crate::report::{View, view, words};

/// More planned faults than this share the last lane.
const MOST: usize = 6;
const BAR: i32 = 7;

/// Labelled bars over time.
struct Lane {
    label: String,
    colour: RGBColor,
    /// From and to, in seconds.
    bars: Vec<(f64, f64)>,
}

/// Everything that is drawn above the panels, or through them.
pub(super) struct Lanes {
    phases: Vec<(String, f64)>,
    lanes: Vec<Lane>,
    /// When the steady state was back.
    steady: Vec<f64>,
    letters: i32,
}

impl Lanes {
    pub(super) fn of(view: &View<'_>, size: Size) -> Self {
        let phases = view.phases().into_iter().map(|(phase, at)| (phase.to_string(), at.as_secs_f64())).collect();
        let mut lanes = faults(view);
        lanes.extend(impact(view));
        let steady = view.journal.injections.iter().filter_map(view::steady).map(|at| at.as_secs_f64()).collect();
        Self { phases, lanes, steady, letters: size.letters }
    }

    /// Height in CSS pixels.
    pub(super) fn height(&self) -> i32 {
        self.phase_height() + self.lanes.len() as i32 * self.lane_height()
    }

    fn phase_height(&self) -> i32 {
        self.letters + 10
    }

    fn lane_height(&self) -> i32 {
        self.letters + BAR + 9
    }

    pub(super) fn draw(&self, root: &Area<'_>, canvas: &Canvas) -> Drawn {
        self.draw_phases(root, canvas)?;
        for (row, lane) in self.lanes.iter().enumerate() {
            let top = canvas.px(self.phase_height() + row as i32 * self.lane_height());
            draw_lane(root, canvas, lane, top)?;
        }
        Ok(())
    }

    /// The phases as boxes; a name is written where it fits.
    fn draw_phases(&self, root: &Area<'_>, canvas: &Canvas) -> Drawn {
        let bottom = canvas.px(self.phase_height() - 5);
        for (at, (name, from)) in self.phases.iter().enumerate() {
            let to = self.phases.get(at + 1).map_or(canvas.time.end, |(_, to)| *to);
            let (left, right) = (canvas.x(*from), canvas.x(to));
            if right - left < canvas.px(2) {
                continue;
            }
            let edge = thin(GRID);
            root.draw(&PathElement::new([(left, 0), (left, bottom), (right, bottom), (right, 0)], edge))?;
            if canvas.width_of(name) + canvas.px(4) <= right - left {
                let middle = ((left + right) / 2, bottom / 2);
                root.draw(&Text::new(name.clone(), middle, canvas.text(FAINT, HPos::Center, VPos::Center)))?;
            }
        }
        Ok(())
    }

    /// Shades the faults in a panel.
    pub(super) fn shade(&self, root: &Area<'_>, canvas: &Canvas, row: usize) -> Drawn {
        let (top, bottom) = canvas.rows(row);
        for (from, to) in self.lanes.iter().filter(|lane| lane.colour == FAULT).flat_map(|lane| &lane.bars) {
            let corners = [(canvas.x(*from), top), (canvas.x(*to).max(canvas.x(*from) + canvas.px(1)), bottom)];
            root.draw(&Rectangle::new(corners, FAULT.mix(0.13).filled()))?;
        }
        Ok(())
    }

    /// Marks faults and recoveries in a panel, above its series: an edge where each begins, one where it ends.
    pub(super) fn mark(&self, root: &Area<'_>, canvas: &Canvas, row: usize) -> Drawn {
        let (top, bottom) = canvas.rows(row);
        let vertical = |x: i32, colour: RGBColor, width: i32| {
            root.draw(&PathElement::new([(x, top), (x, bottom)], colour.stroke_width(canvas.px(width) as u32)))
        };
        for (from, to) in self.lanes.iter().filter(|lane| lane.colour == FAULT).flat_map(|lane| &lane.bars) {
            vertical(canvas.x(*from), FAULT, 1)?;
            vertical(canvas.x(*to), FAULT, 1)?;
        }
        self.steady.iter().try_for_each(|at| vertical(canvas.x(*at), STEADY, 2))
    }
}

/// A lane for each planned fault, with all its repetitions.
fn faults(view: &View<'_>) -> Vec<Lane> {
    let end = view.window().to;
    let mut lanes: Vec<Lane> = Vec::new();
    let mut planned: Vec<usize> = Vec::new();
    for made in &view.journal.injections {
        let known = planned.iter().position(|known| *known == made.planned);
        let lane = known.unwrap_or_else(|| {
            if lanes.len() < MOST {
                planned.push(made.planned);
                lanes.push(Lane { label: made.fault.clone(), colour: FAULT, bars: Vec::new() });
            }
            lanes.len() - 1
        });
        let to = made.rolled_back.unwrap_or(end).as_secs_f64();
        lanes[lane].bars.push((made.began.as_secs_f64(), to));
    }
    for lane in &mut lanes {
        let times = lane.bars.len();
        if times > 1 {
            lane.label = format!("{}, {times} times", words::line(&lane.label));
        }
    }
    lanes
}

/// From the first bad request to the steady state, for each injection.
fn impact(view: &View<'_>) -> Option<Lane> {
    let made = &view.journal.injections;
    let bars: Vec<(f64, f64)> = made.iter().filter_map(|made| span(made.recovery?)).collect();
    let label = match made.as_slice() {
        [one] => recovery_words(one),
        several => {
            let back = several.iter().filter(|made| made.recovery.is_some_and(|r| r.time().is_some())).count();
            format!("recovered from {back} of {}", bars.len())
        }
    };
    let recovered = made.iter().all(|made| !matches!(made.recovery, Some(Recovery::NotRecovered { .. })));
    let colour = if recovered { STEADY } else { FAILED };
    (!bars.is_empty()).then(|| Lane { label: format!("users hit: {label}"), colour, bars })
}

fn span(recovery: Recovery) -> Option<(f64, f64)> {
    match recovery {
        Recovery::NoImpact | Recovery::TooFewSamples(_) | Recovery::AlreadyDown { .. } => None,
        Recovery::Recovered { first_bad, steady } => Some((first_bad.as_secs_f64(), steady.as_secs_f64())),
        Recovery::NotRecovered { first_bad, observed_until } => {
            Some((first_bad.as_secs_f64(), observed_until.as_secs_f64()))
        }
    }
}

/// The label above the bars, moved to the left until it fits.
fn draw_lane(root: &Area<'_>, canvas: &Canvas, lane: &Lane, top: i32) -> Drawn {
    let from = lane.bars.first().map_or(canvas.time.start, |(from, _)| *from);
    let label = fitted(&lane.label, canvas.right() - canvas.left(), |text| canvas.width_of(text));
    let x = canvas.x(from).min(canvas.right() - canvas.width_of(&label)).max(canvas.left());
    root.draw(&Text::new(label, (x, top), canvas.text(INK, HPos::Left, VPos::Top)))?;
    let bar = top + canvas.px(canvas.letters() + 2);
    for (from, to) in &lane.bars {
        let (left, right) = (canvas.x(*from), canvas.x(*to));
        let corners = [(left, bar), (right.max(left + canvas.px(2)), bar + canvas.px(BAR))];
        root.draw(&Rectangle::new(corners, lane.colour.filled()))?;
    }
    Ok(())
}
