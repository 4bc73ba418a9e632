//! What a view sees: one second and all so far, copied out of the collector.

use std::time::Duration;

use serde::Serialize;

use crate::collector::{ClosedSecond, Collector};
use crate::result::{Basis, Ledger, Quantity, Second, Series, Sums, quantile};

/// One quantity in one second, response time where there is a choice, all classes, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// Samples.
    pub n: u64,
    /// The median; none with fewer than 20 samples.
    pub p50_us: Option<u64>,
    /// 99 %; none with fewer than 1000 samples.
    pub p99_us: Option<u64>,
    /// The longest.
    pub max_us: Option<u64>,
}

impl Times {
    fn new(sums: &Sums, quantity: Quantity) -> Self {
        let basis = quantity.has_basis().then_some(Basis::Response);
        let times = Series::of(quantity, basis).times(sums);
        Self {
            n: times.len(),
            p50_us: quantile::percentile(&times, 50.0),
            p99_us: quantile::percentile(&times, 99.0),
            max_us: (!times.is_empty()).then(|| times.max()),
        }
    }
}

/// A run at the end of one second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// How long the run is to offer load, seconds.
    pub requested_s: f64,
    /// The phase by name.
    pub phase: String,
    /// Which it is, from 1.
    pub phase_number: usize,
    /// Of how many.
    pub phases: usize,
    /// How much of it is over, 0 to 1.
    pub phase_progress: f64,
    /// No load is offered any more: last segments are waited for.
    pub draining: bool,
    /// The second.
    pub second: Second,
    /// To the first byte.
    pub ttfb: Times,
    /// To the last byte.
    pub ttlb: Times,
    /// Send lag.
    pub lag: Times,
    /// All segments so far.
    pub ledger: Ledger,
    /// Datagrams that the kernel dropped before the generator read them, so far.
    pub overflow_datagrams: u64,
    /// Times that players ran dry, so far.
    pub stalls: u64,
}

impl Snapshot {
    /// The run as `collector` has it, right after `second`.
    #[must_use]
    pub fn new(collector: &Collector, second: &ClosedSecond) -> Self {
        let about = collector.about();
        let number = second.figures.phase;
        let before: Duration = about.phases.iter().take(number).map(|phase| phase.duration).sum();
        let phase = about.phases.get(number);
        let length = phase.map_or(0.0, |phase| phase.duration.as_secs_f64());
        let over = f64::from(second.figures.second) + 1.0;
        let progress = if length > 0.0 { (over - before.as_secs_f64()) / length } else { 1.0 };
        let all = collector.all();
        Self {
            requested_s: about.requested().as_secs_f64(),
            phase: phase.map_or_else(String::new, |phase| phase.name.clone()),
            phase_number: number + 1,
            phases: about.phases.len(),
            phase_progress: progress.clamp(0.0, 1.0),
            draining: over > about.requested().as_secs_f64().ceil(),
            second: second.figures.clone(),
            ttfb: Times::new(&second.sums, Quantity::Ttfb),
            ttlb: Times::new(&second.sums, Quantity::Ttlb),
            lag: Times::new(&second.sums, Quantity::Lag),
            ledger: (&all.ledger).into(),
            overflow_datagrams: all.wire.overflow_datagrams,
            stalls: all.playout.stalls,
        }
    }
}
