//! Both ends and the time between them: the event loop of a simulated run, and its checks.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::net::SocketAddr;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use segcast_proto::crypto::Suite;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::{ObjectNumber, SetHandle, SetIndex};
use segcast_proto::limits::{DATAGRAM_BASE, HANDSHAKE_TIME, TRAIN_MAX};
use segcast_proto::session::client::{ClientConfig, ClientEvent, ClientSession, Fetched};
use segcast_proto::session::server::{
    Disposition, DropReason, Endpoint, Path, SendFailure, ServerEvent,
};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::token::Claims;
use segcast_proto::wire::Code;

use super::attack::{Attacks, LIAR, Liar, liar_address};
use super::flight::Flight;
use super::link::Link;
use super::outcome::{Failure, Outcome};
use super::owner::{self, Owner};
use super::scenario::{DEADLINE, Scenario};
use crate::endpoint::{Cast, START, UNIX};
use crate::random::draw;
use crate::session;
use crate::source::{MemorySource, State, content, set_id};

/// Bytes of the manifest page: several datagrams, and a length that the client has to learn.
const PAGE_BYTES: usize = 3000;
/// Handle of the set that the server has.
const FIRST: SetHandle = SetHandle::FIRST;
/// How long a segment plays, where groups may serve it.
const PLAYING: Duration = Duration::from_millis(400);
/// A set that the tokens name and the server does not have.
const SET_ABSENT: u32 = 9;
/// Times the bound after which a transfer counts as one that never ends.
const PATIENCE: u32 = 4;
/// Steps after which a run counts as stuck in one moment.
const STEPS_MAX: u64 = 20_000_000;

/// One honest client.
struct Viewer {
    session: ClientSession,
    address: SocketAddr,
    todo: Vec<Fetch>,
    done: usize,
    wanted: usize,
    /// When its first handshake was done.
    opened: Option<Instant>,
}

/// An object to ask for, and its length where the manifest says it.
type Fetch = (SetHandle, ObjectNumber, Option<u32>);

/// A run under way.
pub struct World {
    scenario: Scenario,
    started: Instant,
    now: Instant,
    shards: Vec<Endpoint>,
    source: MemorySource,
    cast: Cast,
    viewers: Vec<Viewer>,
    attacks: Attacks,
    owner: Owner,
    down: Link,
    up: Link,
    flights: BinaryHeap<Reverse<Flight>>,
    order: u64,
    populating: Vec<(Instant, SetIndex, ObjectNumber)>,
    /// Sealed packets that the server accepted.
    accepted: BTreeSet<u64>,
    restart: Option<Instant>,
    address_change: Option<Instant>,
    rng: ChaCha20Rng,
    datagrams: u64,
    /// What the transfers came to, once they are done.
    outcome: Option<Outcome>,
    failure: Option<Failure>,
}

