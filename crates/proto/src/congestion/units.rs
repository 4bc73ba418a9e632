//! Arithmetic of bytes, rates (bytes per second) and durations that cannot overflow.

use crate::time::Duration;

const NANOS: u128 = 1_000_000_000;

/// Bytes that `rate` (bytes/s) carries in `time`, rounded down.
pub(super) fn bytes_in(rate: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(rate).saturating_mul(time.as_nanos()) / NANOS).unwrap_or(u64::MAX)
}

/// How long `bytes` take at `rate` (bytes/s), rounded up; an hour at most, also for rate 0.
pub(super) fn time_for(bytes: u64, rate: u64) -> Duration {
    const LONGEST: u128 = 3600 * NANOS;
    let nanos = match rate {
        0 => LONGEST,
        _ => (u128::from(bytes) * NANOS).div_ceil(u128::from(rate)).min(LONGEST),
    };
    Duration::from_nanos(nanos as u64)
}

/// The rate (bytes/s) of `bytes` in `time`; `None` for no time at all.
pub(super) fn rate_of(bytes: u64, time: Duration) -> Option<u64> {
    let rate = (u128::from(bytes) * NANOS).checked_div(time.as_nanos())?;
    Some(u64::try_from(rate).unwrap_or(u64::MAX))
}

/// `value` times a gain; saturates, so that "no bound" (`u64::MAX`) stays one.
pub(super) fn scale(value: u64, gain: f64) -> u64 {
    (value as f64 * gain) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_bytes_and_times_agree() {
        assert_eq!(bytes_in(12_500_000, Duration::from_millis(1)), 12_500);
        assert_eq!(time_for(12_500, 12_500_000), Duration::from_millis(1));
        assert_eq!(rate_of(12_500, Duration::from_millis(1)), Some(12_500_000));
    }

    #[test]
    fn extremes_saturate() {
        assert_eq!(bytes_in(u64::MAX, Duration::MAX), u64::MAX);
        assert_eq!(time_for(u64::MAX, 0), Duration::from_secs(3600));
        assert_eq!(time_for(u64::MAX, 1), Duration::from_secs(3600));
        assert_eq!(rate_of(1, Duration::ZERO), None);
        assert_eq!(scale(u64::MAX, 2.0), u64::MAX);
    }
}
