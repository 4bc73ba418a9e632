//! Rates in bytes per second, and arithmetic of rates, bytes and durations that cannot overflow.

use crate::time::Duration;

const NANOS: u64 = 1_000_000_000;
/// What [`Rate::time_for`] gives at most.
const LONGEST: u64 = 3600 * NANOS;

/// Bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// Standstill; of what is measured: not known yet.
    pub const ZERO: Self = Self(0);
    /// A byte a second: the slowest that is no standstill.
    pub const LEAST: Self = Self(1);
    /// No bound.
    pub const MAX: Self = Self(u64::MAX);

    /// So many bytes per second.
    #[must_use]
    pub const fn new(bytes_per_second: u64) -> Self {
        Self(bytes_per_second)
    }

    /// So many thousands of bits per second.
    #[must_use]
    pub const fn from_kilobits(kilobits_per_second: u32) -> Self {
        Self(kilobits_per_second as u64 * 125)
    }

    /// `bytes` in `time`, rounded down; `None` for no time at all.
    #[must_use]
    pub fn of(bytes: u64, time: Duration) -> Option<Self> {
        let rate = (u128::from(bytes) * u128::from(NANOS)).checked_div(time.as_nanos())?;
        Some(Self(u64::try_from(rate).unwrap_or(u64::MAX)))
    }

    /// Bytes per second.
    #[must_use]
    pub const fn bytes_per_second(self) -> u64 {
        self.0
    }

    /// Bytes that it carries in `time`, rounded down.
    #[must_use]
    pub fn bytes_in(self, time: Duration) -> u64 {
        let nanos = time.as_nanos();
        // What trains are paced by fits 64 bits, where to divide by a constant is to multiply; 128 bits are a call.
        match u64::try_from(nanos).ok().and_then(|nanos| self.0.checked_mul(nanos)) {
            Some(product) => product / NANOS,
            None => {
                let bytes = u128::from(self.0).saturating_mul(nanos) / u128::from(NANOS);
                u64::try_from(bytes).unwrap_or(u64::MAX)
            }
        }
    }

    /// How long `bytes` take, rounded up; an hour at most, also at standstill.
    #[must_use]
    pub fn time_for(self, bytes: u64) -> Duration {
        let nanos = match (self.0, bytes.checked_mul(NANOS)) {
            (0, _) => LONGEST,
            (rate, Some(product)) => product.div_ceil(rate).min(LONGEST),
            (rate, None) => {
                let nanos = (u128::from(bytes) * u128::from(NANOS)).div_ceil(u128::from(rate));
                nanos.min(u128::from(LONGEST)) as u64
            }
        };
        Duration::from_nanos(nanos)
    }

    /// It times a gain; saturates, so that [`Self::MAX`] times 1 or more stays no bound.
    #[must_use]
    pub fn scaled(self, gain: f64) -> Self {
        Self((self.0 as f64 * gain) as u64)
    }

    /// Half way between two.
    #[must_use]
    pub const fn mean(self, other: Self) -> Self {
        Self(self.0.midpoint(other.0))
    }

    /// Halved so many times.
    #[must_use]
    pub const fn halved(self, times: u32) -> Self {
        match self.0.checked_shr(times) {
            Some(rate) => Self(rate),
            None => Self::ZERO,
        }
    }

    /// What each of `sharers` has of it, rounded down; to be shared by none is to be shared by one.
    #[must_use]
    pub const fn shared_by(self, sharers: u64) -> Self {
        match self.0.checked_div(sharers) {
            Some(share) => Self(share),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Small, usual and extreme values alike.
    fn any_size() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0_u32..64).prop_map(|(value, shift)| value >> shift)
    }

    fn any_time() -> impl Strategy<Value = Duration> {
        prop_oneof![
            any_size().prop_map(Duration::from_nanos),
            (any_size(), 0_u32..NANOS as u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
        ]
    }

    #[test]
    fn rates_bytes_and_times_agree() {
        let rate = Rate::from_kilobits(100_000);
        assert_eq!(rate, Rate::new(12_500_000));
        assert_eq!(rate.bytes_in(Duration::from_millis(1)), 12_500);
        assert_eq!(rate.time_for(12_500), Duration::from_millis(1));
        assert_eq!(Rate::of(12_500, Duration::from_millis(1)), Some(rate));
    }

    #[test]
    fn extremes_saturate() {
        assert_eq!(Rate::MAX.bytes_in(Duration::MAX), u64::MAX);
        assert_eq!(Rate::ZERO.time_for(u64::MAX), Duration::from_secs(3600));
        assert_eq!(Rate::LEAST.time_for(u64::MAX), Duration::from_secs(3600));
        assert_eq!(Rate::of(1, Duration::ZERO), None);
        assert_eq!(Rate::MAX.scaled(2.0), Rate::MAX);
        assert_eq!(Rate::MAX.mean(Rate::MAX), Rate::MAX);
        assert_eq!((Rate::MAX.halved(64), Rate::MAX.shared_by(0)), (Rate::ZERO, Rate::MAX));
    }

    proptest! {
        #[test]
        fn it_is_exact_in_128_bits(rate in any_size(), bytes in any_size(), time in any_time()) {
            let (wide_rate, wide_bytes, nanos) = (u128::from(rate), u128::from(bytes), time.as_nanos());
            let most = u128::from(u64::MAX);
            let carried = wide_rate.saturating_mul(nanos) / 1_000_000_000;
            prop_assert_eq!(u128::from(Rate(rate).bytes_in(time)), carried.min(most));
            let hour = 3_600_000_000_000;
            let takes = (wide_bytes * 1_000_000_000).checked_add(wide_rate.saturating_sub(1));
            let takes = takes.and_then(|n| n.checked_div(wide_rate)).unwrap_or(hour).min(hour);
            prop_assert_eq!(Rate(rate).time_for(bytes).as_nanos(), takes);
            let measured = (wide_bytes * 1_000_000_000).checked_div(nanos).map(|rate| rate.min(most));
            let found = Rate::of(bytes, time).map(|rate| u128::from(rate.bytes_per_second()));
            prop_assert_eq!(found, measured);
        }
    }
}
