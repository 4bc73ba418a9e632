//! The bottleneck: one FIFO queue with a tail-drop limit, a rate, a delay, and random loss; in virtual time.

/// Nanoseconds of virtual time.
pub type Nanos = u64;

/// A small seeded generator (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[derive(Clone, Copy, Debug)]
pub struct LinkConfig {
    /// Bytes per second.
    pub rate: f64,
    pub rtt: Nanos,
    /// The queue's limit, bytes.
    pub buffer: f64,
    /// Part of the packets lost at random.
    pub loss: f64,
    /// Packets that find more than this in the queue are marked CE; infinite: none.
    pub mark_above: f64,
}

impl LinkConfig {
    /// A drop-tail queue of one bandwidth-delay product.
    pub fn new(mbit: f64, rtt_ms: f64) -> Self {
        let rate = mbit * 1e6 / 8.0;
        Self {
            rate,
            rtt: (rtt_ms * 1e6) as Nanos,
            buffer: (rate * rtt_ms / 1e3).max(3000.0),
            loss: 0.0,
            mark_above: f64::INFINITY,
        }
    }
}

pub struct Link {
    pub config: LinkConfig,
    /// Bytes that were sent into it.
    pub offered: u64,
    busy_until: f64,
    random: Random,
}

impl Link {
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        Self { config, offered: 0, busy_until: 0.0, random: Random(seed) }
    }

    /// Bytes waiting at `now`.
    pub fn queued(&self, now: Nanos) -> f64 {
        (self.busy_until - now as f64).max(0.0) * self.config.rate / 1e9
    }

    /// When a packet of `bytes` (with headers) arrives at the other end, and whether it is marked; `None`: it was lost.
    pub fn send(&mut self, now: Nanos, bytes: usize) -> Option<(Nanos, bool)> {
        self.offered += bytes as u64;
        let queued = self.queued(now);
        if queued + bytes as f64 > self.config.buffer
            || (self.config.loss > 0.0 && self.random.unit() < self.config.loss)
        {
            return None;
        }
        let begins = self.busy_until.max(now as f64);
        self.busy_until = begins + bytes as f64 * 1e9 / self.config.rate;
        let arrives = self.busy_until as Nanos + self.config.rtt / 2;
        Some((arrives, queued > self.config.mark_above))
    }
}
