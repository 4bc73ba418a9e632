//! One direction of an emulated link, without a clock: a drop-tail queue before a serialiser of
//! fixed rate, then a wire that delays, loses, doubles and reorders.
//!
//! A frame meets the queue first and the wire after it, so what the wire loses has used the link's
//! capacity, as on a real link. Everything random comes from one seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use segcast_proto::time::Instant;

use super::flow::Flow;
use super::occupancy::Occupancy;
use super::wire::Wire;

/// Parameters of one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DirectionConfig {
    /// Bits per second, counted over whole Ethernet frames (14 bytes of header, no preamble).
    pub rate: u64,
    /// From the end of a frame's transmission to its delivery.
    pub delay: Duration,
    /// Room of the queue in bytes of frames; the frame being transmitted counts. An empty queue
    /// takes a frame of any size.
    pub queue: u64,
    /// What the wire does to frames.
    pub wire: Wire,
}

/// What happened to frames, and how full the queue was, since the last look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Frames that came to the queue.
    pub offered: u64,
    /// Frames that found no room in the queue.
    pub dropped: u64,
    /// Frames that the wire lost.
    pub lost: u64,
    /// Frames that came out at the far end; a doubled frame counts twice.
    pub delivered: u64,
    /// Bytes of the frames that came out, of each flow.
    pub delivered_bytes: BTreeMap<Flow, u64>,
    /// Bytes in the queue, mean over time.
    pub queue_mean: f64,
    /// Bytes in the queue: half of the time fewer.
    pub queue_p50: u64,
    /// Bytes in the queue: 95 % of the time fewer.
    pub queue_p95: u64,
}

/// One direction of the link; `T` is the frame.
#[derive(Debug)]
pub struct Pipe<T> {
    config: DirectionConfig,
    random: ChaCha8Rng,
    wire_is_bad: bool,
    /// When the serialiser has sent all it accepted.
    free_at: Instant,
    /// Frames not yet fully transmitted: when each is, and its length.
    queued: VecDeque<(Instant, u64)>,
    occupancy: Occupancy,
    flying: BinaryHeap<Reverse<Flying<T>>>,
    /// Frames put on the wire so far: the order of frames that arrive at the same time.
    sent: u64,
    counts: Statistics,
}

#[derive(Debug)]
struct Flying<T> {
    arrives: (Instant, u64),
    length: u64,
    flow: Flow,
    frame: T,
}

impl<T> PartialEq for Flying<T> {
    fn eq(&self, other: &Self) -> bool {
        self.arrives == other.arrives
    }
}

impl<T> Eq for Flying<T> {}

impl<T> PartialOrd for Flying<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Flying<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.arrives.cmp(&other.arrives)
    }
}

impl<T: Clone> Pipe<T> {
    /// An empty direction whose statistics begin at `now`.
    #[must_use]
    pub fn new(config: DirectionConfig, seed: u64, now: Instant) -> Self {
        Pipe {
            config,
            random: ChaCha8Rng::seed_from_u64(seed),
            wire_is_bad: false,
            free_at: now,
            queued: VecDeque::new(),
            occupancy: Occupancy::new(config.queue, now),
            flying: BinaryHeap::new(),
            sent: 0,
            counts: Statistics::default(),
        }
    }

    /// A frame of `length` bytes enters at `now`, which never goes back.
    pub fn push(&mut self, now: Instant, length: u64, flow: Flow, frame: T) {
        self.transmit(now);
        self.counts.offered += 1;
        let bytes = self.occupancy.bytes();
        if bytes > 0 && bytes + length > self.config.queue {
            self.counts.dropped += 1;
            return;
        }
        let sending = Duration::from_nanos(length * 8 * 1_000_000_000 / self.config.rate);
        self.free_at = self.free_at.max(now) + sending;
        self.queued.push_back((self.free_at, length));
        self.occupancy.set(now, bytes + length);
        let fate = self.config.wire.fate(&mut self.random, &mut self.wire_is_bad);
        if fate.is_lost {
            self.counts.lost += 1;
            return;
        }
        let arrives = self.free_at + self.config.delay + fate.extra_delay;
        for _ in 0..fate.copies {
            let arrives = (arrives, self.sent);
            self.sent += 1;
            self.flying.push(Reverse(Flying { arrives, length, flow, frame: frame.clone() }));
        }
    }

