//! Who comes when, and where they begin.

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};

use super::plan::{Plan, SEGMENTS};

/// One viewer's coming.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// s.
    pub(super) at: f64,
    /// The first segment that they watch.
    pub(super) first: u32,
}

/// All arrivals, in order.
#[derive(Debug)]
pub(super) struct Crowd(pub(super) Vec<Arrival>);

impl Crowd {
    pub(super) fn new(plan: &Plan, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut arrivals = Vec::new();
        if let Some(seconds) = plan.crowd {
            let mut times: Vec<_> =
                (0..plan.viewers as u32).map(|_| uniform(&mut rng) * seconds).collect();
            times.sort_by(f64::total_cmp);
            arrivals.extend(times.into_iter().map(|at| Arrival { at, first: 0 }));
            return Self(arrivals);
        }
        let mut at = 0.0;
        loop {
            at -= uniform(&mut rng).ln() / plan.rate();
            if at > plan.from() + plan.window() {
                return Self(arrivals);
            }
            let anywhere = uniform(&mut rng) < plan.elsewhere;
            let place = uniform(&mut rng) * f64::from(SEGMENTS);
            arrivals.push(Arrival { at, first: if anywhere { place as u32 } else { 0 } });
        }
    }
}

/// Above 0, below 1.
pub(super) fn uniform(rng: &mut ChaCha20Rng) -> f64 {
    ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}
