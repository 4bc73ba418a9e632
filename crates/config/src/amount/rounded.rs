//! Amounts for people: three digits in the unit that suits them, not to be read back.

use std::time::Duration;

/// `850 µs`, `12.4 ms`, `3.10 s`, `2 min 5 s`.
#[must_use]
pub fn duration(time: Duration) -> String {
    match time.as_secs() {
        0..100 => micros(time.as_secs_f64() * 1e6),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// `850 µs`, `12.4 ms`, `3.10 s` of microseconds.
#[must_use]
pub fn micros(us: f64) -> String {
    match us {
        us if us < 999.5 => format!("{} µs", three_digits(us)),
        us if us < 999_500.0 => format!("{} ms", three_digits(us / 1e3)),
        us => format!("{} s", three_digits(us / 1e6)),
    }
}

/// `3.42 Gbit/s` of bits per second.
#[must_use]
pub fn bit_rate(bits: f64) -> String {
    let (value, unit) = match bits {
        b if b >= 1e9 => (b / 1e9, "Gbit/s"),
        b if b >= 1e6 => (b / 1e6, "Mbit/s"),
        b if b >= 1e3 => (b / 1e3, "kbit/s"),
        b => (b, "bit/s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// `1.50 GiB`, `1023 B`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 5] =
        [(1 << 50, "PiB"), (1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.into_iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{} {unit}", three_digits(bytes as f64 / size as f64)),
        None => format!("{bytes} B"),
    }
}

/// Three significant digits, never in powers of ten.
#[must_use]
pub fn three_digits(value: f64) -> String {
    match value.abs() {
        v if v >= 99.95 => format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(micros(850.0), "850 µs");
        assert_eq!(micros(999_499.0), "999 ms");
        assert_eq!(micros(12_345_678.0), "12.3 s");
        assert_eq!(duration(Duration::from_micros(850)), "850 µs");
        assert_eq!(duration(Duration::from_millis(12_345)), "12.3 s");
        assert_eq!(duration(Duration::from_secs(125)), "2 min 5 s");
        assert_eq!(bit_rate(3.42e9), "3.42 Gbit/s");
        assert_eq!((size(0), size(1023)), ("0 B".into(), "1023 B".into()));
        assert_eq!((size(1 << 20), size(1 << 28)), ("1.00 MiB".into(), "256 MiB".into()));
        assert_eq!((size(3 << 29), size(1 << 41)), ("1.50 GiB".into(), "2.00 TiB".into()));
    }
}
