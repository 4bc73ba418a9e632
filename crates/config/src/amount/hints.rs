//! What to suggest for units that people write and that are none here.

/// A unit that people write, the right one, and what its number has to be multiplied by.
pub(super) type Hint = (&'static str, &'static str, u64);

pub(super) const DURATION: &[Hint] = &[
    ("", "s", 1),
    ("msec", "ms", 1),
    ("sec", "s", 1),
    ("secs", "s", 1),
    ("second", "s", 1),
    ("seconds", "s", 1),
    ("mins", "min", 1),
    ("minute", "min", 1),
    ("minutes", "min", 1),
    ("hour", "h", 1),
    ("hours", "h", 1),
    ("day", "d", 1),
    ("days", "d", 1),
];

pub(super) const SIZE: &[Hint] = &[
    ("", "B", 1),
    ("b", "B", 1),
    ("bytes", "B", 1),
    ("k", "KiB", 1),
    ("ki", "KiB", 1),
    ("kb", "KiB", 1),
    ("kib", "KiB", 1),
    ("m", "MiB", 1),
    ("mi", "MiB", 1),
    ("mb", "MiB", 1),
    ("mib", "MiB", 1),
    ("g", "GiB", 1),
    ("gi", "GiB", 1),
    ("gb", "GiB", 1),
    ("gib", "GiB", 1),
    ("t", "TiB", 1),
    ("tb", "TiB", 1),
    ("tib", "TiB", 1),
];

/// Rates in bytes come first, with their case: "GB/s" is eight times "Gb/s".
pub(super) const BIT_RATE: &[Hint] = &[
    ("B/s", "bit/s", 8),
    ("kB/s", "kbit/s", 8),
    ("KB/s", "kbit/s", 8),
    ("MB/s", "Mbit/s", 8),
    ("GB/s", "Gbit/s", 8),
    ("", "Mbit/s", 1),
    ("bps", "bit/s", 1),
    ("k", "kbit/s", 1),
    ("kbps", "kbit/s", 1),
    ("kb/s", "kbit/s", 1),
    ("kbit", "kbit/s", 1),
    ("kbit/s", "kbit/s", 1),
    ("m", "Mbit/s", 1),
    ("mbps", "Mbit/s", 1),
    ("mb/s", "Mbit/s", 1),
    ("mbit", "Mbit/s", 1),
    ("mbit/s", "Mbit/s", 1),
    ("g", "Gbit/s", 1),
    ("gbps", "Gbit/s", 1),
    ("gb/s", "Gbit/s", 1),
    ("gbit", "Gbit/s", 1),
    ("gbit/s", "Gbit/s", 1),
];

/// The right unit for `unit` and the factor of its number: first as it is written, then in small letters.
pub(super) fn find(hints: &[Hint], unit: &str) -> Option<(&'static str, u64)> {
    let named = |name: &str| hints.iter().find(|(known, ..)| *known == name);
    let (_, right, times) = named(unit).or_else(|| named(&unit.to_ascii_lowercase()))?;
    Some((right, *times))
}
