//! One direction of a path: rate, delay, a drop-tail queue, loss (random or in bursts), reordering and
//! duplication.

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_proto::time::{Duration, Instant};

/// Bytes of a full packet, for the length of bursts.
const FULL_PACKET: f64 = 1500.0;

/// What a direction does to packets.
#[derive(Clone, Copy, Debug)]
pub struct LinkConfig {
    /// Bytes per second.
    pub rate: u64,
    /// One-way delay.
    pub delay: Duration,
    /// Bytes that wait at most.
    pub queue: u64,
    /// Share of packets lost, 0 to 1.
    pub loss: f64,
    /// Mean length of a run of losses, in the time that so many full packets take at the rate; 1: independent losses.
    pub burst: f64,
    /// Share of packets that are held back, up to `reorder_by` longer.
    pub reorder: f64,
    /// The most a packet is held back.
    pub reorder_by: Duration,
    /// Share of packets that arrive twice.
    pub duplicate: f64,
}

/// One direction with its state.
pub struct Link {
    /// What it does.
    pub config: LinkConfig,
    rng: ChaCha20Rng,
    busy_until: Instant,
    /// The Gilbert–Elliott model's bad state: everything is lost.
    bad: bool,
    /// When the model last moved.
    moved: Instant,
    /// Packets dropped by the queue.
    pub queue_drops: u64,
    /// Packets lost.
    pub losses: u64,
}

/// A number in 0..1.
pub fn unit(rng: &mut ChaCha20Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Arrivals of one packet: none, one, or two.
pub type Arrivals = [Option<Instant>; 2];

impl Link {
    /// An idle link whose dice come from `seed`.
    #[must_use]
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        let rng = ChaCha20Rng::seed_from_u64(seed);
        let busy_until = Instant::ZERO;
        Self {
            config,
            rng,
            busy_until,
            bad: false,
            moved: Instant::ZERO,
            queue_drops: 0,
            losses: 0,
        }
    }

    /// Sends a packet of `bytes` at `now`; says when it arrives.
    pub fn send(&mut self, now: Instant, bytes: usize) -> Arrivals {
        let start = self.busy_until.max(now);
        let backlog = start.saturating_since(now).as_nanos() * u128::from(self.config.rate);
        if backlog / 1_000_000_000 + bytes as u128 > u128::from(self.config.queue) {
            self.queue_drops += 1;
            return [None, None];
        }
        let nanos = bytes as u64 * 1_000_000_000 / self.config.rate.max(1);
        self.busy_until = start + Duration::from_nanos(nanos);
        if self.is_lost() {
            self.losses += 1;
            return [None, None];
        }
        let first = Some(self.arrival());
        let second = (unit(&mut self.rng) < self.config.duplicate).then(|| self.arrival());
        [first, second]
    }

    fn arrival(&mut self) -> Instant {
        let mut at = self.busy_until + self.config.delay;
        if unit(&mut self.rng) < self.config.reorder {
            at += self.config.reorder_by.mul_f64(unit(&mut self.rng));
        }
        at
    }

    fn is_lost(&mut self) -> bool {
        let LinkConfig { loss, burst, .. } = self.config;
        if burst <= 1.0 {
            return unit(&mut self.rng) < loss;
        }
        // The bad state lasts `burst` packets on average and holds a share `loss` of all packets.
        let leave_bad = 1.0 / burst;
        let enter_bad = (loss * leave_bad / (1.0 - loss)).min(1.0);
        // A burst is a stretch of time: sparse packets do not prolong it. So the chain moves by as many steps as
        // full packets could have passed since the last one.
        let passed = self.busy_until.saturating_since(self.moved).as_secs_f64();
        let steps = (passed * self.config.rate as f64 / FULL_PACKET).max(1.0);
        self.moved = self.busy_until;
        let memory = (1.0 - enter_bad - leave_bad).max(0.0).powf(steps);
        let was_bad = if self.bad { 1.0 } else { 0.0 };
        self.bad = unit(&mut self.rng) < loss + (was_bad - loss) * memory;
        self.bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> LinkConfig {
        LinkConfig {
            rate: 1_000_000,
            delay: Duration::from_millis(10),
            queue: 10_000,
            loss: 0.0,
            burst: 1.0,
            reorder: 0.0,
            reorder_by: Duration::ZERO,
            duplicate: 0.0,
        }
    }

    #[test]
    fn packets_queue_behind_each_other_and_the_queue_ends() {
        let mut link = Link::new(config(), 1);
        let arrivals: Vec<_> = (0..12).map(|_| link.send(Instant::ZERO, 1000)[0]).collect();
        assert_eq!(arrivals[0], Some(Instant::ZERO + Duration::from_millis(11)));
        assert_eq!(arrivals[9], Some(Instant::ZERO + Duration::from_millis(20)));
        assert_eq!((arrivals[10], link.queue_drops), (None, 2));
    }

    #[test]
    fn losses_have_the_configured_share_alone_and_in_bursts() {
        for burst in [1.0, 5.0] {
            let slow = LinkConfig { loss: 0.1, burst, queue: u64::MAX, ..config() };
            let mut link = Link::new(slow, 7);
            for _ in 0..20_000 {
                link.send(Instant::ZERO, 1500);
            }
            assert!((1700..2300).contains(&link.losses), "burst {burst}: {}", link.losses);
        }
    }
}