    /// The next frame that has come out by `now`.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        if self.next_at()? > now {
            return None;
        }
        let Reverse(flying) = self.flying.pop()?;
        self.counts.delivered += 1;
        *self.counts.delivered_bytes.entry(flying.flow).or_default() += flying.length;
        Some(flying.frame)
    }

    /// When the next frame comes out.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.flying.peek().map(|Reverse(flying)| flying.arrives.0)
    }

    /// What happened since the last call; counting begins anew.
    pub fn take_statistics(&mut self, now: Instant) -> Statistics {
        self.transmit(now);
        let filled = self.occupancy.restart(now);
        Statistics {
            queue_mean: filled.mean,
            queue_p50: filled.p50,
            queue_p95: filled.p95,
            ..std::mem::take(&mut self.counts)
        }
    }

    /// Takes what was fully transmitted by `now` out of the queue.
    fn transmit(&mut self, now: Instant) {
        while let Some(&(done, length)) = self.queued.front().filter(|(done, _)| *done <= now) {
            self.queued.pop_front();
            self.occupancy.set(done, self.occupancy.bytes() - length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 8 Mbit/s: a frame of 1000 bytes takes a millisecond.
    const CONFIG: DirectionConfig = DirectionConfig {
        rate: 8_000_000,
        delay: Duration::from_millis(10),
        queue: 3000,
        wire: Wire::PERFECT,
    };

    const FLOW: Flow = Flow { protocol: 17, port: 1 };

    fn at(milliseconds: u64) -> Instant {
        Instant::from_nanos(milliseconds * 1_000_000)
    }

    #[test]
    fn frames_are_serialised_then_delayed() {
        let mut pipe = Pipe::new(CONFIG, 1, at(0));
        pipe.push(at(0), 1000, FLOW, 'a');
        pipe.push(at(0), 1000, FLOW, 'b');
        assert_eq!(pipe.next_at(), Some(at(11)));
        assert_eq!(pipe.pop(at(10)), None);
        assert_eq!(pipe.pop(at(11)), Some('a'));
        assert_eq!(pipe.pop(at(11)), None);
        assert_eq!(pipe.pop(at(12)), Some('b'));
        // An idle link saves nothing up.
        pipe.push(at(20), 1000, FLOW, 'c');
        assert_eq!(pipe.next_at(), Some(at(31)));
    }

    #[test]
    fn a_full_queue_drops_the_tail() {
        let mut pipe = Pipe::new(CONFIG, 1, at(0));
        for frame in 0..4 {
            pipe.push(at(0), 1000, FLOW, frame);
        }
        // The first is through after a millisecond: room for one more.
        pipe.push(at(1), 1000, FLOW, 4);
        pipe.push(at(1), 1000, FLOW, 5);
        let out: Vec<i32> = std::iter::from_fn(|| pipe.pop(at(100))).collect();
        assert_eq!(out, [0, 1, 2, 4]);
        let statistics = pipe.take_statistics(at(100));
        assert_eq!((statistics.offered, statistics.dropped, statistics.delivered), (6, 2, 4));
        assert_eq!(statistics.delivered_bytes, [(FLOW, 4000)].into());
    }

    #[test]
    fn a_frame_larger_than_the_queue_passes_when_the_queue_is_empty() {
        let mut pipe = Pipe::new(CONFIG, 1, at(0));
        pipe.push(at(0), 9000, FLOW, 'a');
        pipe.push(at(0), 1, FLOW, 'b');
        assert_eq!(pipe.pop(at(19)), Some('a'));
        assert_eq!(pipe.take_statistics(at(19)).dropped, 1);
    }

    #[test]
    fn occupancy_is_a_mean_over_time() {
        let mut pipe = Pipe::new(CONFIG, 1, at(0));
        // 3000 bytes for 1 ms, 2000 for 1 ms, 1000 for 1 ms, nothing for 3 ms.
        for frame in 0..3 {
            pipe.push(at(0), 1000, FLOW, frame);
        }
        let statistics = pipe.take_statistics(at(6));
        assert!((statistics.queue_mean - 1000.0).abs() < 1e-6, "{statistics:?}");
        assert_eq!(statistics.queue_p50, 0);
        assert_eq!(statistics.queue_p95, 3000);
        assert_eq!(pipe.take_statistics(at(7)), Statistics::default());
    }

    #[test]
    fn a_seed_gives_one_course_of_events() {
        let wire = Wire { loss: super::super::Loss::Random(0.3), ..Wire::PERFECT };
        let config = DirectionConfig { wire, queue: u64::MAX, ..CONFIG };
        let run = |seed| {
            let mut pipe = Pipe::new(config, seed, at(0));
            (0..1000).for_each(|frame| pipe.push(at(0), 1000, FLOW, frame));
            std::iter::from_fn(|| pipe.pop(at(5000))).collect::<Vec<i32>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn delayed_frames_are_overtaken_and_doubled_ones_come_twice() {
        let reorder = Some((1.0, Duration::from_millis(5)));
        let late = DirectionConfig { wire: Wire { reorder, ..Wire::PERFECT }, ..CONFIG };
        let mut pipe = Pipe::new(late, 1, at(0));
        pipe.push(at(0), 1000, FLOW, 'a');
        pipe.config.wire = Wire { duplicate: 1.0, ..Wire::PERFECT };
        pipe.push(at(0), 1000, FLOW, 'b');
        let out: Vec<char> = std::iter::from_fn(|| pipe.pop(at(100))).collect();
        assert_eq!(out, ['b', 'b', 'a']);
        assert_eq!(pipe.take_statistics(at(100)).delivered, 3);
    }
}
