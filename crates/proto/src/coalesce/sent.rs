//! What a channel sent: how much of late, and which segments last.

use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// How finely time is counted, and how much of it is remembered: 5 minutes.
const SLICE: Duration = Duration::from_secs(10);
const SLICES: usize = 30;
/// A channel that is younger is counted as if it were so old.
const YOUNGEST: Duration = Duration::from_secs(60);
/// Sends that say where the middle of the load is.
const SENDS_MAX: usize = 64;

/// The record of one channel.
#[derive(Debug)]
pub(super) struct Sent {
    since: Instant,
    /// Bytes of each slice since then, in turn; of the last [`SLICES`] of them.
    slices: [u64; SLICES],
    /// The slice that was counted last.
    slice: u64,
    /// The last segments, in turn.
    segments: Vec<u32>,
    next: usize,
}

impl Sent {
    pub(super) fn new(now: Instant) -> Self {
        let segments = Vec::with_capacity(SENDS_MAX);
        Self { since: now, slices: [0; SLICES], slice: 0, segments, next: 0 }
    }

    /// Its segments are others from now on: what was sent says nothing about the load to come.
    pub(super) fn restart(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// Splits off what was sent of segments from `first` on: of the bytes as large a part as of the last segments.
    pub(super) fn split(&mut self, first: u32) -> Self {
        let all = self.segments.len().max(1) as u64;
        let above: Vec<u32> = self.segments.extract_if(.., |segment| *segment >= first).collect();
        let part = above.len() as u64;
        let mut upper = Self { segments: above, next: 0, ..*self };
        self.next = 0;
        for (lower, upper) in self.slices.iter_mut().zip(&mut upper.slices) {
            *upper = *upper * part / all;
            *lower -= *upper;
        }
        upper
    }

    /// Whether it knows the whole of the time that is remembered.
    pub(super) fn is_old(&self, now: Instant) -> bool {
        now.saturating_since(self.since) >= SLICE * SLICES as u32
    }

    /// So many bytes leave.
    pub(super) fn add(&mut self, now: Instant, bytes: u64) {
        self.move_to(now);
        self.slices[self.slice as usize % SLICES] += bytes;
    }

    /// The segment is begun.
    pub(super) fn remember(&mut self, segment: u32) {
        if self.segments.len() < SENDS_MAX {
            self.segments.push(segment);
        } else {
            self.segments[self.next] = segment;
            self.next = (self.next + 1) % SENDS_MAX;
        }
    }

    /// What it sent in a second, by the last five minutes.
    pub(super) fn rate(&mut self, now: Instant) -> Rate {
        self.move_to(now);
        let age = now.saturating_since(self.since).clamp(YOUNGEST, SLICE * SLICES as u32);
        Rate::of(self.slices.iter().sum(), age).unwrap_or(Rate::ZERO)
    }

    /// The segment in the middle of the last ones, by their numbers.
    pub(super) fn median(&self) -> Option<u32> {
        let mut segments = self.segments.clone();
        segments.sort_unstable();
        segments.get(segments.len() / 2).copied()
    }

    fn move_to(&mut self, now: Instant) {
        let slice = now.saturating_since(self.since).as_nanos() / SLICE.as_nanos();
        let slice = u64::try_from(slice).unwrap_or(u64::MAX).max(self.slice);
        let passed = (slice - self.slice).min(SLICES as u64);
        for back in 0..passed {
            self.slices[(slice - back) as usize % SLICES] = 0;
        }
        self.slice = slice;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn the_rate_is_that_of_the_last_five_minutes() {
        let mut sent = Sent::new(at(100));
        sent.add(at(100), 6_000);
        assert_eq!(sent.rate(at(110)), Rate::new(100), "as if it had been a minute");
        assert_eq!(sent.rate(at(220)), Rate::new(50));
        for second in 220..520 {
            sent.add(at(second), 1_000);
        }
        let rate = sent.rate(at(519)).bytes_per_second();
        assert!((950..=1000).contains(&rate), "{rate}");
        assert_eq!(sent.rate(at(2_000)), Rate::ZERO);
        assert!(!sent.is_old(at(399)) && sent.is_old(at(400)));
    }

    #[test]
    fn each_part_of_what_is_split_has_its_load() {
        let mut sent = Sent::new(at(0));
        for second in 0..60 {
            sent.add(at(second), 1_000);
            sent.remember(second as u32 % 4);
        }
        let mut upper = sent.split(3);
        let rates = [&mut sent, &mut upper].map(|part| part.rate(at(59)).bytes_per_second());
        assert_eq!(rates, [750, 250]);
        assert_eq!((sent.median(), upper.median()), (Some(1), Some(3)));
        let mut none = sent.split(9);
        assert_eq!((none.rate(at(59)), none.median()), (Rate::ZERO, None));
        assert_eq!(Sent::new(at(0)).split(0).rate(at(1)), Rate::ZERO);
    }

    #[test]
    fn the_middle_is_that_of_the_last_sixty_four() {
        let mut sent = Sent::new(at(0));
        assert_eq!(sent.median(), None);
        for segment in (0..100).chain(500..564) {
            sent.remember(segment);
        }
        assert_eq!(sent.median(), Some(532));
    }
}
