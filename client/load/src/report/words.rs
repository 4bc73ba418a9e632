//! Figures as people read them.

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

/// `0.125 %` of a share from 0 to 1.
#[must_use]
pub fn share(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 || percent >= 9.995 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.3} %")
    }
}

/// `1.50 GiB`, `73728 B`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 5] =
        [(1 << 50, "PiB"), (1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.into_iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{} {unit}", three_digits(bytes as f64 / size as f64)),
        None => format!("{bytes} B"),
    }
}

/// `1 234 567`, with narrow spaces that do not break.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join("\u{202f}")
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
        assert_eq!(bit_rate(3.42e9), "3.42 Gbit/s");
        assert_eq!(share(0.000_12), "0.012 %");
        assert_eq!((share(0.0), share(1.0)), ("0.0 %".into(), "100.0 %".into()));
        assert_eq!((bytes(0), bytes(1023)), ("0 B".into(), "1023 B".into()));
        assert_eq!((bytes(1 << 20), bytes(1 << 28)), ("1.00 MiB".into(), "256 MiB".into()));
        assert_eq!((bytes(3 << 29), bytes(1 << 41)), ("1.50 GiB".into(), "2.00 TiB".into()));
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(12), "12");
    }
}
