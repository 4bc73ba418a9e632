//! The player of one viewing, without pictures: when it starts, runs dry, goes on and ends, by what has come.
//!
//! It has no clock: callers say what time it is. How often they do changes no figure, as the moments between are computed.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use segcast_proto::time::{Duration, Instant};

use crate::record::Playout;

/// How a title plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutConfig {
    /// How long one segment plays; the last one, which is padded to the size of the others, counts as the others.
    segment: Duration,
    /// Segments from the playing position on that must be there to start; at least 1.
    start_segments: u32,
    /// The same to go on after a stall.
    resume_segments: u32,
}

impl PlayoutConfig {
    /// Segments of this playing time (at least a nanosecond); the player starts with `start_segments` of them (at least
    /// one) and goes on after a stall as soon as it has one.
    #[must_use]
    pub fn new(segment: Duration, start_segments: u32) -> Self {
        let segment = segment.max(Duration::from_nanos(1));
        Self { segment, start_segments: start_segments.max(1), resume_segments: 1 }
    }

    /// Segments of `segment_bytes` bytes that play at `bits_per_second`; the player starts with `start_buffer` of play,
    /// rounded up to whole segments.
    #[must_use]
    pub fn at_bit_rate(
        segment_bytes: u32,
        bits_per_second: NonZeroU64,
        start_buffer: Duration,
    ) -> Self {
        let nanoseconds =
            u128::from(segment_bytes) * 8 * 1_000_000_000 / u128::from(bits_per_second.get());
        let nanoseconds = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
        let this = Self::new(Duration::from_nanos(nanoseconds), 1);
        let start = start_buffer.as_nanos().div_ceil(this.segment.as_nanos());
        Self { start_segments: u32::try_from(start).unwrap_or(u32::MAX).max(1), ..this }
    }

    /// The same, but a player that ran dry waits for `segments` (at least one) before it goes on.
    #[must_use]
    pub fn resume_with(self, segments: u32) -> Self {
        Self { resume_segments: segments.max(1), ..self }
    }

    /// How long so many segments play.
    fn time_of(&self, segments: u32) -> Duration {
        self.segment.saturating_mul(segments)
    }

    /// How long one segment plays.
    #[must_use]
    pub fn segment(&self) -> Duration {
        self.segment
    }

    /// Segments that must be there to start.
    #[must_use]
    pub fn start_segments(&self) -> u32 {
        self.start_segments
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not begun.
    Starting,
    Playing,
    /// Ran dry.
    Stalled,
    Over,
}

/// One viewing of a number of segments, counted from 0 where the viewing begins (not where the title does).
///
/// Every moment between the intention and the end is startup, stall or play. A moment before one that was given earlier
/// counts as that.
#[derive(Clone, Debug)]
pub struct Viewing {
    config: PlayoutConfig,
    segments: u32,
    intended: Instant,
    state: State,
    /// All before it is in the record.
    at: Instant,
    /// Playing position.
    position: Duration,
    /// Segments from the first on without a hole.
    whole: u32,
    /// Which ones came beyond the first hole: entry i is segment `whole` + i, and entry 0 is never there.
    beyond: VecDeque<bool>,
}

impl Viewing {
    /// A viewing of `segments` segments, from the moment the viewer wanted it.
    #[must_use]
    pub fn new(config: PlayoutConfig, segments: u32, intended: Instant) -> Self {
        let (position, beyond) = (Duration::ZERO, VecDeque::new());
        let state = if segments == 0 { State::Over } else { State::Starting };
        Self { config, segments, intended, state, at: intended, position, whole: 0, beyond }
    }

    /// A verified segment has come; a second time or beyond the end, it changes nothing.
    pub fn on_segment(&mut self, at: Instant, index: u32, record: &mut Playout) {
        self.advance(at, record);
        if self.state == State::Over || index < self.whole || index >= self.segments {
            return;
        }
        let place = (index - self.whole) as usize;
        if self.beyond.len() <= place {
            self.beyond.resize(place + 1, false);
        }
        self.beyond[place] = true;
        while self.beyond.front() == Some(&true) {
            self.beyond.pop_front();
            self.whole += 1;
        }
        self.play_if_enough(record);
    }

