//! The two clocks of the product: a monotonic one for all protocol time, and Unix seconds for token validity.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds of `CLOCK_MONOTONIC` (clock_gettime(2)): never goes back, starts near boot, one origin for all
/// threads and processes of the machine. Read through the vDSO, about 20 ns.
pub fn monotonic_nanoseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid, exclusively borrowed timespec for the length of the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    assert_eq!(result, 0, "CLOCK_MONOTONIC exists on every Linux");
    // Neither field is negative on this clock; 2^64 ns are 584 years.
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// Seconds since 1970-01-01 UTC; 0 if the machine's clock stands before that.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_never_goes_back_and_unix_is_after_2020() {
        let first = monotonic_nanoseconds();
        let second = monotonic_nanoseconds();
        assert!(first > 0 && second >= first);
        assert!(unix_seconds() > 1_577_836_800);
    }
}
