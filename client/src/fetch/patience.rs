//! When to give up: how long nothing worth the wait has come.

use segcast_proto::time::{Duration, Instant};

/// What comes slower than this is no progress, bytes per second: a byte now and then holds nobody for ever.
pub(super) const RATE_LEAST: u64 = 1024;
/// Turns are never this far apart while the process runs. Time beyond it, when it was stopped (SIGSTOP) or the machine slept,
/// says nothing about edges.
const TURN_MAX: Duration = Duration::from_secs(1);

/// How long a fetch goes on without progress.
#[derive(Debug)]
pub(super) struct Patience {
    limit: Duration,
    last_turn: Instant,
    /// Without progress.
    waited: Duration,
    /// Bytes that had come at the last progress, and now.
    before: u64,
    total: u64,
}

impl Patience {
    pub(super) fn new(now: Instant, limit: Duration) -> Self {
        Self { limit, last_turn: now, waited: Duration::ZERO, before: 0, total: 0 }
    }

    /// Something was achieved: it begins anew.
    pub(super) fn renew(&mut self) {
        (self.waited, self.before) = (Duration::ZERO, self.total);
    }

    /// A turn, at `now`; `total` bytes have come so far.
    pub(super) fn turn(&mut self, now: Instant, total: u64) {
        self.waited += now.saturating_since(self.last_turn).min(TURN_MAX);
        (self.last_turn, self.total) = (now, total);
        let least = u128::from(RATE_LEAST) * self.limit.as_millis() / 1000;
        if u128::from(self.came()) > least {
            self.renew();
        }
    }

    /// Bytes since the last progress: too few for another.
    pub(super) fn came(&self) -> u64 {
        self.total - self.before
    }

    /// How long there was none.
    pub(super) fn waited(&self) -> Duration {
        self.waited
    }

    /// None for as long as the caller would wait?
    pub(super) fn is_over(&self) -> bool {
        self.waited > self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns of 50 ms; `bytes` come every so many of them. How many until it is over, at most `most`?
    fn turns(bytes: u64, every: u64, most: u64) -> u64 {
        let mut patience = Patience::new(Instant::ZERO, Duration::from_secs(30));
        (1..=most)
            .find(|turn| {
                patience.turn(Instant::from_nanos(turn * 50_000_000), turn / every * bytes);
                patience.is_over()
            })
            .unwrap_or(u64::MAX)
    }

    #[test]
    fn it_ends_when_nothing_comes_for_long_enough() {
        assert_eq!(turns(0, 1, 10_000), 601);
    }

    #[test]
    fn a_byte_now_and_then_is_no_progress() {
        assert_eq!(turns(1, 580, 100_000), 601);
        assert_eq!(turns(50, 1, 100_000), 601, "1000 bytes a second");
    }

    #[test]
    fn a_slow_edge_is_waited_for() {
        assert_eq!(turns(1152, 20, 100_000), u64::MAX, "a datagram a second");
    }

    #[test]
    fn time_in_which_the_process_did_not_run_does_not_count() {
        let mut patience = Patience::new(Instant::ZERO, Duration::from_secs(5));
        patience.turn(Instant::from_nanos(3_600_000_000_000), 0);
        assert_eq!((patience.waited(), patience.is_over()), (TURN_MAX, false));
    }
}
