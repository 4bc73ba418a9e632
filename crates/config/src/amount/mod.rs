//! Amounts with explicit units: durations, sizes, rates.
//!
//! A bare number never means an amount, and a unit that could mean two things is refused with the one that
//! was probably meant: a wrong factor of eight in a rate is found at start, not in production.

use core::fmt;
use std::time::Duration;

/// What is wrong with a value, and what would be right: the end of an operator's error message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(pub String);

impl Problem {
    /// From anything that prints.
    pub fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Units of time, in nanoseconds.
const TIMES: &[(&str, u64)] =
    &[("ms", 1_000_000), ("s", 1_000_000_000), ("min", 60_000_000_000), ("h", 3_600_000_000_000)];
/// Units of size, in bytes.
const SIZES: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
/// Units of rate, in bits per second.
const RATES: &[(&str, u64)] =
    &[("kbit/s", 1_000), ("Mbit/s", 1_000_000), ("Gbit/s", 1_000_000_000)];

/// A unit that people write, and what to suggest for it (the factor is applied to the number).
const TIME_HINTS: &[(&str, &str, u64)] = &[
    ("", "s", 1),
    ("sec", "s", 1),
    ("secs", "s", 1),
    ("seconds", "s", 1),
    ("m", "min", 1),
    ("minutes", "min", 1),
    ("msec", "ms", 1),
    ("hours", "h", 1),
];
const SIZE_HINTS: &[(&str, &str, u64)] = &[
    ("", "B", 1),
    ("b", "B", 1),
    ("k", "KiB", 1),
    ("kb", "KiB", 1),
    ("kib", "KiB", 1),
    ("m", "MiB", 1),
    ("mb", "MiB", 1),
    ("mib", "MiB", 1),
    ("g", "GiB", 1),
    ("gb", "GiB", 1),
    ("gib", "GiB", 1),
];
const RATE_HINTS: &[(&str, &str, u64)] = &[
    ("", "Mbit/s", 1),
    ("kbps", "kbit/s", 1),
    ("kb/s", "kbit/s", 1),
    ("kbit", "kbit/s", 1),
    ("mbps", "Mbit/s", 1),
    ("mb/s", "Mbit/s", 1),
    ("mbit", "Mbit/s", 1),
    ("mbit/s", "Mbit/s", 1),
    ("gbps", "Gbit/s", 1),
    ("gb/s", "Gbit/s", 1),
    ("gbit", "Gbit/s", 1),
    ("gbit/s", "Gbit/s", 1),
];
/// Hints for rates in bytes, compared with their case: "GB/s" is eight times "Gb/s".
const BYTE_RATE_HINTS: &[(&str, &str, u64)] =
    &[("kB/s", "kbit/s", 8), ("KB/s", "kbit/s", 8), ("MB/s", "Mbit/s", 8), ("GB/s", "Gbit/s", 8)];

/// Reads a duration: `"180s"`, `"250ms"`, `"5 min"`, `"1h"`.
///
/// # Errors
/// [`Problem`] when the number or the unit is missing or unknown.
pub fn duration(text: &str) -> Result<Duration, Problem> {
    amount(text, "a duration", "180s", TIMES, &[TIME_HINTS]).map(Duration::from_nanos)
}

/// Reads a size in bytes: `"8952 B"`, `"64 KiB"`, `"1 GiB"`.
///
/// # Errors
/// As [`duration`].
pub fn size(text: &str) -> Result<u64, Problem> {
    amount(text, "a size", "64 KiB", SIZES, &[SIZE_HINTS])
}

/// Reads a rate in bits per second: `"10 Gbit/s"`.
///
/// # Errors
/// As [`duration`].
pub fn rate(text: &str) -> Result<u64, Problem> {
    amount(text, "a rate", "10 Gbit/s", RATES, &[BYTE_RATE_HINTS, RATE_HINTS])
}

/// A duration in its largest whole unit, as a configuration takes it.
#[must_use]
pub fn show_duration(value: Duration) -> String {
    show(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX), TIMES, "")
}

