//! Sizes, rates and times as people write and read them.

use segcast_load::report::words::micros;
pub(crate) use segcast_load::report::words::{bit_rate, bytes, three_digits};
use std::time::Duration;

/// Reads a size: `73728`, `64KiB`, `1.5 MiB`, `2GB`, `1m` (one letter: powers of 1024).
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is not a size: write for example 1MiB, 512KiB or 73728");
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "ki" | "kib" => 1 << 10,
        "m" | "mi" | "mib" => 1 << 20,
        "g" | "gi" | "gib" => 1 << 30,
        "t" | "ti" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(bad()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(scale).ok_or_else(bad);
    }
    let number: f64 = number.parse().map_err(|_| bad())?;
    let bytes = (number * scale as f64).round();
    if bytes.is_finite() && bytes < u64::MAX as f64 { Ok(bytes as u64) } else { Err(bad()) }
}

/// Reads a time: `90`, `90s`, `250ms`, `24h`, `1h30m`, `7d`. A bare number is seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a time: write for example 250ms, 90s, 1h30m or 7d");
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| bad());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, after) = tail.split_at(letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(bad()),
        };
        let number: f64 = number.parse().map_err(|_| bad())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| bad())?;
        total = total.checked_add(part).ok_or_else(bad)?;
        rest = after.trim_start();
    }
    if text.trim().is_empty() { Err(bad()) } else { Ok(total) }
}

/// Reads a bit rate: `5Mbit/s`, `500 kbit/s`, `1.5Gbit/s`, `64000bit/s`. Powers of ten; the unit must be there.
pub(crate) fn parse_bit_rate(text: &str) -> Result<u64, String> {
    let bad =
        || format!("{text:?} is not a bit rate: write for example 5Mbit/s, 800kbit/s or 1.5Gbit/s");
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let scale = match unit.trim().to_ascii_lowercase().as_str() {
        "bit/s" => 1.0,
        "kbit/s" => 1e3,
        "mbit/s" => 1e6,
        "gbit/s" => 1e9,
        _ => return Err(bad()),
    };
    let rate = (number.parse::<f64>().map_err(|_| bad())? * scale).round();
    if (1.0..1e15).contains(&rate) { Ok(rate as u64) } else { Err(bad()) }
}

/// `850 µs`, `12.4 ms`, `3.10 s`, `2 min 5 s`.
pub(crate) fn duration(time: Duration) -> String {
    match time.as_secs() {
        0..100 => micros(time.as_secs_f64() * 1e6),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// `1 set`, `2 sets`.
pub(crate) fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_written() {
        assert_eq!(parse_size("73728"), Ok(73_728));
        assert_eq!(parse_size("1MiB"), Ok(1 << 20));
        assert_eq!(parse_size("1.5 mib"), Ok(3 << 19));
        assert_eq!(parse_size("2GB"), Ok(2_000_000_000));
        assert_eq!(parse_size("18446744073709551615"), Ok(u64::MAX));
        for wrong in ["", "MiB", "1 furlong", "-1", "1e9", "99999999999TiB", "1.2.3k"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_read_as_written() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in ["", "h", "-5s", "5 parsecs", "1h30", "inf", "NaN", "99999999999999999999d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_are_read_as_written() {
        assert_eq!(parse_bit_rate("5Mbit/s"), Ok(5_000_000));
        assert_eq!(parse_bit_rate("1.5 gbit/s"), Ok(1_500_000_000));
        assert_eq!(parse_bit_rate("800kbit/s"), Ok(800_000));
        for wrong in ["", "5", "5M", "0bit/s", "-1Mbit/s", "Mbit/s", "1e9bit/s", "5MB/s"] {
            assert!(parse_bit_rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_short() {
        assert_eq!(duration(Duration::from_micros(850)), "850 µs");
        assert_eq!(duration(Duration::from_millis(12_345)), "12.3 s");
        assert_eq!(duration(Duration::from_secs(125)), "2 min 5 s");
    }
}
