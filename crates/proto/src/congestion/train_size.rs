//! How long a train may be, and how much of its lateness is made good.

use crate::limits::{TRAIN_DATAGRAMS_MAX, TRAIN_MAX};
use crate::rate::Rate;
use crate::time::Duration;

/// A train carries at most what the rate carries in a quarter of the round trip, within these bounds: at most
/// 1 ms, so that a train is a small part of what a short path and its queue can hold; at least
/// 250 µs, so that GSO pays: from 2.1 Gbit/s on, trains are full on any path.
const TRAIN_TIME: (Duration, Duration) = (Duration::from_micros(250), Duration::from_millis(1));
/// Where the least round trip is below this, a train may be full at any rate: one machine or one rack, whose queues take
/// TCP's bursts of that size, too. Each further one of these halves what may go on top of the rate's share. Linux sizes
/// TCP's bursts so (tcp_tso_autosize in net/ipv4/tcp_output.c), by 512 µs: see tcp_tso_rtt_log in ip-sysctl. At 1 Gbit/s,
/// 1 ms and a queue of one bandwidth-delay product that would be half the queue.
const SHORT_RTT: Duration = Duration::from_micros(256);
/// A train that leaves late (timers, a busy shard) does not push back those after it by more than this: up to
/// so much sending time is made good, so that lateness does not lower the rate.
pub(super) const CATCH_UP: Duration = Duration::from_millis(1);
/// A train that stood ready while others had their turns pushes back those after it by nothing, up to this: a shard with
/// a thousand sessions comes round in some 13 ms, and each of them keeps its rate by longer trains.
const WAITED_MAX: Duration = Duration::from_millis(16);

/// How much lateness of a train is made good that stood ready for `waited` while others had their turns.
pub(super) fn made_good(waited: Duration) -> Duration {
    waited.clamp(CATCH_UP, WAITED_MAX)
}

/// The longest train (bytes, a whole number of datagrams, at least one) at `rate`
/// over a path of round trip `rtt`, that leaves `late` after its time: what pacing makes good goes with it in one
/// train, not in several that follow each other at once. So a shard that is busy sends fewer and longer trains.
/// `extra`: what a short path takes on top, of [`on_a_short_path`].
pub(super) fn train_bytes(
    rate: Rate,
    rtt: Duration,
    late: Duration,
    extra: u64,
    datagram: usize,
) -> u64 {
    let by_size = (TRAIN_MAX / datagram).min(TRAIN_DATAGRAMS_MAX) as u64;
    let usual = (rtt / 4).clamp(TRAIN_TIME.0, TRAIN_TIME.1);
    let time = (usual + late).min(TRAIN_TIME.1.max(late));
    let by_path = rate.bytes_in(time).saturating_add(extra) / datagram as u64;
    by_path.min(by_size).max(1) * datagram as u64
}

/// What a path of least round trip `rtt` takes in one train beyond what the rate carries, bytes.
pub(super) fn on_a_short_path(rtt: Duration) -> u64 {
    let halvings = rtt.as_nanos() / SHORT_RTT.as_nanos();
    u32::try_from(halvings).ok().and_then(|by| (TRAIN_MAX as u64).checked_shr(by)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trains_are_a_millisecond_of_the_rate_within_the_bounds_of_gso() {
        let train =
            |rate, rtt, datagram| train_bytes(Rate::new(rate), rtt, Duration::ZERO, 0, datagram);
        let long = Duration::from_millis(40);
        assert_eq!(train(0, long, 1200), 1200);
        assert_eq!(train(12_500_000, long, 1200), 10 * 1200);
        assert_eq!(train(12_500_000, Duration::from_millis(1), 1200), 2 * 1200);
        assert_eq!(train(270_000_000, Duration::ZERO, 1200), 54 * 1200);
        assert_eq!(train(u64::MAX, long, 1000), 64 * 1000);
        assert_eq!(train(u64::MAX, long, 8952), 7 * 8952);
    }

    #[test]
    fn on_a_short_path_trains_are_full_at_any_rate_and_a_quarter_millisecond_more_halves_them() {
        let train = |micros| {
            let rtt = Duration::from_micros(micros);
            train_bytes(Rate::new(1_000_000), rtt, Duration::ZERO, on_a_short_path(rtt), 1000)
                / 1000
        };
        assert_eq!([100, 255, 256, 512, 1024].map(train), [64, 64, 33, 16, 4]);
        assert_eq!(on_a_short_path(Duration::from_millis(9)), 0);
        assert_eq!(on_a_short_path(Duration::from_secs(3600)), 0);
    }

    #[test]
    fn a_late_train_takes_along_what_pacing_makes_good() {
        let (short, half) = (Duration::from_micros(100), Duration::from_micros(500));
        let train = |rate, late| train_bytes(Rate::new(rate), short, late, 0, 1000);
        assert_eq!(train(80_000_000, Duration::ZERO), 20_000);
        assert_eq!(train(80_000_000, half), 60_000);
        assert_eq!(train(80_000_000, half * 2), 64_000);
        assert_eq!(train(40_000_000, half * 2), 40_000, "a millisecond in all");
        assert_eq!(train(5_000_000, half * 20), 50_000, "it waited for others");
    }

    #[test]
    fn who_waited_for_others_is_made_good_up_to_a_bound() {
        let waited = |ms| made_good(Duration::from_millis(ms));
        assert_eq!([0, 5, 90].map(waited), [CATCH_UP, Duration::from_millis(5), WAITED_MAX]);
    }
}
