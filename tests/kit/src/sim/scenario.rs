//! What is drawn from a seed: the path, the work, the faults.

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_proto::limits::{DATAGRAM_BASE, HANDSHAKE_TIME, SEGMENT_UNIT};
use segcast_proto::time::Duration;

use super::link::{LinkConfig, unit};

/// When each object is needed, from when it is asked for.
pub(super) const DEADLINE: Duration = Duration::from_secs(1);
/// Datagrams the liar gets at most: the number to skip in the first block of 256 comes by then.
const LIAR_DATAGRAMS: u64 = 384;

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
    /// When the path begins to drop everything larger than 1200 bytes, if it does.
    pub black_hole: Option<Duration>,
    /// Whether the server demands cookies.
    pub cookies: bool,
    /// Whether one more client lies about what it received.
    pub liar: bool,
    /// Whether packets of the first client come from a victim's address for a while.
    pub spoof: bool,
    /// Whether clients also ask for what does not exist.
    pub refusals: bool,
    /// Whether clients ask with HEARS, and listen to groups that never send.
    pub hears: bool,
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
        let drawn = Self {
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
            // objects of one round trip and some three repairs of 1.25 round trips each at 10 % loss are 28.
            window: if loss > 0.0 { 4 } else { 1 } + rng.next_u32() as usize % 4,
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
            black_hole: chance(rng, 0.1).then(|| rtt.mul_f64(2.0 + unit(rng) * 8.0)),
            liar: chance(rng, 0.15),
            spoof: chance(rng, 0.15),
            refusals: chance(rng, 0.2),
            hears: chance(rng, 0.2),
        };
        // The liar shakes hands only once. A black hole swallows whole epochs of some 40 packets, which then look as if
        // their sender changed keys too often; of 2^23 packets some arrive.
        let epoch_packets = if drawn.black_hole.is_some() { 1 << 23 } else { drawn.epoch_packets };
        Self { liar: drawn.liar && drawn.restart.is_none(), epoch_packets, ..drawn }
    }

    /// Bytes that all sessions fetch; the liar's until it is caught count too.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let liar = if self.liar { LIAR_DATAGRAMS * DATAGRAM_BASE as u64 } else { 0 };
        u64::from(self.sessions) * u64::from(self.segments) * self.segment_bytes as u64 + liar
    }

    /// The time in which the transfer must end, from an open session on: 3 × size ÷ (rate × (1 − loss)) + 20 round
    /// trips, and nothing more unless the server or the path is taken away.
    #[must_use]
    pub fn bound(&self) -> Duration {
        let pure = self.bytes() as f64 / (self.rate as f64 * (1.0 - self.down.loss));
        let mut bound = Duration::from_secs_f64(3.0 * pure) + self.rtt * 20;
        // A probe timeout is the round trip + 4 × its variation + 25 ms. The round trip that is measured has the
        // queue in it; its variation settles below a quarter of it.
        let measured =
            self.rtt + Duration::from_secs_f64(self.down.queue as f64 / self.rate as f64);
        let probe_timeout = measured * 2 + Duration::from_millis(25);
        if self.restart.is_some() || self.address_change.is_some() {
            // Noticed after three probe timeouts, 1 + 2 + 4 of them. (A new address is noticed with the first packet,
            // but then the challenge or its answer may be lost.) The handshake takes a round trip, and its packets
            // are repeated after 2 and 4 more when they are lost; then the rate grows anew for 5.
            bound += probe_timeout * 7 + measured * 12;
        }
        if self.hears {
            // Held no longer than until they are needed, and what was promised and did not come is asked for anew.
            bound += (DEADLINE + probe_timeout) * self.segments;
        }
        if self.black_hole.is_some() {
            // Sending stops after a second without reports; the client's next probe starts it again, with small
            // datagrams and a small window. The short last packet of an object passes, and its report begins the
            // second anew: once for each object.
            let stops = self.segments + 1;
            bound += (Duration::from_secs(1) + probe_timeout * 2 + measured * 5) * stops;
        }
        bound
    }

    /// The time in which a liar must be noticed: it does not hurry.
    #[must_use]
    pub fn liar_bound(&self) -> Duration {
        self.bound() + HANDSHAKE_TIME + self.rtt * 200
    }
}
