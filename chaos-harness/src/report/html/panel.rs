//! One panel of a plot, and the canvas that the panels share.

use std::ops::Range;

use plotters::element::{PathElement, Polygon, Rectangle, Text};
use plotters::series::DashedLineSeries;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, IntoTextStyle, RGBColor, ShapeStyle, TextStyle};

use super::plot::palette::{FAINT, GOOD, GRID, INK, LIMIT};
use super::plot::{Area, Drawn, Size};
use super::series::{Filled, Run};
use crate::report::words;

/// plotters divides sizes by this when it writes SVG.
const FONT_SCALE: f64 = 1.24;
/// Drawn at twice the size, since plotters rounds to whole pixels.
const FINE: i32 = 2;

/// Values over time, with a linear or a logarithmic axis.
pub(super) struct Panel {
    title: &'static str,
    unit: &'static str,
    range: Range<f64>,
    logarithmic: bool,
    /// Up to which share of its height the axis has labels.
    pub(super) labelled: f64,
    pub(super) areas: Vec<Filled>,
    lines: Vec<(RGBColor, Vec<Run>)>,
    pub(super) limits: Vec<f64>,
    pub(super) legend: Vec<(&'static str, RGBColor)>,
    pub(super) legend_of_route: Option<(String, RGBColor)>,
}

impl Panel {
    pub(super) fn linear(title: &'static str, unit: &'static str, range: Range<f64>) -> Self {
        Self {
            title,
            unit,
            range,
            logarithmic: false,
            labelled: 1.0,
            areas: Vec::new(),
            lines: Vec::new(),
            limits: Vec::new(),
            legend: Vec::new(),
            legend_of_route: None,
        }
    }

    /// An axis over whole powers of ten that holds all `values`.
    pub(super) fn logarithmic(title: &'static str, unit: &'static str, values: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            let log = value.max(1e-3).log10();
            (least, most) = (least.min(log), most.max(log));
        }
        let range = if least.is_finite() { least.floor()..most.ceil().max(least.floor() + 1.0) } else { 0.0..1.0 };
        Self { logarithmic: true, ..Self::linear(title, unit, range) }
    }

    pub(super) fn line(&mut self, colour: RGBColor, runs: Vec<Run>) {
        self.lines.push((colour, runs));
    }

    /// A claimed limit, as a dashed line.
    pub(super) fn limit(&mut self, value: f64) {
        self.limits.push(value);
    }

    /// How far up a value lies, 0 to 1.
    fn height(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.max(1e-3).log10() } else { value };
        ((value - self.range.start) / (self.range.end - self.range.start)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        if self.logarithmic {
            let powers = self.range.start as i32..=self.range.end as i32;
            return powers.map(|power| 10f64.powi(power)).map(|value| (value, value.to_string())).collect();
        }
        let end = self.range.start + (self.range.end - self.range.start) * self.labelled;
        ticks(self.range.start..end, 4).into_iter().map(|value| (value, value.to_string())).collect()
    }

    pub(super) fn draw_areas(&self, root: &Area<'_>, canvas: &Canvas, row: usize) -> Drawn {
        let at = |(x, y): &(f64, f64)| (canvas.x(*x), canvas.y(row, self.height(*y)));
        for area in &self.areas {
            let outline: Vec<_> = area.outline.iter().map(at).collect();
            root.draw(&Polygon::new(outline, soft(area.colour)))?;
        }
        Ok(())
    }

    pub(super) fn draw_lines(&self, root: &Area<'_>, canvas: &Canvas, row: usize) -> Drawn {
        let at = |(x, y): &(f64, f64)| (canvas.x(*x), canvas.y(row, self.height(*y)));
        for value in &self.limits {
            let y = canvas.y(row, self.height(*value));
            let ends = [(canvas.x(canvas.time.start), y), (canvas.x(canvas.time.end), y)];
            let dashes = DashedLineSeries::new(ends, 5 * FINE, 4 * FINE, LIMIT.stroke_width(FINE as u32));
            for dash in dashes {
                root.draw(&dash)?;
            }
        }
        for (colour, runs) in &self.lines {
            for run in runs {
                let stroke = colour.stroke_width(2 * FINE as u32);
                // A lone bucket would be a path of no length.
                let points: Vec<_> = match run.as_slice() {
                    [(x, y)] => vec![(canvas.x(*x) - FINE, at(&(*x, *y)).1), (canvas.x(*x) + FINE, at(&(*x, *y)).1)],
                    run => run.iter().map(at).collect(),
                };
                root.draw(&PathElement::new(points, stroke))?;
            }
        }
        Ok(())
    }
}