/// A size in its largest whole unit.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    show(bytes, SIZES, " ")
}

/// A rate in its largest whole unit.
#[must_use]
pub fn show_rate(bits: u64) -> String {
    show(bits, RATES, " ")
}

fn show(value: u64, units: &[(&str, u64)], space: &str) -> String {
    let exact = units.iter().rev().find(|(_, factor)| value != 0 && value.is_multiple_of(*factor));
    let (name, factor) = exact.or(units.first()).copied().unwrap_or(("", 1));
    format!("{}{space}{name}", value / factor)
}

fn amount(
    text: &str,
    what: &str,
    example: &str,
    units: &[(&str, u64)],
    hints: &[&[(&'static str, &'static str, u64)]],
) -> Result<u64, Problem> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let known = || units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    if number.is_empty() {
        return Err(Problem(format!("{what} is a number and a unit, such as \"{example}\"")));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let mut text = format!("{what} needs one of the units {}", known());
        if let Some((right, times)) = hint(unit, hints)
            && let Some(value) = scaled(number, times)
        {
            text += &format!(", such as \"{value} {right}\"");
        }
        return Err(Problem(text));
    };
    scaled(number, *factor)
        .ok_or_else(|| Problem(format!("\"{number}\" {unit} is not a whole amount in range")))
}

/// The suggestion for a wrong unit; the first table is compared with its case when there are two.
fn hint(
    unit: &str,
    tables: &[&[(&'static str, &'static str, u64)]],
) -> Option<(&'static str, u64)> {
    let lower = unit.to_ascii_lowercase();
    let exact = tables.iter().flat_map(|t| t.iter()).find(|(name, ..)| *name == unit);
    let folded = || tables.iter().rev().flat_map(|t| t.iter()).find(|(name, ..)| *name == lower);
    exact.or_else(folded).map(|(_, right, times)| (*right, *times))
}

/// `number` × `factor`, exactly; `None` when it does not fit or has a rest.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let denominator = 10u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole: u64 = whole.parse().ok()?;
    let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let total = whole.checked_mul(denominator)?.checked_add(fraction)?.checked_mul(factor)?;
    total.is_multiple_of(denominator).then(|| total / denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_with_their_units_are_read() {
        assert_eq!(duration("180s"), Ok(Duration::from_secs(180)));
        assert_eq!(duration("1.5 s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("5 min"), Ok(Duration::from_secs(300)));
        assert_eq!(size("64 KiB"), Ok(65_536));
        assert_eq!(rate("2.5 Gbit/s"), Ok(2_500_000_000));
    }

    #[test]
    fn a_wrong_unit_is_answered_with_the_right_one() {
        let size = size("10MB").expect_err("decimal").to_string();
        assert!(size.contains("\"10 MiB\""), "{size}");
        let rate_bytes = rate("10 GB/s").expect_err("bytes").to_string();
        assert!(rate_bytes.contains("\"80 Gbit/s\""), "{rate_bytes}");
        let rate_bits = rate("10Gbps").expect_err("bps").to_string();
        assert!(rate_bits.contains("\"10 Gbit/s\""), "{rate_bits}");
        let bare = duration("180").expect_err("bare").to_string();
        assert!(bare.contains("\"180 s\""), "{bare}");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "s", "-1s", "1..5s", "99999999999999999999 h", "0.0000001ms", "1.0000000001 B"]
        {
            assert!(duration(text).is_err() && size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for seconds in [0, 1, 59, 60, 180, 3600, 5400] {
            let value = Duration::from_secs(seconds);
            assert_eq!(duration(&show_duration(value)), Ok(value));
        }
        assert_eq!(show_size(1 << 20), "1 MiB");
        assert_eq!(show_rate(2_500_000_000), "2500 Mbit/s");
    }
}
