//! A crowd of viewers at one shard of known speed, in virtual time: what comes of requests that are made whether or
//! not the earlier ones were served (open loop).

mod viewer;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::limits::TRAIN_MAX;
use segcast_proto::rate::Rate;
use segcast_proto::session::server::{Counters, EgressCap, Endpoint, Path};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::token::Claims;
use segcast_proto::wire::Code;
pub use viewer::Asked;
use viewer::Viewer;

use super::link::unit;
use crate::endpoint::{Cast, START, UNIX};
use crate::random::draw;
use crate::session;
use crate::source::{MemorySource, set_id};

/// Segments in the one set: a viewer goes through them in turn, so this many can be under way for it at once.
const SEGMENTS: u32 = 60;
/// Steps after which a run counts as stuck.
const STEPS_MAX: u64 = 50_000_000;
/// A thread that was idle for so long has time to spare.
const SPARE: Duration = Duration::from_millis(1);

/// What sets the shard's speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Its configured part of the edge's egress.
    Cap,
    /// How long it takes to seal and send: nobody tells it.
    Work,
    /// The same, in turns: trains never wait for long, but the thread has no time to spare, and says so.
    Pressure,
}

/// A crowd and its edge.
#[derive(Clone, Debug)]
pub struct CrowdConfig {
    /// Everything random follows from it.
    pub seed: u64,
    /// How many viewers, each with a session.
    pub viewers: u32,
    /// Bytes of a segment.
    pub segment_bytes: usize,
    /// What the shard can send, bytes of UDP payload per second.
    pub capacity: u64,
    /// What makes it so.
    pub limit: Limit,
    /// Viewers come one after the other, this far apart.
    pub apart: Duration,
    /// Each wants one segment when it comes, and leaves with it.
    pub visit: bool,
    /// One-way delay.
    pub delay: Duration,
    /// When a viewer needs what it asks for; then it gives up.
    pub patience: Duration,
    /// The load over time: until when after the start, and how many times the capacity is asked for.
    pub phases: Vec<(Duration, f64)>,
    /// The edge's bound on waiting.
    pub egress_queue: Duration,
    /// Sessions at once.
    pub sessions_max: u32,
    /// Handshakes a second.
    pub handshakes_per_second: u32,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct CrowdReport {
    /// Every request that was intended, in the order of its intention.
    pub asked: Vec<Asked>,
    /// What the server counted.
    pub server: Counters,
    /// REFUSEs that reached viewers.
    pub refusals: u64,
    /// WELCOMEs that refused and reached viewers.
    pub sessions_refused: u64,
    /// Handshakes that were put off, as viewers saw it.
    pub deferred: u64,
    /// Requests that viewers made: new ones, not repeats.
    pub fetches: u64,
    /// REQUEST packets that viewers sent, repeats included.
    pub request_packets: u64,
    /// Bytes that came twice.
    pub duplicate_bytes: u64,
    /// What the server still owes at the end: requests and bytes.
    pub owed: (u64, u64),
    /// The most sessions at any time.
    pub sessions_most: usize,
}

impl CrowdReport {
    /// Bytes a second of the segments that came in time between `from` and `to`.
    #[must_use]
    pub fn goodput(&self, from: Duration, to: Duration, segment_bytes: usize) -> f64 {
        let done = |asked: &&Asked| asked.done.is_some_and(|at| at >= from && at < to);
        let count = self.asked.iter().filter(done).count();
        (count * segment_bytes) as f64 / (to - from).as_secs_f64()
    }
}

/// One datagram or train under way.
struct Flight {
    at: Instant,
    order: u64,
    /// To the server from this viewer, or from the server to it.
    viewer: usize,
    to_server: bool,
    datagram_bytes: usize,
    bytes: Vec<u8>,
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Flight {}
impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Flight {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// A run under way.
pub struct Crowd {
    config: CrowdConfig,
    started: Instant,
    now: Instant,
    server: Endpoint,
    source: MemorySource,
    viewers: Vec<Viewer>,
    flights: BinaryHeap<Reverse<Flight>>,
    order: u64,
    /// When the shard has sent what it sealed last.
    free_at: Instant,
    next_ask: Instant,
    rng: ChaCha20Rng,
    asked: Vec<Asked>,
    /// Decides when and by whom something is asked, whatever else happens.
    dice: ChaCha20Rng,
    sessions_most: usize,
}

impl Crowd {
    /// Sets the scene.
    ///
    /// # Panics
    /// When the configuration makes no session.
    #[must_use]
    pub fn new(config: CrowdConfig) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(config.seed);
        let cast = Cast::draw(&mut rng);
        let start = START;
        let mut endpoint = cast.settings();
        endpoint.egress_max = (config.limit == Limit::Cap)
            .then(|| Arc::new(EgressCap::new(Rate::new(config.capacity))));
        endpoint.egress_queue = config.egress_queue;
        endpoint.sessions_max = config.sessions_max;
        endpoint.handshakes_per_second = config.handshakes_per_second;
        let server = cast.endpoint(endpoint, draw(&mut rng), draw(&mut rng), start);
        let viewers = (0..config.viewers).map(|number| {
            let secret = StaticSecret::new(draw(&mut rng));
            let claims = session::claims(&secret, vec![set_id(0)], UNIX);
            let claims = Claims { token_id: u64::from(number).to_be_bytes(), ..claims };
            let keys = (*cast.identity.public(), secret, cast.token(&claims));
            Viewer::new(number, keys, draw(&mut rng), start + config.apart * number)
        });
        let viewers = viewers.collect();
        let mut crowd = Self {
            source: MemorySource::new(1, SEGMENTS, config.segment_bytes, 3000),
            dice: ChaCha20Rng::seed_from_u64(config.seed ^ 0xD1CE),
            next_ask: start + config.apart * config.viewers,
            config,
            started: start,
            now: start,
            server,
            viewers,
            flights: BinaryHeap::new(),
            order: 0,
            free_at: start,
            rng,
            asked: Vec::new(),
            sessions_most: 0,
        };
        if crowd.config.visit {
            crowd.let_all_want_one();
        }
        crowd
    }

    fn let_all_want_one(&mut self) {
        for number in 0..self.config.viewers {
            let at = self.config.apart * number;
            let viewer = &mut self.viewers[number as usize];
            viewer.want(self.asked.len(), self.started + at + self.config.patience);
            viewer.leaves = true;
            self.asked.push(Asked { at, ..Asked::default() });
        }
    }

    /// Runs to the end of the last phase, and on until everything that was asked for has come to its end.
    ///
    /// # Panics
    /// When time stands still.
    #[must_use]
    pub fn run(mut self) -> CrowdReport {
        let ends = self.config.phases.last().map_or(Duration::ZERO, |(until, _)| *until);
        let end = self.started + ends + self.config.patience * 2;
        for _ in 0..STEPS_MAX {
            self.server_sends();
            self.viewers_act();
            let next = self.next_time();
            if next > end {
                return self.report();
            }
            self.now = self.now.max(next);
            self.happen();
        }
        panic!("stuck at {:?}", self.now);
    }

    fn next_time(&self) -> Instant {
        let flight = self.flights.peek().map_or(Instant::FAR_FUTURE, |Reverse(flight)| flight.at);
        let viewers = self.viewers.iter().map(|viewer| viewer.timer);
        let timer = self.server.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
        // What the shard has to do waits until it is done with what it does.
        let server = timer.max(self.free_at);
        viewers.chain([flight, server, self.next_ask]).min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// Everything that is due now.
    fn happen(&mut self) {
        let now = self.now;
        while self.flights.peek().is_some_and(|Reverse(flight)| flight.at <= now) {
            if let Some(Reverse(flight)) = self.flights.pop() {
                self.deliver(flight);
            }
        }
        if self.free_at <= now {
            self.server.handle_timeout(now);
        }
        while self.next_ask <= now {
            self.ask();
        }
        for viewer in &mut self.viewers {
            if viewer.timer <= now {
                viewer.handle_timeout(now);
            }
        }
    }

    /// One more viewer wants one more segment, in exponential steps of time (Poisson arrivals).
    fn ask(&mut self) {
        let since = self.next_ask.saturating_since(self.started);
        let load = self.config.phases.iter().find(|(until, _)| since < *until);
        let Some(&(_, load)) = load else {
            self.next_ask = Instant::FAR_FUTURE;
            return;
        };
        let number = (unit(&mut self.dice) * f64::from(self.config.viewers)) as usize;
        let viewer = &mut self.viewers[number];
        viewer.want(self.asked.len(), self.next_ask + self.config.patience);
        self.asked.push(Asked { at: since, ..Asked::default() });
        let mean = self.config.segment_bytes as f64 / (self.config.capacity as f64 * load);
        let step = -mean * (1.0 - unit(&mut self.dice)).ln();
        self.next_ask += Duration::from_secs_f64(step);
    }

    fn deliver(&mut self, mut flight: Flight) {
        let now = self.now;
        if flight.to_server {
            let remote = self.viewers[flight.viewer].address;
            let unix = UNIX + now.as_nanos() / 1_000_000_000;
            let path = Path { socket: 0, remote };
            self.server.handle_datagram(now, unix, path, &mut flight.bytes, &self.source);
        } else {
            for datagram in flight.bytes.chunks_mut(flight.datagram_bytes) {
                self.viewers[flight.viewer].handle_datagram(now, datagram);
            }
        }
    }

    /// The shard works for as long as its speed demands.
    fn server_sends(&mut self) {
        let mut out = [0; TRAIN_MAX];
        let worked = self.config.limit != Limit::Cap;
        if self.config.limit == Limit::Pressure {
            self.server.set_pressed(self.now, self.free_at + SPARE > self.now);
        }
        while self.free_at <= self.now {
            let sent = self.server.poll_transmit(self.now, &self.source, &mut out);
            let Some(sent) = sent else { break };
            if worked {
                let nanos = sent.len as u64 * 1_000_000_000 / self.config.capacity;
                self.free_at = self.now + Duration::from_nanos(nanos);
            }
            let viewer = viewer::number_of(sent.path.remote);
            self.fly(false, viewer, &out[..sent.len], sent.datagram_bytes);
        }
        while self.server.poll_event().is_some() {}
        self.sessions_most = self.sessions_most.max(self.server.sessions());
    }

    fn viewers_act(&mut self) {
        let mut out = [0; 2048];
        for number in 0..self.viewers.len() {
            let viewer = &mut self.viewers[number];
            if !viewer.act(self.now, &mut self.rng, self.started, &mut self.asked) {
                continue;
            }
            while let Some(len) = self.viewers[number].session.poll_transmit(self.now, &mut out) {
                self.fly(true, number, &out[..len], len);
            }
            self.viewers[number].set_timer();
        }
    }

    fn fly(&mut self, to_server: bool, viewer: usize, bytes: &[u8], datagram_bytes: usize) {
        self.order += 1;
        let (at, order) = (self.now.max(self.free_at) + self.config.delay, self.order);
        let bytes = bytes.to_vec();
        self.flights.push(Reverse(Flight { at, order, viewer, to_server, datagram_bytes, bytes }));
    }

    fn report(self) -> CrowdReport {
        let stats = || self.viewers.iter().map(Viewer::stats);
        let gauges = self.server.gauges();
        CrowdReport {
            server: self.server.counters().clone(),
            refusals: stats().map(|stats| stats.refused).sum(),
            sessions_refused: self.viewers.iter().map(|viewer| viewer.sessions_refused).sum(),
            deferred: stats().map(|stats| stats.deferred).sum(),
            fetches: self.viewers.iter().map(|viewer| viewer.fetches).sum(),
            request_packets: stats().map(|stats| stats.requests).sum(),
            duplicate_bytes: stats().map(|stats| stats.duplicate_bytes).sum(),
            owed: (gauges.requests, gauges.owed_bytes),
            sessions_most: self.sessions_most,
            asked: self.asked,
        }
    }
}

/// All refusals of requests that a server counted.
#[must_use]
pub fn overloaded(server: &Counters) -> u64 {
    server.requests_refused.of(Code::Overloaded)
}

/// Where viewer `number` is.
fn address(number: u32) -> SocketAddr {
    SocketAddr::from((0x0A00_0000u32.wrapping_add(number).to_be_bytes(), 4000))
}
