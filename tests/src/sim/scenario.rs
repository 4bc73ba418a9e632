//! What is drawn from a seed: the path, the work, the faults.

use super::link::{LinkConfig, unit};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_proto::limits::SEGMENT_UNIT;
use segcast_proto::time::Duration;

/// One simulated run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it was drawn from.
    pub seed: u64,
    /// Round trip without queues.
    pub rtt: Duration,
    /// Bytes per second, each way.
    pub rate: u64,
    /// Server to client.
    pub down: LinkConfig,
    /// Client to server.
    pub up: LinkConfig,
    /// Shards of the server.
    pub shards: u8,
    /// Sessions that share the path.
    pub sessions: u32,
    /// Segments that each fetches.
    pub segments: u32,
    /// Bytes of each.
    pub segment_bytes: usize,
    /// Fetches under way at once.
    pub window: usize,
    /// When the server loses all its state, if it does.
    pub restart: Option<Duration>,
    /// When the first client's address changes, if it does.
    pub address_change: Option<Duration>,
    /// Whether segments have to be populated first.
    pub cold: bool,
    /// Packets in a key epoch.
    pub epoch_packets: u64,
    /// The largest datagram the path carries.
    pub path_datagram: usize,
    /// Whether the server demands cookies.
    pub cookies: bool,
}

/// A number in `low..high`, evenly in its logarithm.
fn log_uniform(rng: &mut ChaCha20Rng, low: f64, high: f64) -> f64 {
    (low.ln() + unit(rng) * (high.ln() - low.ln())).exp()
}

fn chance(rng: &mut ChaCha20Rng, share: f64) -> bool {
    unit(rng) < share
}

impl Scenario {
    /// Draws one: round trips of 1 to 300 ms, 2 to 200 Mbit/s, losses up to 10 %, and a share of each fault.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let rtt = Duration::from_secs_f64(log_uniform(rng, 0.001, 0.3));
        let rate = log_uniform(rng, 250_000.0, 25_000_000.0) as u64;
        let product = (rate as f64 * rtt.as_secs_f64()) as u64;
        let loss = if chance(rng, 0.3) { 0.0 } else { unit(rng) * 0.1 };
        let reorder = if chance(rng, 0.4) { unit(rng) * 0.1 } else { 0.0 };
        let down = LinkConfig {
            rate,
            delay: rtt / 2,
            queue: (product as f64 * log_uniform(rng, 0.5, 4.0)) as u64 + 65_536,
            loss,
            burst: if chance(rng, 0.3) { 1.0 + unit(rng) * 6.0 } else { 1.0 },
            reorder,
            reorder_by: rtt.mul_f64(unit(rng) * 0.25),
            duplicate: if chance(rng, 0.3) { unit(rng) * 0.05 } else { 0.0 },
        };
        let up = LinkConfig { loss: loss * unit(rng), ..down };
        let sessions = if chance(rng, 0.2) { 2 + rng.next_u32() % 3 } else { 1 };
        let path_datagram = [1200, 1440, 8952][(rng.next_u32() % 7 / 3) as usize];
        // At least 200 datagrams, of whatever size the path carries.
        let units = if path_datagram > 1440 { 8 } else { 1 + rng.next_u32() as usize % 2 };
        let segments = 4 + rng.next_u32() % 2;
        Self {
            seed,
            rtt,
            rate,
            down,
            up,
            shards: 1 + (rng.next_u32() % 3) as u8,
            sessions,
            segments,
            segment_bytes: SEGMENT_UNIT * units,
            // One fetch after another takes more round trips than the bound has as soon as there are repairs: six
            // objects of one round trip and some 2.5 repairs of 1.25 round trips each at 10 % loss are 25.
            window: if loss > 0.0 { 2 } else { 1 } + rng.next_u32() as usize % 4,
            restart: chance(rng, 0.1).then(|| rtt.mul_f64(1.0 + unit(rng) * 8.0)),
            address_change: chance(rng, 0.1).then(|| rtt.mul_f64(2.0 + unit(rng) * 6.0)),
            cold: chance(rng, 0.2),
            epoch_packets: if chance(rng, 0.5) {
                40 + u64::from(rng.next_u32() % 200)
            } else {
                1 << 23
            },
            path_datagram,
            cookies: chance(rng, 0.2),
        }
    }

    /// Stored bytes that all sessions fetch.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.sessions) * u64::from(self.segments) * self.segment_bytes as u64
    }

    /// The time in which the transfer must end: 3 × size ÷ (rate × (1 − loss)) + 20 round trips, and what a
    /// fault that takes the server or the path away costs until it can be noticed.
    #[must_use]
    pub fn bound(&self) -> Duration {
        let pure = self.bytes() as f64 / (self.rate as f64 * (1.0 - self.down.loss));
        let mut bound = Duration::from_secs_f64(3.0 * pure) + self.rtt * 20;
        if self.restart.is_some() {
            // Noticing takes three probe timeouts: 1 + 2 + 4 of them, of up to 3 round trips + 25 ms each.
            bound += (self.rtt * 3 + Duration::from_millis(25)) * 7 + self.rtt * 4;
        }
        if self.address_change.is_some() {
            bound += self.rtt * 10 + Duration::from_millis(250);
        }
        // Handshakes lost before a round trip is known are repeated after 100 ms, then 200, 400, …
        bound + Duration::from_millis(if self.down.loss > 0.0 { 1500 } else { 0 })
    }
}
