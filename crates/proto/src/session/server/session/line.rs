//! When a member can need its segments at the earliest: nobody plays faster than their title for long.
//!
//! A deadline that is nearer than true brings a group's send forward for all who listen, and splits what they share. So
//! it is believed only as far as play and some seeks explain it. Who wants bytes sooner asks without HEARS.

use crate::time::{Duration, Instant};

/// Segments that may be needed at once where play begins.
const AHEAD: u32 = 2;
/// A deadline earlier than the line by more than this is a seek.
const SLACK: Duration = Duration::from_secs(4);
/// Requests come in any order within this time of play: who asks for what lies further back seeks.
const SPREAD: Duration = Duration::from_secs(16);
/// Seeks that are saved, and how often one comes back.
const SEEKS: u32 = 4;
const SEEK_EVERY: Duration = Duration::from_secs(30);

/// Where play began, and the seeks that are left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    first: u32,
    from: Instant,
    /// When all seeks are back.
    seeks_full: Instant,
}

impl Line {
    /// Play begins at a segment.
    pub(super) fn new(now: Instant, segment: u32) -> Self {
        Self { first: segment, from: now, seeks_full: now }
    }

    /// The deadline that is believed of a request for `segment`, each of which plays for `playing`, and that claims
    /// `claimed`.
    pub(super) fn deadline(
        &mut self,
        now: Instant,
        segment: u32,
        claimed: Instant,
        playing: Duration,
    ) -> Instant {
        let line = self.at(segment, playing);
        if line.is_some_and(|line| claimed + SLACK >= line) {
            return line.map_or(claimed, |line| claimed.max(line));
        }
        let next_seek = self.seeks_full - SEEK_EVERY * (SEEKS - 1);
        if next_seek > now {
            return claimed.max(line.unwrap_or(next_seek));
        }
        self.seeks_full = self.seeks_full.max(now) + SEEK_EVERY;
        (self.first, self.from) = (segment, now);
        claimed.max(now)
    }

    /// When the segment is needed by who plays on at 1.25 times the speed: their reserve may grow meanwhile. `None`: it
    /// lies too far back.
    fn at(&self, segment: u32, playing: Duration) -> Option<Instant> {
        let faster = |segments: u32| playing.saturating_mul(segments).saturating_mul(4) / 5;
        let back = self.first.saturating_sub(segment);
        let ahead = segment.saturating_sub(self.first).saturating_sub(AHEAD);
        (faster(back) <= SPREAD).then(|| self.from + faster(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAYS: Duration = Duration::from_secs(3);
    const START: Instant = Instant::from_nanos(1_000_000_000_000);

    fn at(seconds: f64) -> Instant {
        START + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn who_plays_is_believed_at_any_order_of_their_requests() {
        let mut line = Line::new(START, 100);
        // Plays after 2 s; asks 8 to 16 s before, in an order of its own.
        for turn in 0..1200_u32 {
            let segment = 100 + (turn / 4 * 4) + [2, 0, 3, 1][turn as usize % 4];
            let plays = 2.0 + f64::from(segment - 100) * 3.0;
            let now = at((plays - 12.0).max(0.0));
            assert_eq!(line.deadline(now, segment, at(plays), PLAYS), at(plays), "{segment}");
        }
        assert_eq!(line.deadline(at(0.0), 97, at(5.0), PLAYS), at(5.0), "a little before");
        assert_eq!(line.seeks_full, START, "and none of it was a seek");
    }

    #[test]
    fn who_claims_to_play_faster_is_clamped_after_four_seeks() {
        let mut line = Line::new(START, 0);
        let mut seeks = 0;
        // Eight times the speed, for a minute of the clock.
        for segment in 0..160_u32 {
            let claimed = at(f64::from(segment) * 3.0 / 8.0);
            let before = line.first;
            let believed = line.deadline(at(0.0).max(claimed - SLACK), segment, claimed, PLAYS);
            if line.first == before {
                assert_eq!(Some(believed), line.at(segment, PLAYS).max(Some(claimed)), "{segment}");
            } else {
                seeks += 1;
            }
        }
        // The first one came back after 30 s.
        assert_eq!(seeks, 5);
    }

    #[test]
    fn who_begins_at_the_end_cannot_claim_all_that_lies_before_it() {
        let mut line = Line::new(START, 10_000);
        let mut at_once = 0;
        for segment in (0..10_000).rev() {
            at_once += u32::from(line.deadline(START, segment, START, PLAYS) == START);
        }
        // Five places, of 16 s of play each and what comes with it.
        assert!(at_once <= 5 * 7, "{at_once}");
        let back = line.deadline(START, 0, START, PLAYS);
        assert_eq!(back, START + SEEK_EVERY, "when it may seek again");
        assert_eq!(line.deadline(back, 0, back, PLAYS), back);
    }

    #[test]
    fn no_length_of_play_overflows() {
        let mut line = Line::new(START, 0);
        for playing in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            for segment in [0, 1, 3, u32::MAX] {
                line.deadline(START, segment, START, playing);
                line.deadline(START, segment, Instant::FAR_FUTURE, playing);
            }
        }
    }
}
