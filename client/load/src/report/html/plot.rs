//! Line plots as SVG, drawn twice: for wide windows and for narrow ones, in which text would get too small.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::{
    ChartBuilder, IntoDrawingArea, IntoFont, LineSeries, PathElement, Rectangle, SVGBackend,
};
use plotters::style::{Color, TextStyle};
use segcast_config::amount::rounded::{bit_rate, micros};

use super::color::Role;
use crate::words::count;

/// Pixels of the two drawings.
const WIDE: (u32, u32) = (540, 270);
const NARROW: (u32, u32) = (350, 240);
/// The library's size of a font of 12 pixels.
const FONT: f64 = 15.0;
/// About the width of one letter of it, pixels.
const LETTER: f64 = 6.5;
/// Points of a line, at most: more than pixels show nothing.
const POINTS_MAX: usize = 400;

/// One line.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) role: Role,
    pub(super) points: Vec<(f64, f64)>,
}

impl Series {
    /// Pixels: what others may hide is broad, and drawn before them.
    fn width(&self) -> u32 {
        if self.role == Role::Response || self.role == Role::Intended { 4 } else { 2 }
    }
}

/// A part of the time axis with a name.
pub(super) struct Band {
    pub(super) name: String,
    pub(super) from: f64,
    pub(super) to: f64,
}

/// What a y axis shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// From 0 on.
    Count,
    /// bit/s, from 0 on.
    Rate,
    /// Percent of 0 to 1, all of them.
    Share,
    /// Microseconds, logarithmic.
    Time,
}

impl Unit {
    fn say(self, value: f64) -> String {
        match self {
            Self::Count => count(value.round() as u64),
            Self::Rate if value == 0.0 => "0".to_owned(),
            Self::Rate => short(&bit_rate(value)),
            Self::Share => format!("{:.0} %", value * 100.0),
            Self::Time => short(&micros(10_f64.powf(value).round())),
        }
    }

    fn place(self, value: f64) -> f64 {
        if self == Self::Time { value.max(1.0).log10() } else { value }
    }
}

/// `10.0 ms` as `10 ms`, `1.00 s` as `1 s`.
fn short(text: &str) -> String {
    text.replace(".00 ", " ").replace(".0 ", " ")
}

/// An axis: from, to, and where it is labelled.
#[derive(Clone)]
struct Axis {
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// Round steps from 0 to beyond `most`.
    fn from_zero(most: f64, steps: f64) -> Self {
        let rough = most.max(f64::MIN_POSITIVE) / steps;
        let power = 10_f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough);
        let step = factor.unwrap_or(10.0) * power;
        let number = (most / step).ceil().max(1.0) as u32;
        let ticks = (0..=number).map(|tick| f64::from(tick) * step).collect();
        Self { from: 0.0, to: f64::from(number) * step, ticks }
    }

    /// Powers of ten of a logarithmic axis, with room for all of `least` to `most` (logarithms).
    fn powers(least: f64, most: f64) -> Self {
        let (from, to) = (least.floor(), most.ceil().max(least.floor() + 1.0));
        let ticks = (from as i32..=to as i32).map(f64::from).collect();
        Self { from, to, ticks }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        // A stored result may say anything; what is off the axis is drawn at its end.
        let part = ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        first + (part * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

/// Quantiles over time, both logarithmic: one line for each histogram, by its (quantile, µs).
pub(super) fn spectrum(lines: Vec<Series>) -> Option<[String; 2]> {
    let place = |(quantile, us): &(f64, f64)| (tail(*quantile), Unit::Time.place(*us));
    let lines: Vec<_> = lines
        .into_iter()
        .map(|line| Series { points: line.points.iter().map(place).collect(), ..line })
        .collect();
    let most = lines.iter().flat_map(|line| &line.points).map(|point| point.0).reduce(f64::max)?;
    let ticks = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999].map(tail);
    let to = most.max(tail(0.9));
    let x = Axis { from: 0.0, to, ticks: ticks.into_iter().filter(|t| *t <= to + 1e-9).collect() };
    let say = |x: f64| {
        let percent = 100.0 - 100.0 / 10_f64.powf(x);
        format!("{} %", (percent * 1e4).round() / 1e4)
    };
    plot(&lines, &[], &x, Unit::Time, &say)
}

/// How far out in the tail: 0 for none, 1 for 90 %, 2 for 99 %.
fn tail(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-9).log10()
}

/// Values over seconds, over the phases' bands.
pub(super) fn over_time(lines: Vec<Series>, bands: &[Band], unit: Unit) -> Option<[String; 2]> {
    let lines: Vec<_> = lines
        .into_iter()
        .map(|line| {
            let points = thin(&line.points).into_iter().map(|(x, y)| (x, unit.place(y)));
            Series { points: points.collect(), ..line }
        })
        .collect();
    let last = lines.iter().flat_map(|line| &line.points).map(|point| point.0).reduce(f64::max)?;
    let mut x = Axis::from_zero(last.max(1.0), 6.0);
    x.to = last.max(1.0);
    x.ticks.retain(|tick| *tick <= x.to);
    plot(&lines, bands, &x, unit, &|second| format!("{second:.0} s"))
}

/// The worst of every few points, so that no peak is lost.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let chunk = points.len().div_ceil(POINTS_MAX).max(1);
    let chunks = points.chunks(chunk);
    chunks.filter_map(|few| few.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))).collect()
}

