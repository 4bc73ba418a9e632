//! Little's law, L = λW, of three parts that know nothing of each other: L is what another thread saw when it looked at
//! how many segments were under way, λ and W come from the histogram of service times. Times that are written down too
//! late, too early, or for too few segments break it.

use serde::{Deserialize, Serialize};

use crate::record::{Health, Timings};

/// The two sides may differ by this share, besides what sampling explains: in a closed loop of short segments, with a
/// core for the generator and its observer, they were found up to 7 % apart, since the observer runs when the generator
/// pauses. Below its limits they are within 0.2 % (`calibrate`, known load).
pub const LITTLE_ERROR_MAX: f64 = 0.1;
/// When sampling alone explains more than this share, there was too little to say anything.
const LITTLE_NOISE_MAX: f64 = 0.1;
/// Standard deviations that sampling is granted.
const DEVIATIONS: f64 = 4.0;

/// Little's law over the whole run: L = λW.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Little {
    /// L: segments under way in the mean, as seen by a thread that looked some 500 times a second.
    pub counted: f64,
    /// λW: the same from ends per second and their service times.
    pub computed: f64,
    /// How far the two are apart, as a share of the larger.
    pub error: f64,
    /// How far sampling alone may move them apart: four standard deviations, as a share of the larger.
    pub noise: f64,
}

impl Little {
    /// Of a run that began and ended with nothing under way, so that no segment is cut by its edges. `seconds`: its
    /// length. None when nothing was under way.
    #[must_use]
    pub fn new(health: &Health, times: &Timings, seconds: f64) -> Option<Self> {
        let served = [&times.start, &times.next].map(|class| {
            let times = class.ttlb.service.histogram();
            times.mean() * times.len() as f64 / 1e6
        });
        let all = served[0] + served[1] + health.unserved_time.as_secs_f64();
        let (counted, computed) = (health.flight.seconds, all);
        let larger = counted.max(computed);
        (seconds > 0.0 && larger > 0.0).then(|| Self {
            counted: counted / seconds,
            computed: computed / seconds,
            error: (counted - computed).abs() / larger,
            noise: DEVIATIONS * health.flight.variance.sqrt() / larger,
        })
    }

    /// Whether the law holds within `limit`; none when too little was seen to say.
    #[must_use]
    pub fn holds(&self, limit: f64) -> Option<bool> {
        (self.noise <= LITTLE_NOISE_MAX).then_some(self.error <= limit + self.noise)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::{Class, Flight};

    fn little(service: Duration, seconds: f64, variance: f64) -> Little {
        let mut times = Timings::default();
        (0..100).for_each(|_| times.class_mut(Class::Next).ttlb.service.record(service));
        let unserved_time = Duration::from_secs(1);
        let flight = Flight { seconds, variance };
        let health = Health { flight, unserved_time, ..Health::default() };
        Little::new(&health, &times, 10.0).expect("some were under way")
    }

    #[test]
    fn times_written_down_wrong_break_the_law_and_chance_does_not() {
        let right = Duration::from_millis(40);
        assert_eq!(little(right, 5.0, 0.0).holds(LITTLE_ERROR_MAX), Some(true));
        assert_eq!(little(right * 5 / 4, 5.0, 0.0).holds(LITTLE_ERROR_MAX), Some(false));
        assert_eq!(little(right * 4 / 5, 5.0, 0.0).holds(LITTLE_ERROR_MAX), Some(false));
        assert_eq!(little(right, 5.3, 0.01).holds(LITTLE_ERROR_MAX), Some(true), "chance");
        assert_eq!(little(right, 5.3, 0.1).holds(LITTLE_ERROR_MAX), None, "too little seen");
        assert_eq!(Little::new(&Health::default(), &Timings::default(), 1.0), None);
    }
}
