//! Reading objectives, with errors that say where and what would be right.

use std::fmt;
use std::str::FromStr;

use segcast_config::amount;

use super::{CLASSES, Metric, Op, SHARES, Slo, Unit};
use crate::result::{Basis, Quantity, Series, class_name};

/// What is wrong with an objective.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SloError {
    pub(super) text: String,
    /// From 1, in characters.
    pub(super) column: usize,
    pub(super) problem: String,
}

impl fmt::Display for SloError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "objective {:?}, column {}: {}", self.text, self.column, self.problem)
    }
}

impl std::error::Error for SloError {}

/// What went wrong at which byte.
type Wrong = (usize, String);

impl FromStr for Slo {
    type Err = SloError;

    fn from_str(text: &str) -> Result<Self, SloError> {
        read(text).map_err(|(at, problem)| SloError {
            text: text.to_owned(),
            column: text.get(..at).map_or(1, |before| before.chars().count() + 1),
            problem,
        })
    }
}

fn read(text: &str) -> Result<Slo, Wrong> {
    let Some(op_at) = text.find(['<', '>', '=', '!']) else {
        let problem = "no comparison: write for example ttfb.p99<=20ms or goodput>=2Gbit/s";
        return Err((text.len(), problem.into()));
    };
    let (left, right) = text.split_at(op_at);
    let (op, length) = operator(right).map_err(|problem| (op_at, problem))?;
    let (phase, name_at) = match left.find(':') {
        Some(at) if left[..at].trim().is_empty() => {
            return Err((0, "an empty phase: write for example steady:ttfb.p99<=20ms".into()));
        }
        Some(at) => (Some(left[..at].trim().to_owned()), at + 1),
        None => (None, 0),
    };
    let metric = metric(&left[name_at..], name_at)?;
    let value_at = op_at + length;
    let bound = value(&text[value_at..], metric.unit()).map_err(|problem| (value_at, problem))?;
    Ok(Slo { text: text.trim().to_owned(), phase, metric, op, bound })
}

fn operator(text: &str) -> Result<(Op, usize), String> {
    let all = [("<=", Op::AtMost), (">=", Op::AtLeast), ("<", Op::Below), (">", Op::Above)];
    let (sign, op) = all
        .into_iter()
        .find(|(sign, _)| text.starts_with(sign))
        .ok_or_else(|| "not a comparison: write <=, <, >= or >".to_owned())?;
    if text[sign.len()..].starts_with(['<', '>', '=']) {
        return Err("not a comparison: write <=, <, >= or >".to_owned());
    }
    Ok((op, sign.len()))
}

/// A part of a dotted name and the byte at which it stands.
type Part<'a> = (usize, &'a str);

fn metric(name: &str, at: usize) -> Result<Metric, Wrong> {
    let mut from = at;
    // Only the first dots divide: the last part may be p99.9.
    let parts: Vec<Part<'_>> = name
        .split('.')
        .map(|part| {
            let start = from + (part.len() - part.trim_start().len());
            from += part.len() + 1;
            (start, part.trim())
        })
        .collect();
    let (first_at, first) = parts[0];
    if let Some((_, share)) = SHARES.iter().find(|(name, _)| *name == first) {
        return alone(&parts, Metric::Share(*share));
    }
    match first {
        "rebuffer" => alone(&parts, Metric::Rebuffer),
        "start_failures" => alone(&parts, Metric::StartFailures),
        "stalls" => alone(&parts, Metric::Stalls),
        "goodput" => alone(&parts, Metric::Goodput),
        "" => Err((first_at, format!("no metric before the comparison: {}", known()))),
        _ => times(&parts),
    }
}

fn known() -> String {
    let times: Vec<_> = Quantity::ALL.iter().copied().map(Quantity::name).collect();
    let shares: Vec<_> = SHARES.iter().map(|(name, _)| *name).collect();
    format!(
        "there are {} (times), {}, rebuffer, start_failures, stalls, goodput",
        times.join(", "),
        shares.join(", ")
    )
}

