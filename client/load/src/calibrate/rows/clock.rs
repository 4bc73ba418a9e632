//! C1: a clock that stands, runs back or costs a system call makes every time wrong.

use serde_json::json;

use super::super::row::Row;
use crate::result::Clock;

/// The most that a read may cost. Segments are timed some eight times each.
const COST_MAX_NS: f64 = 50.0;
/// The coarsest step: histograms count microseconds.
const STEP_MAX_NS: u64 = 1000;

pub(super) fn row() -> Row {
    let clock = Clock::check();
    let (cost, step, back) = (clock.read_cost_ns, clock.least_step_ns, clock.backward_steps);
    let source = clock.source.unwrap_or_default();
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
