//! A play-out model: somebody watches the title while it comes. When each segment is asked for, by when it is to be there,
//! and what became of that. No clock, no sockets.
//!
//! The running time is divided evenly over the segments. Playing begins a start-up time after the fetch, or when the first
//! segment has come, if that is later. A segment that is not there when its turn comes stops the picture until it is, and
//! everything after it plays so much later. Deadlines are earlier than that, by a reserve that grows while it plays.

use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_proto::time::{Duration, Instant};
use serde::Serialize;

use crate::file::Bitmap;

/// The reserve is a tenth of what was played …
const RESERVE_PART: u32 = 10;
/// … and at most this: an outage so long is not seen.
const RESERVE_MAX: Duration = Duration::from_secs(30);
/// A segment is asked for at a random time before its deadline: at least so long …
const AHEAD_MIN: Duration = Duration::from_secs(8);
/// … and at most so long. Viewers that are at the same place then do not all ask at once.
const AHEAD_MAX: Duration = Duration::from_secs(16);

/// How a title is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayConfig {
    /// From the beginning of the fetch to the first picture, at the soonest.
    pub start_up: Duration,
    /// Of the times at which segments are asked for; none: drawn afresh.
    pub seed: Option<u64>,
}

/// How watching went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlayReport {
    /// From the beginning of the fetch to the first picture, microseconds.
    pub start_up_us: u64,
    /// Times that the picture stood still after that.
    pub stalls: u32,
    /// For how long in all, microseconds.
    pub stalled_us: u64,
    /// Segments that came after their deadline. The picture stands still only when the reserve is used up, too.
    pub missed: u32,
    /// Segments that had a deadline: all but those of an earlier fetch.
    pub deadlines: u32,
    /// The seed of the times at which segments were asked for.
    pub seed: u64,
}

/// Somebody who watches. Moments must not go back.
#[derive(Debug)]
pub struct Playout {
    running_time: Duration,
    segments: u32,
    begun: Instant,
    /// When segment 0 would have begun to play for the picture to be where it is now without a stall.
    start: Instant,
    there: Bitmap,
    /// The first segment that does not play yet.
    playing: u32,
    rng: ChaCha8Rng,
    /// The first segment whose time to be asked for is not drawn yet.
    next: u32,
    /// When which of those before is to be asked for.
    drawn: BTreeSet<(Instant, u32)>,
    report: PlayReport,
}

impl Playout {
    /// Of a title of `segments` that plays for `running_time`, whose fetch began at `begun`. `there`: what an earlier
    /// fetch left.
    #[must_use]
    pub fn new(
        running_time: Duration,
        there: Bitmap,
        begun: Instant,
        start_up: Duration,
        seed: u64,
    ) -> Self {
        let segments = there.bound();
        let report = PlayReport {
            start_up_us: micros(start_up),
            stalls: 0,
            stalled_us: 0,
            missed: 0,
            deadlines: segments - there.count(),
            seed,
        };
        Self {
            running_time,
            segments,
            begun,
            start: begun + start_up,
            there,
            playing: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            next: 0,
            drawn: BTreeSet::new(),
            report,
        }
    }

    /// The next segment to ask for now, with its deadline. Each is given once.
    pub fn take_due(&mut self, now: Instant) -> Option<(u32, Instant)> {
        while self.next < self.segments && self.deadline(self.next) <= now + AHEAD_MAX {
            let ahead = self.draw(AHEAD_MIN, AHEAD_MAX);
            let at = self.deadline(self.next) - ahead;
            if !self.there.contains(self.next) {
                self.drawn.insert((at, self.next));
            }
            self.next += 1;
        }
        let (at, segment) = self.drawn.first().copied().filter(|(at, _)| *at <= now)?;
        self.drawn.remove(&(at, segment));
        Some((segment, self.deadline(segment)))
    }

    /// When [`Self::take_due`] may have something to give; none once all was given.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let drawn = self.drawn.first().map(|(at, _)| *at);
        let next = (self.next < self.segments).then(|| self.deadline(self.next) - AHEAD_MAX);
        drawn.into_iter().chain(next).min()
    }

    /// `segment` is there: verified and written.
    pub fn arrived(&mut self, now: Instant, segment: u32) {
        self.report.missed += u32::from(now > self.deadline(segment));
        self.play_to(now);
        let late = now.saturating_since(self.plays_at(segment));
        if segment == self.playing && !late.is_zero() {
            self.start += late;
            if segment == 0 {
                self.report.start_up_us = micros(now.saturating_since(self.begun));
            } else {
                self.report.stalls += 1;
                self.report.stalled_us += micros(late);
            }
        }
        self.there.insert(segment);
    }

    /// What the part file was said to hold is not that segment: it is asked for now.
    pub fn recheck_failed(&mut self, segment: u32) {
        if self.there.remove(segment) {
            self.report.deadlines += 1;
        }
    }

    /// How much of the title has been seen by `now`: what plays at the moment counts as far as it has played.
    pub fn seen(&mut self, now: Instant) -> Duration {
        self.play_to(now);
        now.saturating_since(self.start).min(self.played_before(self.playing))
    }

    /// How it went.
    #[must_use]
    pub fn report(&self) -> PlayReport {
        self.report.clone()
    }

    /// The playing time of what comes before `segment`.
    fn played_before(&self, segment: u32) -> Duration {
        let nanos = self.running_time.as_nanos() * u128::from(segment);
        let nanos = nanos / u128::from(self.segments.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn plays_at(&self, segment: u32) -> Instant {
        self.start + self.played_before(segment)
    }

    /// When `segment` is to be there.
    #[must_use]
    pub fn deadline(&self, segment: u32) -> Instant {
        let reserve = (self.played_before(segment) / RESERVE_PART).min(RESERVE_MAX);
        self.plays_at(segment) - reserve
    }

    /// Lets everything begin to play that is there and whose time has come.
    fn play_to(&mut self, now: Instant) {
        while self.there.contains(self.playing) && self.plays_at(self.playing) <= now {
            self.playing += 1;
        }
    }

    fn draw(&mut self, least: Duration, most: Duration) -> Duration {
        let part = self.rng.next_u32();
        least + (most - least) * part / u32::MAX
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
