//! C1: a clock that stands, runs back or costs a system call makes every time wrong.

use super::super::report::{Machine, Row};
use segcast_sysio::clock::monotonic_nanoseconds;
use serde_json::json;

/// Reads in a batch.
const READS: u64 = 100_000;
/// Batches; the cheapest one counts: what is more was somebody else's.
const BATCHES: u32 = 10;
/// The most that a read may cost. Segments are timed some eight times each.
const COST_MAX_NS: f64 = 50.0;
/// The coarsest step: histograms count microseconds.
const STEP_MAX_NS: u64 = 1000;

pub(super) fn row() -> Row {
    let (mut cost, mut step, mut back) = (f64::INFINITY, u64::MAX, 0_u64);
    for _ in 0..BATCHES {
        let begun = monotonic_nanoseconds();
        let mut last = begun;
        for _ in 0..READS {
            let now = monotonic_nanoseconds();
            back += u64::from(now < last);
            if now > last {
                step = step.min(now - last);
            }
            last = now;
        }
        cost = cost.min((last - begun) as f64 / READS as f64);
    }
    let source = Machine::here().clocksource;
    let passed = cost <= COST_MAX_NS && step <= STEP_MAX_NS && back == 0;
    Row {
        id: "C1",
        name: "clock".to_owned(),
        passed,
        says: format!(
            "{cost:.0} ns a read (at most {COST_MAX_NS:.0}), steps of {step} ns (at most {STEP_MAX_NS}), {back} backwards, {source}"
        ),
        figures: json!({
            "read_ns": cost, "step_ns": step, "backward_steps": back, "clocksource": source,
        }),
    }
}
