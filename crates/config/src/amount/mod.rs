//! Amounts: durations, sizes and bit rates, in one grammar for files, flags, objectives and results.
//!
//! ```text
//! duration   90s   250ms   1.5 s   1h30m   7d     units ns us ms s min h d; `m` is `min`, `µs` is `us`
//! size       8952 B   64KiB   1.5 MiB             units B KiB MiB GiB TiB
//! bit rate   5Mbit/s   2.5 Gbit/s                 units bit/s kbit/s Mbit/s Gbit/s Tbit/s
//! ```
//!
//! A number is digits with at most one point; a space may stand before its unit. Units keep their case. A
//! bare number is no amount, but for `0`, which is the same in every unit. What is read must be whole: in
//! nanoseconds, bytes, bits per second. A unit that could mean two things (`MB`, `M`, `Mbps`) is refused with
//! the one that was probably meant: a wrong factor of eight in a rate is found at the start, not in
//! production. `m` is taken for minutes, since nothing else that it could be is a unit of time here.

mod hints;
/// Amounts for people: three digits, not to be read back.
pub mod rounded;
mod show;

use core::fmt;
use std::time::Duration;

pub use show::{show_bit_rate, show_duration, show_size};

/// What is wrong with a value, and what would be right: the end of an error message.
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

impl std::error::Error for Problem {}

/// What an amount measures.
#[derive(Debug)]
struct Kind {
    /// With its article.
    name: &'static str,
    example: &'static str,
    /// Names and factors, ascending; the first is what is counted.
    units: &'static [(&'static str, u64)],
    /// Other spellings that mean the same.
    aliases: &'static [(&'static str, &'static str)],
    hints: &'static [hints::Hint],
}

const DURATION: Kind = Kind {
    name: "a duration",
    example: "90s",
    units: &[
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("min", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
    ],
    // Both letters for micro that Unicode has.
    aliases: &[("m", "min"), ("\u{b5}s", "us"), ("\u{3bc}s", "us")],
    hints: hints::DURATION,
};

const SIZE: Kind = Kind {
    name: "a size",
    example: "64 KiB",
    units: &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)],
    aliases: &[],
    hints: hints::SIZE,
};

const BIT_RATE: Kind = Kind {
    name: "a bit rate",
    example: "10 Gbit/s",
    units: &[
        ("bit/s", 1),
        ("kbit/s", 1_000),
        ("Mbit/s", 1_000_000),
        ("Gbit/s", 1_000_000_000),
        ("Tbit/s", 1_000_000_000_000),
    ],
    aliases: &[],
    hints: hints::BIT_RATE,
};

/// Reads a duration: `250ms`, `90s`, `5 min`, `1h30m`. Several parts go from the largest unit to the smallest.
///
/// # Errors
/// [`Problem`] when a number or a unit is missing or unknown, or the whole is no number of nanoseconds
/// below 2^64 (584 years).
pub fn read_duration(text: &str) -> Result<Duration, Problem> {
    if is_nothing(text) {
        return Ok(Duration::ZERO);
    }
    let mut total = 0_u64;
    let mut before = u64::MAX;
    let mut rest = text.trim();
    loop {
        let (part, after) = split_part(rest);
        let (value, factor) = DURATION.read_part(part)?;
        if factor >= before {
            let why = "its parts go from the largest unit to the smallest, each once";
            return Err(Problem(format!("a duration such as \"1h30m\": {why}")));
        }
        total = total.checked_add(value).ok_or_else(|| DURATION.not_whole(text))?;
        if after.is_empty() {
            return Ok(Duration::from_nanos(total));
        }
        (before, rest) = (factor, after);
    }
}

/// Reads a size in bytes: `8952 B`, `64 KiB`, `1.5 MiB`.
///
/// # Errors
/// [`Problem`] when the number or the unit is missing or unknown, or the whole is no number of bytes below
/// 2^64.
pub fn read_size(text: &str) -> Result<u64, Problem> {
    SIZE.read(text)
}

/// Reads a rate in bits per second: `800 kbit/s`, `10 Gbit/s`.
///
/// # Errors
/// As [`read_size`].
pub fn read_bit_rate(text: &str) -> Result<u64, Problem> {
    BIT_RATE.read(text)
}

/// The first number with its unit, and what follows.
fn split_part(text: &str) -> (&str, &str) {
    let unit = text.find(|c: char| !is_of_number(c)).unwrap_or(text.len());
    let next = text[unit..].find(is_of_number).map_or(text.len(), |length| unit + length);
    let (part, rest) = text.split_at(next);
    (part.trim_end(), rest)
}

/// `0`, which is the same in every unit.
fn is_nothing(text: &str) -> bool {
    text.trim() == "0"
}

fn is_of_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

impl Kind {
    fn read(&self, text: &str) -> Result<u64, Problem> {
        if is_nothing(text) {
            return Ok(0);
        }
        self.read_part(text.trim()).map(|(value, _)| value)
    }

    /// The amount of `part`, one number and its unit, and the unit's factor.
    fn read_part(&self, part: &str) -> Result<(u64, u64), Problem> {
        let digits = part.find(|c: char| !is_of_number(c)).unwrap_or(part.len());
        let (number, unit) = part.split_at(digits);
        let unit = unit.trim_start();
        if number.is_empty() {
            let Self { name, example, .. } = self;
            return Err(Problem(format!("{name} is a number and a unit, such as \"{example}\"")));
        }
        let factor = self.factor(unit).ok_or_else(|| self.wrong_unit(number, unit))?;
        let value = scaled(number, factor).ok_or_else(|| self.not_whole(part))?;
        Ok((value, factor))
    }

    fn factor(&self, unit: &str) -> Option<u64> {
        let alias = self.aliases.iter().find(|(alias, _)| *alias == unit);
        let name = alias.map_or(unit, |(_, name)| name);
        self.units.iter().find(|(known, _)| *known == name).map(|(_, factor)| *factor)
    }

    fn wrong_unit(&self, number: &str, unit: &str) -> Problem {
        let known: Vec<_> = self.units.iter().map(|(name, _)| *name).collect();
        let mut text = format!("{} needs one of the units {}", self.name, known.join(", "));
        if let Some((right, times)) = hints::find(self.hints, unit)
            && let Some(value) = suggested(number, times)
        {
            text += &format!(", such as \"{value} {right}\"");
        }
        Problem(text)
    }

    fn not_whole(&self, text: &str) -> Problem {
        let least = self.units.first().map_or("", |(name, _)| name);
        Problem(format!("\"{text}\" is no whole number of {least}, or too large a one"))
    }
}

/// The number to suggest: as it was written where the unit is another word for the same.
fn suggested(number: &str, times: u64) -> Option<String> {
    match times {
        1 => number.parse::<f64>().ok().map(|_| number.to_owned()),
        _ => scaled(number, times).map(|value| value.to_string()),
    }
}

/// `number` × `factor`, exactly; `None` when it does not fit or has a rest.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let denominator = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole: u64 = whole.parse().ok()?;
    let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    // Two factors of 64 bits fit into 128; a third may not.
    let digits = u128::from(whole) * u128::from(denominator) + u128::from(fraction);
    let total = digits.checked_mul(u128::from(factor))?;
    let is_whole = total.is_multiple_of(denominator.into());
    is_whole.then(|| u64::try_from(total / u128::from(denominator)).ok()).flatten()
}

#[cfg(test)]
mod tests;