fn plot(
    lines: &[Series],
    bands: &[Band],
    x: &Axis,
    unit: Unit,
    say_x: &dyn Fn(f64) -> String,
) -> Option<[String; 2]> {
    let values = || lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    let (least, most) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    let y = match unit {
        Unit::Time => Axis::powers(least, most),
        Unit::Share => {
            Axis { from: 0.0, to: most.max(1.0), ticks: vec![0.0, 0.25, 0.5, 0.75, 1.0] }
        }
        Unit::Count | Unit::Rate => Axis::from_zero(most.max(1.0), 4.0),
    };
    let drawing = Drawing { lines, bands, x, y: &y, unit, say_x };
    let wide = drawing.draw(WIDE)?;
    Some([wide, drawing.draw(NARROW)?])
}

struct Drawing<'a> {
    lines: &'a [Series],
    bands: &'a [Band],
    x: &'a Axis,
    y: &'a Axis,
    unit: Unit,
    say_x: &'a dyn Fn(f64) -> String,
}

impl Drawing<'_> {
    /// None where the library has no room, which the sizes rule out.
    fn draw(&self, size: (u32, u32)) -> Option<String> {
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            let (x, y) = (self.x, self.y);
            let mut chart = ChartBuilder::on(&root)
                .margin_top(20)
                .margin_right(16)
                .x_label_area_size(26)
                .y_label_area_size(if self.unit == Unit::Rate { 80 } else { 58 })
                .build_cartesian_2d(Axis { ticks: self.ticks(size.0), ..x.clone() }, y.clone())
                .ok()?;
            // Every other phase has a band behind it.
            let shades = self.bands.iter().skip(1).step_by(2).map(|band| {
                let corners = [(band.from, y.from), (band.to.min(x.to), y.to)];
                Rectangle::new(corners, Role::Band.rgb().filled())
            });
            chart.draw_series(shades).ok()?;
            chart
                .configure_mesh()
                .disable_x_mesh()
                .max_light_lines(0)
                .bold_line_style(Role::Grid.rgb())
                .axis_style(Role::Grid.rgb())
                .label_style(label())
                .x_label_formatter(&|value: &f64| (self.say_x)(*value))
                .y_label_formatter(&|value: &f64| self.unit.say(*value))
                .draw()
                .ok()?;
            for line in self.lines {
                let style = line.role.rgb().stroke_width(line.width());
                chart.draw_series(LineSeries::new(line.points.iter().copied(), style)).ok()?;
                // A single point is no line: a dash.
                if let [(at, value)] = line.points[..] {
                    let dash = vec![(at, value), (at + (x.to - x.from) / 50.0, value)];
                    chart.draw_series([PathElement::new(dash, style)]).ok()?;
                }
            }
            let letters = f64::from(size.0) / (x.to - x.from) / LETTER;
            for band in self.bands {
                if (band.to.min(x.to) - band.from) * letters > band.name.len() as f64 + 2.0 {
                    let (left, top) = chart.backend_coord(&(band.from, y.to));
                    root.draw_text(&band.name, &label(), (left + 2, top - 16)).ok()?;
                }
            }
            root.present().ok()?;
        }
        Some(svg)
    }

    /// Every second of the x axis's labels where all have no room.
    fn ticks(&self, width: u32) -> Vec<f64> {
        let all = &self.x.ticks;
        let letters: usize = all.iter().map(|tick| (self.say_x)(*tick).len() + 2).sum();
        let fits = letters as f64 * LETTER <= f64::from(width) - 80.0;
        all.iter().copied().step_by(if fits { 1 } else { 2 }).collect()
    }
}

fn label() -> TextStyle<'static> {
    ("sans-serif", FONT).into_font().color(&Role::Ink.rgb())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: Vec<(f64, f64)>) -> Vec<Series> {
        vec![Series { name: "line", role: Role::Service, points }]
    }

    #[test]
    fn axes_have_round_labels_that_hold_all() {
        let axis = Axis::from_zero(1370.0, 4.0);
        assert_eq!((axis.to, axis.ticks), (1500.0, vec![0.0, 500.0, 1000.0, 1500.0]));
        let axis = Axis::powers(2.3, 4.1);
        assert_eq!((axis.from, axis.to, axis.ticks), (2.0, 5.0, vec![2.0, 3.0, 4.0, 5.0]));
        assert_eq!(Unit::Time.say(4.0), "10 ms");
        assert_eq!(Unit::Rate.say(2e9), "2 Gbit/s");
        assert_eq!(Unit::Rate.say(2.5e9), "2.50 Gbit/s");
    }

    #[test]
    fn odd_data_is_drawn_or_left_out_and_never_a_panic() {
        for points in [vec![(0.0, 0.0)], vec![(0.0, 5.0), (0.5, 5.0)], vec![(3e9, 1e300)]] {
            for unit in [Unit::Count, Unit::Rate, Unit::Share, Unit::Time] {
                let svg = over_time(line(points.clone()), &[], unit).expect("there are points");
                assert!(svg.iter().all(|svg| svg.contains("<svg")));
            }
        }
        assert!(over_time(line(Vec::new()), &[], Unit::Count).is_none());
        assert!(spectrum(line(vec![(0.5, 1e3), (1.0, 1e6)])).is_some());
        assert!(spectrum(Vec::new()).is_none());
    }

    #[test]
    fn a_long_run_keeps_its_peaks() {
        let points: Vec<_> = (0..90_000).map(|x| (f64::from(x), 1.0)).collect();
        let mut peaked = points.clone();
        peaked[77_777].1 = 9.0;
        let thinned = thin(&peaked);
        assert!(thinned.len() <= POINTS_MAX && thinned.contains(&(77_777.0, 9.0)));
        assert_eq!(thin(&points[..3]), points[..3]);
    }
}
