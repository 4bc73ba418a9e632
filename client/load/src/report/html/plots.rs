//! The plots of a result.

use maud::{Markup, PreEscaped, html};

use super::color::Role;
use super::plot::{Band, Series as Line, Unit, over_time, spectrum};
use crate::record::Class;
use crate::result::{Basis, Figures, LoadResult, Quantity, Second, Series, class_name};

/// A plot with its title and the meaning of its lines; nothing when there is nothing to draw.
fn figure(title: &str, keys: &[(Role, &str)], drawn: Option<[String; 2]>) -> Markup {
    html! {
        @if let Some([wide, narrow]) = drawn {
            figure role="img" aria-label=(title) {
                h3 { (title) }
                div.key { @for (role, name) in keys { span { i style=(role.css()) {} (name) } } }
                div.wide { (PreEscaped(wide)) }
                div.narrow { (PreEscaped(narrow)) }
            }
        }
    }
}

fn keys(lines: &[Line]) -> Vec<(Role, &'static str)> {
    lines.iter().map(|line| (line.role, line.name)).collect()
}

/// Percentile spectra of each class and quantity: service, response and send lag in one.
pub(super) fn spectra(figures: &Figures) -> Markup {
    let all = |series: Series, name, role| {
        let points = figures.all.latency(series).map(|latency| {
            latency.spectrum.iter().map(|point| (point.quantile, point.us as f64)).collect()
        });
        Line { name, role, points: points.unwrap_or_default() }
    };
    let classes = [Class::Start, Class::Next];
    let plots = [Quantity::Ttfb, Quantity::Ttlb].into_iter().flat_map(|q| classes.map(|c| (q, c)));
    let drawn = plots.filter_map(|(quantity, class)| {
        let of = |quantity, basis| Series { class: Some(class), quantity, basis };
        let mut lines = vec![
            all(of(Quantity::Lag, None), "send lag", Role::Lag),
            all(
                of(quantity, Some(Basis::Response)),
                "response, from the intention",
                Role::Response,
            ),
            all(of(quantity, Some(Basis::Service)), "service, from the sending", Role::Service),
        ];
        lines.retain(|line| !line.points.is_empty());
        let byte = if quantity == Quantity::Ttfb { "first byte" } else { "last byte" };
        let of_class = match class {
            Class::Start => "first segment of a viewing",
            Class::Next => "any other segment",
        };
        let title =
            format!("To the {byte}, {of_class} ({}.{})", class_name(class), quantity.name());
        let keys = keys(&lines);
        (lines.len() > 1).then(|| figure(&title, &keys, spectrum(lines)))
    });
    let drawn: Vec<_> = drawn.collect();
    html! {
        @if drawn.is_empty() { p.soft { "Too few samples for a distribution." } }
        div.plots { @for plot in drawn { (plot) } }
    }
}

/// What happened when.
pub(super) fn seconds(result: &LoadResult) -> Markup {
    let figures = result.figures.whatever_they_are_worth();
    let bands = bands(figures);
    let of = |seconds: &[Second], name, role, value: &dyn Fn(&Second) -> Option<f64>| {
        let points = seconds
            .iter()
            .filter_map(|second| value(second).map(|value| (f64::from(second.second), value)));
        Line { name, role, points: points.collect() }
    };
    let line = |name, role, value: &dyn Fn(&Second) -> Option<f64>| {
        of(&figures.seconds, name, role, value)
    };
    let rate = |name, role, value: &dyn Fn(&Second) -> u64| {
        let whole = whole(&figures.seconds, result.generator.measured_s);
        of(whole, name, role, &|second| Some(value(second) as f64))
    };
    let rates = vec![
        rate("intended", Role::Intended, &|s| s.intended),
        rate("complete", Role::Complete, &|s| s.complete),
        rate("late", Role::Late, &|s| s.late),
        rate("refused, failed, lost", Role::Refused, &|s| {
            s.refused.saturating_add(s.failed).saturating_add(s.lost)
        }),
    ];
    let goodput = vec![rate("goodput", Role::Complete, &|s| s.data_bytes.saturating_mul(8))];
    let times = vec![
        line("longest", Role::Lost, &|s| s.ttlb_max_us.map(|us| us as f64)),
        line("p99", Role::Response, &|s| s.ttlb_p99_us.map(|us| us as f64)),
        line("median", Role::Service, &|s| s.ttlb_p50_us.map(|us| us as f64)),
        line("longest send lag", Role::Lag, &|s| s.lag_max_us.map(|us| us as f64)),
    ];
    let busy = vec![line("busiest thread of the generator", Role::Service, &|s| s.busiest_thread)];
    let plots = [
        ("Segments per second", rates, Unit::Count),
        ("Goodput: new bytes of segments", goodput, Unit::Rate),
        ("To the last byte, from the intention", times, Unit::Time),
        ("CPU of the generator", busy, Unit::Share),
    ];
    html! {
        div.plots {
            @for (title, mut lines, unit) in plots {
                ({ lines.retain(|line| !line.points.is_empty());
                   figure(title, &keys(&lines), over_time(lines, &bands, unit)) })
            }
        }
    }
}

/// Without the last one of which the run had only a part: what happened in a part is no rate, and would be drawn as a fall.
fn whole(seconds: &[Second], measured_s: f64) -> &[Second] {
    let whole = |second: &Second| f64::from(second.second) + 1.0 <= measured_s;
    &seconds[..seconds.partition_point(whole)]
}

/// Where phases began and ended, by the seconds that were told.
fn bands(figures: &Figures) -> Vec<Band> {
    let names = figures.phases.iter().map(|phase| phase.name.clone());
    let bands = names.enumerate().filter_map(|(number, name)| {
        let mut of_phase = figures.seconds.iter().filter(|second| second.phase == number);
        let first = of_phase.next()?;
        let next = figures.seconds.iter().find(|second| second.phase > number);
        let last = next.or(figures.seconds.last()).unwrap_or(first);
        Some(Band { name, from: f64::from(first.second), to: f64::from(last.second) })
    });
    bands.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    /// The example run has 27 whole seconds, and a part of one in which its last segments come.
    #[test]
    fn the_last_part_of_a_second_is_no_fall_of_the_rate() {
        let result = example::good();
        assert_eq!(result.figures.whatever_they_are_worth().seconds.len(), 28);
        let page = seconds(&result).into_string();
        let figure = page.split("<figure").find(|part| part.contains("Goodput")).expect("a plot");
        let line = figure.split("<polyline").last().expect("a line");
        let points = line.split("points=\"").nth(1).and_then(|rest| rest.split('"').next());
        let heights: Vec<i32> = points
            .expect("points")
            .split_whitespace()
            .map(|point| point.split(',').nth(1).expect("two").parse().expect("a number"))
            .collect();
        let (last, before) = heights.split_last().expect("points");
        // Pixels count from above. The ramp's first second is the lowest.
        assert!(before.iter().max() > Some(last), "{heights:?}");
    }
}