/// The pixels of a plot: where time and the panels lie. All lengths are in drawn pixels.
pub(super) struct Canvas {
    size: Size,
    pub(super) time: Range<f64>,
    top: i32,
    rows: usize,
    /// Height of what is below the panels, in CSS pixels.
    foot: i32,
}

impl Canvas {
    /// A canvas with `lanes` CSS pixels above the panels, of which there are `rows`.
    pub(super) fn new(size: Size, time: Range<f64>, lanes: i32, rows: usize) -> Self {
        Self { size, time, top: lanes, rows, foot: size.letters * 3 + 6 }
    }

    /// A canvas for one panel, whose time axis has numbers and no words.
    pub(super) fn small(size: Size, time: Range<f64>) -> Self {
        Self { foot: size.letters + 10, ..Self::new(size, time, 0, 1) }
    }

    fn title(&self) -> i32 {
        self.size.letters * 2 + 6
    }

    /// Width and height of the drawing.
    pub(super) fn pixels(&self) -> (u32, u32) {
        let height = self.top + self.rows as i32 * (self.title() + self.size.panel) + self.foot;
        ((self.size.width * FINE) as u32, (height * FINE) as u32)
    }

    /// Where a moment lies, in seconds.
    pub(super) fn x(&self, seconds: f64) -> i32 {
        let (left, right) = (f64::from(self.left()), f64::from(self.right()));
        let share = (seconds - self.time.start) / (self.time.end - self.time.start);
        (left + share.clamp(0.0, 1.0) * (right - left)).round() as i32
    }

    pub(super) fn left(&self) -> i32 {
        self.size.left * FINE
    }

    pub(super) fn right(&self) -> i32 {
        (self.size.width - 10) * FINE
    }

    /// Upper and lower edge of a panel.
    pub(super) fn rows(&self, row: usize) -> (i32, i32) {
        let above = self.top + (row as i32 + 1) * self.title() + row as i32 * self.size.panel;
        (above * FINE, (above + self.size.panel) * FINE)
    }

    pub(super) fn y(&self, row: usize, height: f64) -> i32 {
        let (top, bottom) = self.rows(row);
        bottom - (height * f64::from(bottom - top)).round() as i32
    }

    /// CSS pixels as drawn pixels.
    pub(super) fn px(&self, css: i32) -> i32 {
        css * FINE
    }

    /// About how wide `text` is drawn; a little more than the usual sans-serif fonts take.
    pub(super) fn width_of(&self, text: &str) -> i32 {
        (text.chars().count() as f64 * f64::from(self.size.letters * FINE) * 0.54).ceil() as i32
    }

    pub(super) fn letters(&self) -> i32 {
        self.size.letters
    }

