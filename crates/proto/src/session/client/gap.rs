//! The gap that the server's own pacing leaves between two trains: no silence, however short a round trip is.
//!
//! A path of a tenth of a millisecond that is given 25 Mbit/s gets a full train each 21 ms, and a probe after two round
//! trips would ask in each of the gaps what became of the next one (docs/protocol, section 14).

use crate::time::{Duration, Instant};

/// Longer gaps than this say nothing: the longest probe timeout.
const LONGEST: Duration = Duration::from_secs(2);
/// A gap that is longer than those after it is forgotten by so much of itself with each of them.
const FORGOTTEN: u32 = 16;

/// The longest gap of late between two trains that followed each other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TrainGap {
    longest: Duration,
    /// The number after the highest that came.
    next: u64,
    /// Send time and arrival of the newest DATA, unless something is missing since.
    data: Option<(u32, Instant)>,
}

impl TrainGap {
    /// How long the server may let nothing be heard while it sends: half as much again as the longest gap, so that some
    /// short trains between long ones do not matter.
    pub(super) fn get(&self) -> Duration {
        self.longest + self.longest / 2
    }

    /// An authentic packet came, with the send time in its frame header. `was_asked(then)`: the server still owes DATA
    /// that was asked for before `then`: if not, it waited for its client, not for its pacing.
    pub(super) fn received(
        &mut self,
        now: Instant,
        sequence: u64,
        send_time: u32,
        is_data: bool,
        was_asked: impl FnOnce(Instant) -> bool,
    ) {
        let Some(missing) = sequence.checked_sub(self.next) else { return };
        self.next = sequence.saturating_add(1);
        // One number may be left out on purpose (section 10).
        let before = self.data.take_if(|_| missing > 1 || is_data).filter(|_| missing <= 1);
        if !is_data {
            return;
        }
        self.data = Some((send_time, now));
        let Some((sent, came)) = before.filter(|&(sent, _)| sent != send_time) else { return };
        let gap = Duration::from_micros(u64::from(send_time.wrapping_sub(sent)));
        if gap <= LONGEST && was_asked(came) {
            self.longest = gap.max(self.longest - self.longest / FORGOTTEN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of packets: number, milliseconds, whether they are DATA.
    fn gap(packets: &[(u64, u64, bool)], asked: u64) -> Duration {
        let mut gap = TrainGap::default();
        for &(sequence, ms, is_data) in packets {
            let now = Instant::from_nanos(ms * 1_000_000);
            let asked = Instant::from_nanos(asked * 1_000_000);
            gap.received(now, sequence, now.wire_micros(), is_data, |then| asked < then);
        }
        gap.longest
    }

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn what_lies_between_two_trains_counts_with_messages_and_a_skipped_number_between() {
        let train = [(0, 10, true), (1, 10, true), (2, 31, true)];
        assert_eq!(gap(&train, 5), MS(21));
        let probed = [(0, 10, true), (1, 20, false), (3, 31, true), (2, 32, true)];
        assert_eq!(gap(&probed, 5), MS(21));
    }

    #[test]
    fn what_was_lost_or_not_asked_for_is_no_gap() {
        assert_eq!(gap(&[(0, 10, true), (3, 31, true)], 5), MS(0));
        assert_eq!(gap(&[(0, 10, true), (3, 20, false), (4, 31, true)], 5), MS(0));
        assert_eq!(gap(&[(0, 10, true), (1, 31, true)], 10), MS(0), "asked after the train came");
        assert_eq!(gap(&[(0, 10, true), (1, 9_000, true)], 5), MS(0));
    }

    #[test]
    fn a_long_gap_is_forgotten() {
        let trains: Vec<_> =
            (0..100).map(|n| (n, if n == 0 { 1 } else { 400 + n }, true)).collect();
        assert_eq!(gap(&trains[..2], 0), MS(400));
        let left = gap(&trains, 0);
        assert!(left < MS(5) && left >= MS(1), "{left:?}");
    }
}
