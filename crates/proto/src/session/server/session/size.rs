//! The path's datagram size: probing upwards, and back after a black hole (section 11).

use crate::limits::{DATAGRAM_BASE, DATAGRAM_LADDER};
use crate::time::{Duration, Instant};

/// Probes of one size before it counts as too large.
const TRIES: u8 = 3;
/// After a failure the next attempt waits this long (RFC 8899, section 5.1.1: PMTU_RAISE_TIMER is 600 s).
const RAISE_AGAIN: Duration = Duration::from_secs(600);
/// After the first black hole the search begins anew this late, each further time twice as late, up to [`RAISE_AGAIN`]
/// (RFC 8899, section 5.2: at once). What looks like one may be a burst that filled a receiver's buffer; what is one
/// costs three trains each time.
const SEARCH_AGAIN: Duration = Duration::from_secs(1);
/// Whole trains lost in a row that count as a black hole.
const BLACK_HOLE_TRAINS: u32 = 3;

/// The search for one path.
#[derive(Clone, Copy, Debug)]
pub(super) struct SizeSearch {
    /// Largest size that both ends allow.
    max: u16,
    /// Size in use.
    current: u16,
    /// Probes sent of the next size.
    tries: u8,
    /// Black holes so far.
    holes: u8,
    /// No probe before this.
    next: Instant,
    /// The probe under way.
    probe: Option<Probe>,
}

/// A datagram larger than those in use.
#[derive(Clone, Copy, Debug)]
struct Probe {
    sequence: u64,
    size: u16,
}

/// What a REPORT said about the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SizeChange {
    Raised(usize),
    Reset,
}

impl SizeSearch {
    /// A new path between ends that allow `max` bytes.
    pub(super) fn new(max: usize) -> Self {
        let max = max.clamp(DATAGRAM_BASE, usize::from(u16::MAX)) as u16;
        let current = DATAGRAM_BASE as u16;
        Self { max, current, tries: 0, holes: 0, next: Instant::ZERO, probe: None }
    }

    /// The size in use, bytes of UDP payload.
    pub(super) fn current(&self) -> usize {
        usize::from(self.current)
    }

    /// The size to probe now, if a probe is due. Several sizes of the ladder that the ends do not allow end
    /// in one that they do: their maximum.
    pub(super) fn due(&self, now: Instant) -> Option<usize> {
        if now < self.next {
            return None;
        }
        let above = DATAGRAM_LADDER.iter().map(|&size| size.min(usize::from(self.max)));
        above.filter(|&size| size > self.current()).min()
    }

    /// Notes a probe; the next follows after `interval` unless this one is reported.
    pub(super) fn sent(&mut self, now: Instant, sequence: u64, size: usize, interval: Duration) {
        self.probe = Some(Probe { sequence, size: size as u16 });
        self.tries += 1;
        let pause = if self.tries >= TRIES { RAISE_AGAIN } else { interval };
        if self.tries >= TRIES {
            self.tries = 0;
        }
        self.next = now + pause;
    }

    /// The reported ranges (inclusive) of a REPORT, and how many trains vanished in a row.
    pub(super) fn reported(
        &mut self,
        now: Instant,
        ranges: &[(u64, u64)],
        lost_trains: u32,
    ) -> Option<SizeChange> {
        if let Some(Probe { sequence, size }) = self.probe
            && ranges.iter().any(|&(low, high)| (low..=high).contains(&sequence))
        {
            self.probe = None;
            self.tries = 0;
            self.next = now;
            if size > self.current {
                self.current = size;
                return Some(SizeChange::Raised(usize::from(size)));
            }
        }
        if lost_trains >= BLACK_HOLE_TRAINS { self.fall(now) } else { None }
    }

    /// Nothing of this size arrives. Says whether a smaller size is in use from now on.
    pub(super) fn black_hole(&mut self, now: Instant) -> bool {
        self.fall(now).is_some()
    }

    /// A send of `size` bytes was refused as too large for its route.
    pub(super) fn refused(&mut self, now: Instant, size: usize) -> Option<SizeChange> {
        if self.probe.is_some_and(|probe| usize::from(probe.size) == size) {
            self.probe = None;
            self.tries = 0;
            self.next = now + RAISE_AGAIN;
        }
        if size <= self.current() { self.reset(now + RAISE_AGAIN) } else { None }
    }

    /// Back to the base after a black hole.
    fn fall(&mut self, now: Instant) -> Option<SizeChange> {
        let pause = SEARCH_AGAIN * (1 << self.holes.min(9));
        let change = self.reset(now + pause.min(RAISE_AGAIN))?;
        self.holes = self.holes.saturating_add(1);
        Some(change)
    }

    /// Back to the base; no probe before `next`.
    fn reset(&mut self, next: Instant) -> Option<SizeChange> {
        if self.current() == DATAGRAM_BASE {
            return None;
        }
        let fresh = Self::new(usize::from(self.max));
        *self = Self { next, holes: self.holes, ..fresh };
        Some(SizeChange::Reset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn climbs_the_ladder_probe_by_probe() {
        let mut search = SizeSearch::new(9000);
        let now = Instant::ZERO;
        assert_eq!(search.due(now), Some(1440));
        search.sent(now, 10, 1440, MS);
        assert_eq!(search.due(now), None, "one probe at a time");
        assert_eq!(search.reported(now, &[(10, 12)], 0), Some(SizeChange::Raised(1440)));
        assert_eq!(search.due(now), Some(8952));
        search.sent(now, 20, 8952, MS);
        assert_eq!(search.reported(now, &[(20, 20)], 0), Some(SizeChange::Raised(8952)));
        assert_eq!(search.due(now), None);
    }

    #[test]
    fn gives_up_after_three_lost_probes_and_tries_again_much_later() {
        let mut search = SizeSearch::new(1440);
        let mut now = Instant::ZERO;
        for sequence in 0..3 {
            assert_eq!(search.due(now), Some(1440));
            search.sent(now, sequence, 1440, MS);
            now += MS;
        }
        assert_eq!(search.due(now), None);
        assert_eq!(search.due(now + RAISE_AGAIN), Some(1440));
    }

    #[test]
    fn a_maximum_between_the_steps_is_a_step() {
        assert_eq!(SizeSearch::new(1300).due(Instant::ZERO), Some(1300));
        assert_eq!(SizeSearch::new(1200).due(Instant::ZERO), None);
    }

    #[test]
    fn a_black_hole_or_a_refusal_resets_to_the_base() {
        let mut search = SizeSearch::new(1440);
        search.sent(Instant::ZERO, 1, 1440, MS);
        search.reported(Instant::ZERO, &[(1, 1)], 0);
        assert_eq!(search.reported(Instant::ZERO, &[(5, 5)], 3), Some(SizeChange::Reset));
        assert_eq!(search.current(), DATAGRAM_BASE);
        assert_eq!(search.due(Instant::ZERO), None);
        assert_eq!(search.refused(Instant::ZERO, 1440), None, "already at the base");
    }

    #[test]
    fn after_a_black_hole_the_search_begins_anew_later_each_time() {
        let mut search = SizeSearch::new(1440);
        let mut now = Instant::ZERO;
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512].map(Duration::from_secs) {
            search.sent(now, 1, 1440, MS);
            assert_eq!(search.reported(now, &[(1, 1)], 0), Some(SizeChange::Raised(1440)));
            assert!(search.black_hole(now));
            assert_eq!(search.due(now + pause - MS), None);
            now += pause;
            assert_eq!(search.due(now), Some(1440));
        }
    }
}