fn alone(parts: &[Part<'_>], metric: Metric) -> Result<Metric, Wrong> {
    match parts.get(1) {
        Some((at, part)) => {
            Err((*at, format!("{:?} has no parts such as {part:?}: write it alone", parts[0].1)))
        }
        None => Ok(metric),
    }
}

fn times(parts: &[Part<'_>]) -> Result<Metric, Wrong> {
    let mut rest = parts.iter().copied().peekable();
    let class = rest
        .peek()
        .and_then(|(_, part)| CLASSES.into_iter().find(|class| class_name(*class) == *part));
    let (class_at, class_text) = parts[0];
    if class.is_some() {
        rest.next();
    }
    let (at, part) = rest.next().unwrap_or((class_at, ""));
    let quantity = Quantity::ALL.iter().copied().find(|quantity| quantity.name() == part);
    let Some(quantity) = quantity else {
        let what = if class.is_some() { "ttfb, ttlb or lag come after a class" } else { &known() };
        return Err((at, format!("no metric {part:?}: {what}")));
    };
    if class.is_some() && !quantity.has_class() {
        let name = quantity.name();
        return Err((class_at, format!("{name} has no class: write it without {class_text:?}")));
    }
    let basis = rest
        .peek()
        .and_then(|(_, part)| Basis::ALL.iter().copied().find(|basis| basis.name() == *part));
    if let (Some(basis), Some((at, _))) = (basis, rest.peek().copied()) {
        if !quantity.has_basis() {
            let problem = format!("{} has no {}: leave it out", quantity.name(), basis.name());
            return Err((at, problem));
        }
        rest.next();
    }
    let basis = quantity.has_basis().then(|| basis.unwrap_or(Basis::Response));
    let series = Series { class, quantity, basis };
    let rest: Vec<_> = rest.collect();
    level(series, &rest, at + part.len())
}

/// `p99.9` (which the dots have torn apart) or `max`.
fn level(series: Series, parts: &[Part<'_>], end: usize) -> Result<Metric, Wrong> {
    let Some(&(at, first)) = parts.first() else {
        let name = series.quantity.name();
        return Err((end, format!("which percentile? write for example {name}.p99 or {name}.max")));
    };
    if first == "max" && parts.len() == 1 {
        return Ok(Metric::Longest(series));
    }
    let text = parts.iter().map(|(_, part)| *part).collect::<Vec<_>>().join(".");
    let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = text.strip_prefix('p').filter(|digits| plain(digits));
    let percent: Option<f64> = number.and_then(|digits| digits.parse().ok());
    match percent {
        Some(p) if p > 0.0 && p < 100.0 => Ok(Metric::Percentile(series, p)),
        Some(p) => {
            Err((at, format!("p{p}: a percentile is above 0 and below 100; the longest is max")))
        }
        None => Err((
            at,
            format!(
                "{text:?} is no basis (service, response), no percentile (p50, p99.9) and not max"
            ),
        )),
    }
}

/// The bound in the unit of its metric; see [`Slo`].
fn value(text: &str, unit: Unit) -> Result<f64, String> {
    let bound = match unit {
        Unit::Time => amount::read_duration(text).map(|time| time.as_nanos() as f64 / 1e3),
        Unit::Rate => amount::read_bit_rate(text).map(|bits| bits as f64),
        Unit::Share | Unit::Count => return number(text.trim(), unit),
    };
    bound.map_err(|problem| problem.to_string())
}

/// A share or a count: figures that measure nothing.
fn number(text: &str, unit: Unit) -> Result<f64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let suffix = suffix.trim();
    let is_share = unit == Unit::Share;
    let example = if is_share { "a share such as 0.1%" } else { "a count such as 3" };
    let bad = || format!("{text:?} is not {example}");
    let number: f64 = number.parse().map_err(|_| bad())?;
    match suffix {
        "%" if is_share && number <= 100.0 => Ok(number * 0.01),
        // Nothing needs no unit.
        "" if is_share && number == 0.0 => Ok(number),
        "" if !is_share && number.fract() == 0.0 => Ok(number),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::Class;

    fn parse(text: &str) -> Slo {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn every_form_of_the_grammar_is_read() {
        let series = |class, quantity, basis| Series { class, quantity, basis };
        let response = Some(Basis::Response);
        let slo = parse("ttfb.p99<=20ms");
        let both = series(None, Quantity::Ttfb, response);
        assert_eq!(slo.metric, Metric::Percentile(both, 99.0));
        assert_eq!((slo.op, slo.bound, slo.phase), (Op::AtMost, 20_000.0, None));
        let slo = parse(" steady : start.ttlb.service.p99.9 < 1.5 s ");
        let wanted = series(Some(Class::Start), Quantity::Ttlb, Some(Basis::Service));
        assert_eq!(slo.metric, Metric::Percentile(wanted, 99.9));
        assert_eq!((slo.op, slo.bound), (Op::Below, 1_500_000.0));
        assert_eq!(slo.phase.as_deref(), Some("steady"));
        let open = series(None, Quantity::Open, response);
        assert_eq!(parse("open.max<=800us").metric, Metric::Longest(open));
        let lag = series(Some(Class::Next), Quantity::Lag, None);
        assert_eq!(parse("next.lag.p50<=1ms").metric, Metric::Percentile(lag, 50.0));
        let startup = series(None, Quantity::Startup, None);
        assert_eq!(parse("startup.p90<1s").metric, Metric::Percentile(startup, 90.0));
        for (name, share) in SHARES {
            let slo = parse(&format!("{name}<=0.1%"));
            assert_eq!((slo.metric, slo.bound), (Metric::Share(share), 0.1 * 0.01));
        }
        assert_eq!(parse("rebuffer<=0.5%").metric, Metric::Rebuffer);
        assert_eq!(parse("start_failures<=0").bound, 0.0);
        assert_eq!(parse("stalls<=3").bound, 3.0);
        let goodput = parse("goodput>=2Gbit/s");
        assert_eq!((goodput.op, goodput.bound), (Op::AtLeast, 2e9));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_what_would_be_right() {
        let wrong = |text: &str, column: usize, part: &str| {
            let error = text.parse::<Slo>().expect_err(text);
            assert_eq!(error.column, column, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        };
        wrong("ttfb.p99", 9, "no comparison");
        wrong("ttfb.p99=20ms", 9, "<=, <, >= or >");
        wrong("ttfb.p99<==20ms", 9, "<=, <, >= or >");
        wrong("tfb.p99<=20ms", 1, "no metric \"tfb\": there are ttfb");
        wrong("start.open.p99<=20ms", 1, "open has no class");
        wrong("start.tfb.p99<=20ms", 7, "ttfb, ttlb or lag");
        wrong("startup.service.p99<=2s", 9, "startup has no service");
        wrong("ttfb<=20ms", 5, "write for example ttfb.p99 or ttfb.max");
        wrong("ttfb.p100<=20ms", 6, "the longest is max");
        wrong("ttfb.p<=20ms", 6, "\"p\" is no basis");
        wrong("ttfb.pinf<=20ms", 6, "\"pinf\" is no basis");
        wrong("ttfb.mean<=20ms", 6, "\"mean\" is no basis");
        wrong("ttfb.p99<=20", 11, "such as \"20 s\"");
        wrong("loss<=0.1", 7, "a share such as 0.1%");
        wrong("loss<=101%", 7, "a share such as 0.1%");
        wrong("loss.p99<=1%", 6, "write it alone");
        wrong("stalls<=1.5", 9, "a count such as 3");
        wrong("goodput>=2Gb/s", 10, "such as \"2 Gbit/s\"");
        wrong("<=20ms", 1, "no metric before");
        wrong(":ttfb.p99<=20ms", 1, "an empty phase");
    }

    #[test]
    fn a_phase_must_be_one_of_the_plan() {
        let slo = parse("stedy:loss<=1%");
        let error = slo.check_phase(["ramp", "steady"].into_iter()).unwrap_err().to_string();
        assert!(error.contains("no phase \"stedy\": it has ramp, steady"), "{error}");
        assert_eq!(parse("steady:loss<=1%").check_phase(["steady"].into_iter()), Ok(()));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,24}", name in "[a-zµ.:<>=%0-9 ]{0,24}") {
            drop(text.parse::<Slo>());
            drop(name.parse::<Slo>());
        }
    }
}