    /// Accounts for the time up to `at`.
    pub fn advance(&mut self, at: Instant, record: &mut Playout) {
        let passed = at.saturating_since(self.at);
        self.at = self.at.max(at);
        match self.state {
            State::Starting | State::Over => {}
            State::Stalled => record.stalled += passed,
            State::Playing => {
                let played = passed.min(self.buffered());
                self.position += played;
                record.played += played;
                if self.position == self.config.time_of(self.segments) {
                    self.state = State::Over;
                } else if played < passed {
                    self.state = State::Stalled;
                    record.stalls += 1;
                    record.stalled += passed - played;
                }
            }
        }
    }

    /// The viewer leaves. A viewing ends by itself when all has been played.
    pub fn end(&mut self, at: Instant, record: &mut Playout) {
        self.advance(at, record);
        if self.state == State::Starting {
            record.never_started += 1;
        }
        self.state = State::Over;
    }

    /// Whether all has been played or the viewer has left, as of the last moment given.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// What the player could play on from its position without a hole, as of the last moment given.
    #[must_use]
    pub fn buffered(&self) -> Duration {
        self.config.time_of(self.whole).saturating_sub(self.position)
    }

    /// When segment `index` is needed at the latest, if the player plays from now on: the deadline to ask with. For a
    /// player that waits, as if it began to play at the last moment given.
    #[must_use]
    pub fn needed(&self, index: u32) -> Instant {
        self.at + self.config.time_of(index).saturating_sub(self.position)
    }

