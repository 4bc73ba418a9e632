//! Bounds of single values, for the `problem` of a [`Key`](crate::Key): each says both ends.

use core::fmt;
use std::time::Duration;

use crate::amount::{Problem, show_duration, show_size};

/// Any value of its type is right.
pub fn any<T>(_: &T) -> Option<Problem> {
    None
}

/// At least one `what` is there.
#[must_use]
pub fn filled<T>(list: &[T], what: &str) -> Option<Problem> {
    list.is_empty().then(|| Problem(format!("at least one {what} is needed")))
}

/// From `low` to `high`, both included.
pub fn within<T: PartialOrd + Copy + fmt::Display>(value: T, low: T, high: T) -> Option<Problem> {
    (value < low || value > high).then(|| Problem(format!("from {low} to {high} is possible")))
}

/// From `low` to `high`, both included.
#[must_use]
pub fn time_within(value: Duration, low: Duration, high: Duration) -> Option<Problem> {
    (value < low || value > high).then(|| {
        let (low, high) = (show_duration(low), show_duration(high));
        Problem(format!("from \"{low}\" to \"{high}\" is possible"))
    })
}

/// From `low` to `high` bytes, both included.
#[must_use]
pub fn size_within(value: u64, low: u64, high: u64) -> Option<Problem> {
    (value < low || value > high).then(|| {
        let (low, high) = (show_size(low), show_size(high));
        Problem(format!("from \"{low}\" to \"{high}\" is possible"))
    })
}