impl World {
    /// Sets the scene.
    #[must_use]
    pub fn new(scenario: Scenario) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(scenario.seed ^ 0x5E6C_A571);
        let cast = Cast::draw(&mut rng);
        let mut source =
            MemorySource::new(1, scenario.segments, scenario.segment_bytes, PAGE_BYTES);
        source.playing = scenario.hears.then_some(PLAYING);
        if scenario.cold {
            (0..scenario.segments).for_each(|segment| {
                source.put(SetIndex::FIRST, ObjectNumber(segment), State::Cold)
            });
        }
        let start = START;
        let mut world = Self {
            started: start,
            now: start,
            attacks: Attacks::default(),
            owner: Owner::new(scenario.segments, scenario.seed),
            shards: Vec::new(),
            source,
            cast,
            viewers: Vec::new(),
            down: Link::new(scenario.down, scenario.seed.wrapping_mul(3)),
            up: Link::new(scenario.up, scenario.seed.wrapping_mul(5)),
            flights: BinaryHeap::new(),
            order: 0,
            populating: Vec::new(),
            accepted: BTreeSet::new(),
            restart: scenario.restart.map(|after| start + after),
            address_change: scenario.address_change.map(|after| start + after),
            rng,
            datagrams: 0,
            outcome: None,
            failure: None,
            scenario,
        };
        world.start_server();
        for viewer in 0..world.scenario.sessions {
            world.add_viewer(viewer);
        }
        if world.scenario.liar {
            let config = world.client_config(LIAR);
            let seed = draw(&mut world.rng);
            world.attacks.liar = Some(Liar::new(config, seed));
        }
        world
    }

    fn start_server(&mut self) {
        let shared = draw(&mut self.rng);
        let shards = self.scenario.shards;
        let make = |shard| {
            let mut config = self.cast.settings();
            (config.shard, config.shards) = (shard, shards);
            config.cookie_always = self.scenario.cookies;
            config.multicast = self.scenario.hears;
            config.epoch_packets = self.scenario.epoch_packets;
            self.cast.endpoint(config, shared, draw(&mut self.rng), self.now)
        };
        self.shards = (0..shards).map(make).collect();
    }

    fn client_config(&mut self, number: u32) -> ClientConfig {
        let secret = StaticSecret::new(draw(&mut self.rng));
        let claims = session::claims(&secret, vec![set_id(0), set_id(SET_ABSENT)], UNIX);
        let claims = Claims { token_id: [number as u8; 8], ..claims };
        ClientConfig {
            suite: if number.is_multiple_of(2) { Suite::Aes128Gcm } else { Suite::Aes256Gcm },
            sender_index: 0x1000 + number,
            epoch_packets: self.scenario.epoch_packets,
            ..self.cast.client(secret, &claims)
        }
    }

    fn add_viewer(&mut self, number: u32) {
        let config = self.client_config(number);
        let seed = draw(&mut self.rng);
        let session = ClientSession::new(config, seed, self.now).expect("a valid configuration");
        let len = self.scenario.segment_bytes as u32;
        let mut todo: Vec<Fetch> = vec![(FIRST, ObjectNumber::page(0), None)];
        todo.extend((0..self.scenario.segments).map(|i| (FIRST, ObjectNumber(i), Some(len))));
        if self.scenario.refusals {
            todo.push((FIRST, ObjectNumber(self.scenario.segments + 7), Some(len)));
            todo.push((SetHandle(1), ObjectNumber(0), Some(len)));
            todo.push((SetHandle(2), ObjectNumber(0), Some(len)));
        }
        let wanted = todo.len();
        todo.reverse();
        let address = SocketAddr::from(([192, 0, 2, number as u8 + 1], 4000));
        let opened = None;
        self.viewers.push(Viewer { session, address, todo, done: 0, wanted, opened });
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn run(&mut self) -> Result<Outcome, Failure> {
        for _ in 0..STEPS_MAX {
            self.send_all();
            self.check_nonces();
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            let done = self.viewers.iter().map(|viewer| viewer.done).sum();
            let wanted = self.viewers.iter().map(|viewer| viewer.wanted).sum();
            if done == wanted && self.outcome.is_none() {
                self.outcome = Some(self.outcome());
            }
            if let Some(outcome) = self.outcome.take_if(|_| self.attacks.are_over()) {
                return Ok(outcome);
            }
            let next = self.next_time();
            if done < wanted && next > self.started + self.bound() * PATIENCE {
                return Err(Failure::Late { done, wanted });
            }
            if !self.attacks.are_over() && next > self.started + self.scenario.liar_bound() {
                return Err(Failure::LiarUnnoticed);
            }
            self.now = self.now.max(next);
            self.happen();
        }
        Err(Failure::Stuck)
    }

    /// When the transfers must be done: the scenario's bound, later by what lost packets cost the slowest handshake.
    /// No rate and no round trip is known before, so the bound of a transfer says nothing about it.
    fn bound(&self) -> Duration {
        let trips = if self.scenario.cookies { 2 } else { 1 };
        let lossless = self.started + self.scenario.rtt * trips;
        let lost = |viewer: &Viewer| match viewer.opened {
            Some(opened) => opened.saturating_since(lossless),
            None => HANDSHAKE_TIME,
        };
        let lost = if self.scenario.down.loss > 0.0 {
            self.viewers.iter().map(lost).max().unwrap_or_default()
        } else {
            Duration::ZERO
        };
        self.scenario.bound() + lost
    }

    /// The state of both ends, for a reader of a failure.
    #[must_use]
    pub fn describe(&self) -> String {
        let viewers = self.viewers.iter().map(|viewer| {
            let (open, rtt) = (viewer.session.is_open(), viewer.session.rtt());
            format!("viewer open {open} rtt {rtt:?} {:?}", viewer.session.stats())
        });
        let shards = self.shards.iter().map(|shard| {
            format!("shard at {:?}: {:?} {:?}", self.now, shard.gauges(), shard.counters())
        });
        viewers.chain(shards).collect::<Vec<_>>().join("\n")
    }

    fn outcome(&self) -> Outcome {
        let ended = self.now.saturating_since(self.started);
        let stats = self.viewers.iter().map(|viewer| *viewer.session.stats());
        let new: u64 = stats.clone().map(|stats| stats.data_bytes).sum();
        let duplicate: u64 = stats.clone().map(|stats| stats.duplicate_bytes).sum();
        Outcome {
            ended,
            part_of_bound: ended.as_secs_f64() / self.bound().as_secs_f64(),
            datagrams: self.datagrams,
            utilisation: new as f64 / (self.scenario.rate as f64 * ended.as_secs_f64()),
            waste: duplicate as f64 / new as f64,
            handshakes: stats.map(|stats| stats.handshakes).sum(),
        }
    }

    fn next_time(&self) -> Instant {
        let flight = self.flights.peek().map(|Reverse(flight)| flight.at);
        let shards = self.shards.iter().filter_map(Endpoint::poll_timeout);
        let viewers = self.viewers.iter().filter_map(|viewer| viewer.session.poll_timeout());
        let populated = self.populating.iter().map(|(at, ..)| *at);
        let faults = [self.restart, self.address_change, self.attacks.next_time()];
        let faults = faults.into_iter().flatten();
        let times = shards.chain(viewers).chain(populated).chain(faults).chain(flight);
        times.min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// Everything that is due now.
    fn happen(&mut self) {
        let now = self.now;
        if self.restart.is_some_and(|at| at <= now) {
            self.restart = None;
            self.start_server();
        }
        if self.address_change.is_some_and(|at| at <= now) {
            self.address_change = None;
            self.viewers[0].address.set_port(5000);
        }
        while self.populating.first().is_some_and(|(at, ..)| *at <= now) {
            let (_, set, object) = self.populating.remove(0);
            self.source.put(set, object, State::Ready);
            self.shards.iter_mut().for_each(|shard| shard.object_ready(now, set, object));
        }
        while self.flights.peek().is_some_and(|Reverse(flight)| flight.at <= now) {
            if let Some(Reverse(flight)) = self.flights.pop() {
                self.deliver(flight);
            }
        }
        self.shards.iter_mut().for_each(|shard| shard.handle_timeout(now));
        self.viewers.iter_mut().for_each(|viewer| viewer.session.handle_timeout(now));
    }

    fn deliver(&mut self, mut flight: Flight) {
        if flight.to_server {
            self.attacks.victim_sent(&flight);
            self.arrive_at_server(flight);
        } else if self.attacks.is_liar(flight.address) {
            self.attacks.liar_hears(self.now, &mut flight.bytes);
        } else if let Some(viewer) = self.viewers.iter_mut().find(|v| v.address == flight.address) {
            viewer.session.handle_datagram(self.now, 0, &mut flight.bytes);
        }
    }

    fn arrive_at_server(&mut self, flight: Flight) {
        let (now, path) = (self.now, Path { socket: 0, remote: flight.address });
        let unix = UNIX + now.as_nanos() / 1_000_000_000;
        let sealed = flight.bytes.get(1).is_some_and(|&kind| kind >= 0x10);
        // The kernel's hash for HELLOs, the receiver index for the rest.
        let shards = self.shards.len();
        let mut shard = usize::from(flight.address.port()) % shards;
        if sealed && !flight.packet.is_multiple_of(7) {
            shard = flight.bytes.get(7).map_or(0, |&byte| usize::from(byte)) % shards;
        }
        for _ in 0..3 {
            let mut bytes = flight.bytes.clone();
            let endpoint = &mut self.shards[shard];
            match endpoint.handle_datagram(now, unix, path, &mut bytes, &self.source) {
                Disposition::Done if sealed => {
                    if !self.accepted.insert(flight.packet) {
                        self.failure = Some(Failure::AcceptedTwice);
                    }
                    return;
                }
                Disposition::Done => return,
                Disposition::Stray { shard: other } => shard = usize::from(other),
                Disposition::Handoff { shard: other, hello } => {
                    self.shards[usize::from(other)].handle_handoff(now, unix, *hello);
                    return;
                }
                Disposition::Dropped(DropReason::Violation) => {
                    self.failure = Some(Failure::Closed(Code::ProtocolViolation));
                    return;
                }
                Disposition::Dropped(_) => return,
            }
        }
    }

    fn send_all(&mut self) {
        for shard in 0..self.shards.len() {
            self.server_sends(shard);
        }
        for viewer in 0..self.viewers.len() {
            self.viewer_acts(viewer);
        }
        let Scenario { rtt, segments, .. } = self.scenario;
        for packet in self.attacks.liar_sends(self.now, rtt, segments) {
            self.fly(true, liar_address(), &packet);
        }
    }

    fn server_sends(&mut self, shard: usize) {
        let mut out = vec![0; TRAIN_MAX];
        let now = self.now;
        while let Some(sent) = self.shards[shard].poll_transmit(now, &self.source, &mut out) {
            self.datagrams += sent.datagrams as u64;
            if !self.attacks.victim_may_get(sent.path.remote, sent.len) {
                self.failure = Some(Failure::Amplified);
            }
            if sent.datagram_bytes > self.path_datagram() && self.scenario.seed.is_multiple_of(2) {
                // A first hop that knows its size: the send itself fails.
                let failure = SendFailure::TooLarge;
                self.shards[shard].handle_send_failure(now, sent.ticket, failure);
                continue;
            }
            for datagram in out[..sent.len].chunks(sent.datagram_bytes) {
                if datagram.len() <= self.path_datagram() {
                    self.fly(false, sent.path.remote, datagram);
                }
            }
        }
        self.owner.answer(now, &mut self.shards[shard]);
        while let Some((set, object)) = self.shards[shard].next_object() {
            self.populating.push((now + Duration::from_micros(200), set, object));
        }
        while let Some(event) = self.shards[shard].poll_event() {
            match event {
                ServerEvent::SessionClosed(record) if record.token_id == [LIAR as u8; 8] => {
                    self.attacks.liar_closed(record.code);
                }
                ServerEvent::SessionClosed(record) if !record.by_client => {
                    self.failure = Some(Failure::Closed(record.code));
                }
                _ => {}
            }
        }
    }

    fn viewer_acts(&mut self, number: usize) {
        let (now, window) = (self.now, self.scenario.window);
        while let Some(event) = self.viewers[number].session.poll_event() {
            match event {
                ClientEvent::Object(fetched) => self.check(number, &fetched),
                ClientEvent::Open => {
                    self.viewers[number].opened.get_or_insert(now);
                }
                ClientEvent::ObjectRefused { handle, object, code, .. } => {
                    let past_end = handle == FIRST && object.0 >= self.scenario.segments;
                    let right = if past_end { Code::PastEnd } else { Code::UnknownSet };
                    if code != right || (handle == FIRST && !past_end) {
                        self.failure = Some(Failure::WrongRefusal(object));
                    }
                    self.viewers[number].done += 1;
                }
                ClientEvent::Unresponsive | ClientEvent::PulseReply { .. } => {}
                other => self.failure = Some(Failure::GaveUp(format!("{other:?}"))),
            }
        }
        let viewer = &mut self.viewers[number];
        let mut asked = owner::listen(&mut viewer.session, now, self.scenario.segment_bytes);
        while asked.is_ok() && viewer.session.outstanding() < window {
            let Some((handle, object, len)) = viewer.todo.pop() else { break };
            let session = &mut viewer.session;
            asked = match len.filter(|_| self.scenario.hears) {
                Some(len) => {
                    let mut bytes = vec![0; len as usize];
                    session.fetch_hearing(now, handle, object, &mut bytes, DEADLINE)
                }
                None => session.fetch(now, handle, object, len, DEADLINE),
            };
        }
        if let Err(error) = asked {
            self.failure = Some(Failure::GaveUp(error.to_string()));
            return;
        }
        let mut out = [0; 2048];
        while let Some(len) = self.viewers[number].session.poll_transmit(now, &mut out) {
            let viewer = &self.viewers[number];
            let mut address = viewer.address;
            if self.scenario.spoof && number == 0 && viewer.session.stats().data_bytes > 0 {
                address = self.attacks.spoofed(&out[..len]).unwrap_or(address);
            }
            self.fly(true, address, &out[..len]);
        }
    }

    /// The largest datagram that the path carries now.
    fn path_datagram(&self) -> usize {
        let hole = self.scenario.black_hole.is_some_and(|after| self.now >= self.started + after);
        if hole { DATAGRAM_BASE } else { self.scenario.path_datagram }
    }

    fn check(&mut self, number: usize, fetched: &Fetched) {
        let len = if fetched.object.as_page().is_some() {
            PAGE_BYTES
        } else {
            self.scenario.segment_bytes
        };
        if fetched.handle != FIRST || fetched.object.as_segment() >= Some(self.scenario.segments) {
            self.failure = Some(Failure::WrongRefusal(fetched.object));
        } else if fetched.bytes != content(0, fetched.object, len) {
            self.failure = Some(Failure::WrongBytes(fetched.object));
        }
        self.viewers[number].done += 1;
    }

    #[cfg(feature = "planted-faults")]
    fn check_nonces(&mut self) {
        if segcast_proto::faults::nonce_reused() {
            self.failure = Some(Failure::NonceReused);
        }
    }

    /// Only builds that can plant faults watch nonces.
    #[cfg(not(feature = "planted-faults"))]
    fn check_nonces(&self) {}

    fn fly(&mut self, to_server: bool, address: SocketAddr, bytes: &[u8]) {
        let link = if to_server { &mut self.up } else { &mut self.down };
        let packet = self.order;
        for at in link.send(self.now, bytes.len()).into_iter().flatten() {
            self.order += 1;
            let (order, bytes) = (self.order, bytes.to_vec());
            self.flights.push(Reverse(Flight { at, order, packet, to_server, address, bytes }));
        }
        self.order += 1;
    }
}