    fn play_if_enough(&mut self, record: &mut Playout) {
        let enough = match self.state {
            State::Starting => self.config.start_segments,
            State::Stalled => self.config.resume_segments,
            State::Playing | State::Over => return,
        };
        if self.buffered() < self.config.time_of(enough) && self.whole < self.segments {
            return;
        }
        if self.state == State::Starting {
            record.started += 1;
            record.startup.record(self.at.saturating_since(self.intended));
        }
        self.state = State::Playing;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Instant {
        Instant::ZERO + S * seconds
    }

    #[test]
    fn a_viewing_starts_stalls_goes_on_and_ends() {
        let mut record = Playout::default();
        let mut viewing = Viewing::new(PlayoutConfig::new(S * 4, 2), 3, at(10));
        viewing.on_segment(at(11), 1, &mut record);
        assert_eq!((record.started, viewing.buffered()), (0, Duration::ZERO));
        viewing.on_segment(at(12), 0, &mut record);
        assert_eq!((record.started, viewing.buffered()), (1, S * 8));
        assert_eq!(viewing.needed(2), at(20));
        // Dry from 20 on; the last segment comes at 23 and plays to 27.
        viewing.on_segment(at(23), 2, &mut record);
        viewing.advance(at(26), &mut record);
        assert!(!viewing.is_over());
        viewing.end(at(40), &mut record);
        assert!(viewing.is_over());
        assert_eq!((record.stalls, record.stalled, record.played), (1, S * 3, S * 12));
        assert_eq!((record.startup.histogram().len(), record.never_started), (1, 0));
        assert_eq!(record.rebuffer_ratio(), Some(0.2));
    }

    #[test]
    fn a_viewing_that_ends_before_it_starts_is_no_viewing() {
        let mut record = Playout::default();
        let mut viewing = Viewing::new(PlayoutConfig::new(S, 2), 9, at(0));
        viewing.on_segment(at(1), 0, &mut record);
        viewing.end(at(5), &mut record);
        viewing.end(at(6), &mut record);
        viewing.on_segment(at(7), 1, &mut record);
        assert_eq!((record.started, record.never_started), (0, 1));
        assert_eq!(record.rebuffer_ratio(), None);
    }

    #[test]
    fn a_segment_that_comes_when_the_player_needs_it_makes_no_stall() {
        let mut record = Playout::default();
        let mut viewing = Viewing::new(PlayoutConfig::new(S, 1), 3, at(0));
        (0..3).for_each(|index| viewing.on_segment(at(index), index, &mut record));
        viewing.advance(at(3), &mut record);
        assert!(viewing.is_over());
        assert_eq!((record.stalls, record.played), (0, S * 3));
    }

    #[test]
    fn a_short_viewing_starts_with_less_than_the_start_buffer() {
        let mut record = Playout::default();
        let mut viewing = Viewing::new(PlayoutConfig::new(S, 9).resume_with(5), 2, at(0));
        viewing.on_segment(at(0), 0, &mut record);
        viewing.on_segment(at(1), 1, &mut record);
        viewing.end(at(3), &mut record);
        assert_eq!((record.started, record.played), (1, S * 2));
    }

    #[test]
    fn a_player_that_ran_dry_waits_for_its_reserve() {
        let mut record = Playout::default();
        let config = PlayoutConfig::new(S, 1).resume_with(2);
        let mut viewing = Viewing::new(config, 9, at(0));
        viewing.on_segment(at(0), 0, &mut record);
        viewing.on_segment(at(3), 1, &mut record);
        viewing.on_segment(at(5), 2, &mut record);
        viewing.advance(at(6), &mut record);
        assert_eq!((record.stalls, record.stalled, record.played), (1, S * 4, S * 2));
    }

    #[test]
    fn a_bit_rate_gives_the_playing_time() {
        let rate = NonZeroU64::new(8_000_000).expect("not 0");
        let config = PlayoutConfig::at_bit_rate(2_000_000, rate, S * 5);
        assert_eq!((config.segment(), config.start_segments()), (S * 2, 3));
        let slowest = PlayoutConfig::at_bit_rate(u32::MAX, NonZeroU64::MIN, Duration::ZERO);
        assert_eq!(slowest.start_segments(), 1);
        let nothing = PlayoutConfig::at_bit_rate(0, NonZeroU64::MAX, S);
        assert_eq!(nothing.segment(), Duration::from_nanos(1));
    }

    /// The plain way: one millisecond after the other.
    fn by_steps(config: PlayoutConfig, segments: u32, came: &[u64], end: u64) -> [u64; 4] {
        let millisecond = |time: Duration| u64::try_from(time.as_millis()).expect("short");
        let length = millisecond(config.segment);
        let (mut state, mut position) = (State::Starting, 0);
        let (mut startup, mut stalls, mut stalled, mut played) = (0, 0, 0, 0);
        for now in 0..end {
            let whole = came.iter().take_while(|&&came| came <= now).count() as u64;
            let ahead = whole * length - position;
            let enough = |n: u32| whole == u64::from(segments) || ahead >= u64::from(n) * length;
            if position == u64::from(segments) * length {
                break;
            }
            if state == State::Playing && ahead == 0 {
                (state, stalls) = (State::Stalled, stalls + 1);
            }
            state = match state {
                State::Starting if enough(config.start_segments) => State::Playing,
                State::Stalled if ahead > 0 && enough(config.resume_segments) => State::Playing,
                other => other,
            };
            match state {
                State::Starting => startup += 1,
                State::Stalled => stalled += 1,
                _ => (position, played) = (position + 1, played + 1),
            }
        }
        [startup, stalls, stalled, played]
    }

    proptest! {
        /// Whatever comes whenever, in any order and asked at any moment: no millisecond is lost or counted twice.
        #[test]
        fn it_agrees_with_a_player_that_plays(
            came in proptest::collection::vec(0..400_u64, 1..12),
            (length, start, resume) in (1..40_u64, 1..6_u32, 1..4_u32),
            end in 1..600_u64,
            looks in proptest::collection::vec(0..600_u64, 0..20),
        ) {
            let ms = |n| Instant::ZERO + Duration::from_millis(n);
            let segments = came.len() as u32;
            let config =
                PlayoutConfig::new(Duration::from_millis(length), start).resume_with(resume);
            let mut events: Vec<(u64, Option<u32>)> =
                came.iter().zip(0..).map(|(&at, index)| (at, Some(index))).collect();
            events.extend(looks.iter().map(|&at| (at, None)));
            events.retain(|&(at, _)| at < end);
            events.sort_by_key(|&(at, _)| at);
            let (mut record, mut viewing) =
                (Playout::default(), Viewing::new(config, segments, Instant::ZERO));
            for &(at, index) in &events {
                match index {
                    Some(index) => viewing.on_segment(ms(at), index, &mut record),
                    None => viewing.advance(ms(at), &mut record),
                }
            }
            viewing.end(ms(end), &mut record);
            let [startup, stalls, stalled, played] = by_steps(config, segments, &came, end);
            let millis = Duration::from_millis;
            prop_assert_eq!((record.stalls, record.stalled), (stalls, millis(stalled)));
            prop_assert_eq!(record.played, millis(played));
            let whole = played == length * u64::from(segments);
            prop_assert!(whole || startup + stalled + played == end);
            prop_assert_eq!(record.started + record.never_started, 1);
            if record.started == 1 {
                // Three digits of a histogram.
                let micros = (startup * 1000).max(1);
                let shown = record.startup.histogram().max();
                prop_assert!(shown.abs_diff(micros) <= micros / 900 + 1, "{shown} for {micros}");
            }
        }
    }
}
