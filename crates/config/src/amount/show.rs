//! Amounts as the grammar takes them: exact, in the largest unit of which they are a whole number.

use std::time::Duration;

use super::{BIT_RATE, DURATION, Kind, SIZE};

/// A duration that [`read_duration`](super::read_duration) reads back: `90s`, `5min`. More than 2^64
/// nanoseconds (584 years) are shown as that.
#[must_use]
pub fn show_duration(value: Duration) -> String {
    let nanoseconds = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
    show(nanoseconds, &DURATION, "s", "")
}

/// Bytes that [`read_size`](super::read_size) reads back: `64 KiB`.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    show(bytes, &SIZE, "B", " ")
}

/// Bits per second that [`read_bit_rate`](super::read_bit_rate) reads back: `2500 Mbit/s`.
#[must_use]
pub fn show_bit_rate(bits: u64) -> String {
    show(bits, &BIT_RATE, "bit/s", " ")
}

fn show(value: u64, kind: &Kind, unit_of_zero: &str, space: &str) -> String {
    let exact = kind.units.iter().rev().find(|(_, factor)| value.is_multiple_of(*factor));
    match exact {
        Some((name, factor)) if value != 0 => format!("{}{space}{name}", value / factor),
        _ => format!("0{space}{unit_of_zero}"),
    }
}