    /// A style of the plot's letters.
    pub(super) fn text(&self, colour: RGBColor, across: HPos, down: VPos) -> TextStyle<'static> {
        let size = f64::from(self.size.letters * FINE) * FONT_SCALE;
        (FontFamily::SansSerif, size)
            .with_color(colour)
            .with_anchor::<RGBColor>(Pos::new(across, down))
            .into_text_style(&(0, 0))
    }

    /// Title, legend, grid and labels of a panel.
    pub(super) fn draw_frame(&self, root: &Area<'_>, row: usize, panel: &Panel) -> Drawn {
        let (top, bottom) = self.rows(row);
        self.draw_title(root, top - self.px(8), panel)?;
        for (value, label) in panel.ticks() {
            let y = self.y(row, panel.height(value));
            root.draw(&PathElement::new([(self.left(), y), (self.right(), y)], thin(GRID)))?;
            let style = self.text(FAINT, HPos::Right, VPos::Center);
            root.draw(&Text::new(label, (self.left() - self.px(6), y), style))?;
        }
        for (seconds, _) in self.time_ticks() {
            let x = self.x(seconds);
            root.draw(&PathElement::new([(x, top), (x, bottom)], thin(GRID)))?;
        }
        Ok(())
    }

    fn draw_title(&self, root: &Area<'_>, y: i32, panel: &Panel) -> Drawn {
        let left = if self.size.width < 600 { self.px(2) } else { self.left() };
        let mut x = left;
        root.draw(&Text::new(panel.title, (x, y), self.text(INK, HPos::Left, VPos::Bottom)))?;
        x += self.width_of(panel.title) + self.px(4);
        if self.size.width >= 600 {
            root.draw(&Text::new(panel.unit, (x, y), self.text(FAINT, HPos::Left, VPos::Bottom)))?;
            x += self.width_of(panel.unit) + self.px(4);
        } else if panel.title != "requests" {
            let unit = panel.unit.split(',').next().unwrap_or_default();
            root.draw(&Text::new(unit, (x, y), self.text(FAINT, HPos::Left, VPos::Bottom)))?;
            x += self.width_of(unit) + self.px(4);
        }
        self.draw_legend(root, x + self.px(10), y, panel)
    }

    /// Swatches with names, from left to right, as far as there is room.
    fn draw_legend(&self, root: &Area<'_>, mut x: i32, y: i32, panel: &Panel) -> Drawn {
        let plain = panel.legend.iter().map(|(name, colour)| ((*name).to_owned(), *colour));
        let swatch = self.px(9);
        for (name, colour) in plain.chain(panel.legend_of_route.clone()) {
            let room = self.right() - x - swatch - self.px(4);
            let name = fitted(&name, room, |text| self.width_of(text));
            if name.is_empty() {
                break;
            }
            let middle = y - self.px(self.size.letters / 2);
            root.draw(&Rectangle::new([(x, middle - swatch / 2), (x + swatch, middle + swatch / 2)], soft(colour)))?;
            x += swatch + self.px(4);
            let style = self.text(FAINT, HPos::Left, VPos::Bottom);
            x += self.width_of(&name) + self.px(10);
            root.draw(&Text::new(name.clone(), (x - self.width_of(&name) - self.px(10), y), style))?;
        }
        Ok(())
    }

    /// Labels below the last panel, and what they mean.
    pub(super) fn draw_time_axis(&self, root: &Area<'_>) -> Drawn {
        self.draw_ticks(root)?;
        let (_, bottom) = self.rows(self.rows - 1);
        let end = (self.right(), bottom + self.px(self.size.letters + 12));
        let axis = "seconds since the experiment began";
        root.draw(&Text::new(axis, end, self.text(FAINT, HPos::Right, VPos::Top)))
    }

    /// Labels below the last panel.
    pub(super) fn draw_ticks(&self, root: &Area<'_>) -> Drawn {
        let (_, bottom) = self.rows(self.rows - 1);
        for (seconds, label) in self.time_ticks() {
            let x = self.x(seconds);
            root.draw(&PathElement::new([(x, bottom), (x, bottom + self.px(4))], thin(FAINT)))?;
            let half = self.width_of(&label) / 2;
            let x = x.clamp(self.left(), self.right() - half);
            root.draw(&Text::new(label, (x, bottom + self.px(7)), self.text(FAINT, HPos::Center, VPos::Top)))?;
        }
        Ok(())
    }

    fn time_ticks(&self) -> Vec<(f64, String)> {
        let room = if self.size.width < 600 { 5 } else { 10 };
        ticks(self.time.clone(), room).into_iter().map(|at| (at, at.to_string())).collect()
    }
}

/// Round numbers in `range`: at most `most` steps of 1, 2 or 5 times a power of ten.
fn ticks(range: Range<f64>, most: usize) -> Vec<f64> {
    let rough = (range.end - range.start) / most as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(power * 10.0);
    let (first, last) = ((range.start / step).ceil() as i64, (range.end / step + 1e-9).floor() as i64);
    // Rounded, since 3 * 0.1 is not 0.3.
    (first..=last).map(|at| ((at as f64 * step) * 1e6).round() / 1e6).collect()
}

/// `text`, or as much of it as fits into `room` with an ellipsis; empty when next to nothing fits.
pub(super) fn fitted(text: &str, room: i32, width: impl Fn(&str) -> i32) -> String {
    let text = words::line(text);
    if width(&text) <= room {
        return text;
    }
    let letters: Vec<char> = text.chars().collect();
    let shortened = |count: &usize| letters[..*count].iter().collect::<String>().trim_end().to_owned() + "…";
    let longest = (3..letters.len()).rev().find(|count| width(&shortened(count)) <= room);
    longest.map_or_else(String::new, |count| shortened(&count))
}

/// What is as it should be stays in the background.
fn soft(colour: RGBColor) -> ShapeStyle {
    if colour == GOOD { colour.mix(0.5).filled() } else { colour.filled() }
}

pub(super) fn thin(colour: RGBColor) -> ShapeStyle {
    colour.stroke_width(FINE as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(0.0..100.0, 4), [0.0, 50.0, 100.0]);
        assert_eq!(ticks(1.3..2.1, 5), [1.4, 1.6, 1.8, 2.0]);
        assert_eq!(ticks(0.0..30.0, 10), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
    }

    #[test]
    fn long_labels_end_in_an_ellipsis() {
        let width = |text: &str| text.chars().count() as i32;
        assert_eq!(fitted("latency", 7, width), "latency");
        assert_eq!(fitted("latency 5s", 8, width), "latency…");
        assert_eq!(fitted("latency", 2, width), "");
    }
}
