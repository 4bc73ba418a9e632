//! C4: recording must not be what is measured.

use std::hint::black_box;

use segcast_proto::time::Duration;
use serde_json::json;

use super::super::now;
use super::super::row::Row;
use crate::record::{Class, Interval};

/// Segments in a batch.
const SEGMENTS: u64 = 20_000;
/// Batches; the cheapest one counts.
const BATCHES: u32 = 10;
/// The most for one segment. The smallest one is 64 datagrams, whose receiving takes some 30 µs.
const COST_MAX_NS: f64 = 1000.0;

pub(super) fn row() -> Row {
    let mut interval = Interval::default();
    let mut cost = f64::INFINITY;
    for _ in 0..BATCHES {
        let begun = now();
        for n in 0..SEGMENTS {
            record(black_box(&mut interval), Duration::from_nanos(black_box(n * 1000)));
        }
        cost = cost.min(now().saturating_since(begun).as_nanos() as f64 / SEGMENTS as f64);
    }
    let recorded = interval.times.next.send_lag.histogram().len();
    let whole = recorded == SEGMENTS * u64::from(BATCHES) && interval.ledger.in_flight() == 0;
    Row {
        id: "C4",
        name: "record path".to_owned(),
        passed: whole && cost <= COST_MAX_NS,
        says: format!(
            "{cost:.0} ns for a segment's five times and its end (at most {COST_MAX_NS:.0})"
        ),
        figures: json!({ "segment_ns": cost, "recorded": recorded }),
    }
}

/// What a thread records of a segment that comes.
fn record(interval: &mut Interval, time: Duration) {
    interval.ledger.intended += 1;
    let times = interval.times.class_mut(Class::Next);
    times.send_lag.record(time / 64);
    times.ttfb.service.record(time / 2);
    times.ttfb.response.record(time / 2);
    times.ttlb.service.record(time);
    times.ttlb.response.record(time);
    interval.ledger.complete += 1;
}
