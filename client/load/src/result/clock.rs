//! The clock that times are taken from: how fine it is, what reading it costs, whether it goes back.

use rustix::time::{ClockId, clock_getres};
use segcast_sysio::clock::monotonic_nanoseconds;
use serde::{Deserialize, Serialize};

/// Readings in a check, in batches: being put aside in between makes some batches long, not all.
const BATCHES: u32 = 20;
const BATCH: u32 = 10_000;

/// What a check of `CLOCK_MONOTONIC` found (clock_getres(2), clock_gettime(2)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Where the kernel takes it from, such as `tsc`; null where it does not say.
    pub source: Option<String>,
    /// What it claims to tell apart, ns.
    pub resolution_ns: u64,
    /// What one reading costs, ns: the mean of the best batch.
    pub read_cost_ns: f64,
    /// The shortest step seen that was not 0, ns.
    pub least_step_ns: u64,
    /// Readings that were before the one before them.
    pub backward_steps: u64,
    /// Readings taken.
    pub readings: u32,
}

impl Clock {
    /// Reads the clock many times: some milliseconds of one CPU.
    #[must_use]
    pub fn check() -> Self {
        let mut last = monotonic_nanoseconds();
        let (mut backward_steps, mut least_step_ns, mut least_batch_ns) = (0, u64::MAX, u64::MAX);
        for _ in 0..BATCHES {
            let first = last;
            for _ in 0..BATCH {
                let reading = monotonic_nanoseconds();
                backward_steps += u64::from(reading < last);
                if reading > last {
                    least_step_ns = least_step_ns.min(reading - last);
                }
                last = reading;
            }
            least_batch_ns = least_batch_ns.min(last.saturating_sub(first));
        }
        let source = std::fs::read_to_string(
            "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        );
        Self {
            source: source.ok().map(|text| text.trim().to_owned()),
            resolution_ns: resolution_ns(),
            read_cost_ns: least_batch_ns as f64 / f64::from(BATCH),
            least_step_ns,
            backward_steps,
            readings: BATCHES * BATCH,
        }
    }
}

fn resolution_ns() -> u64 {
    let time = clock_getres(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_this_machine_is_told() {
        let clock = Clock::check();
        assert_eq!((clock.backward_steps, clock.readings), (0, BATCHES * BATCH));
        assert!(clock.resolution_ns > 0 && clock.read_cost_ns > 0.0, "{clock:?}");
        assert!(clock.least_step_ns < 1_000_000_000, "{clock:?}");
    }
}
