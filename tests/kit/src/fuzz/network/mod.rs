//! `ClientSession` and `Endpoint` together: the input is the network between them, the disk and the clock. An honest client
//! is never called a liar, gets no byte that is not its object's, and gets all of them once the network is good again.

mod seeds;

use std::collections::BTreeSet;

pub use seeds::seeds;
use segcast_proto::crypto::Suite;
use segcast_proto::ids::{ObjectNumber, SetHandle, SetIndex};
use segcast_proto::limits::TRAIN_MAX;
use segcast_proto::session::client::{ClientEvent, ClientSession};
use segcast_proto::session::server::{Endpoint, EndpointConfig, Path, ServerEvent};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::Code;

use super::cast::{self, CLIENT_BUFFER, START, UNIX};
use super::script::Script;
use super::shelf::{OBJECTS, bytes_of, shelf};
use crate::source::{MemorySource, State};

/// One step of the input, by its first byte.
#[derive(Clone, Copy, strum::VariantArray)]
#[repr(u8)]
enum Op {
    Fetch,
    Cancel,
    Pulse,
    Room,
    Wait,
    Deliver,
    Lose,
    Repeat,
    Alter,
    Flow,
    Cold,
    Move,
    Restart,
    Spoof,
}

impl Op {
    const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

/// Steps in one run.
const STEPS_MAX: usize = 300;
/// Turns that a good network may take to bring all that is still asked for.
const TURNS_MAX: usize = 20_000;
/// One way through a good network.
const DELAY: Duration = Duration::from_millis(5);
/// Packets in the shortest epoch: so many that some arrive, however bad the network is. A peer whose epochs arrive with
/// less than 16 packets each is taken for one that leads hastily (docs/protocol, section 3).
const EPOCH_PACKETS_MIN: u64 = 512;
/// Datagrams on their way; more push out the oldest.
const FLIGHTS_MAX: usize = 256;

/// A datagram on its way.
struct Flight {
    to_server: bool,
    from: usize,
    bytes: Vec<u8>,
}

struct World {
    now: Instant,
    client: ClientSession,
    server: Endpoint,
    limits: EndpointConfig,
    shelf: MemorySource,
    /// The client's address.
    address: usize,
    flights: Vec<Flight>,
    fetched: BTreeSet<(SetHandle, ObjectNumber)>,
    starts: u8,
    buffer: Vec<u8>,
}

/// Runs the steps in `data`, and then a good network until the client has everything.
pub fn run(data: &[u8]) {
    play(data);
}

fn play(data: &[u8]) -> World {
    let mut script = Script::new(data);
    let mut world = World::new(&mut script);
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
        world.settle();
    }
    world.finish();
    world
}

impl World {
    fn new(script: &mut Script<'_>) -> Self {
        let mut limits = cast::settings();
        limits.cookie_always = script.flag();
        limits.epoch_packets = EPOCH_PACKETS_MIN << (script.byte() % 15);
        limits.sessions_per_client = u16::MAX;
        let mut config = cast::client(0, &cast::claims(0, 0), 0x77);
        config.suite = if script.flag() { Suite::Aes256Gcm } else { Suite::Aes128Gcm };
        config.epoch_packets = EPOCH_PACKETS_MIN << (script.byte() % 15);
        config.datagram_max = [1200, 1440, 8952][script.choose(3)];
        config.rtt_hint = script.flag().then_some(DELAY * 2);
        let client = ClientSession::new(config, [8; 32], START).expect("a token that fits");
        let mut world = Self {
            now: START,
            client,
            server: cast::endpoint(limits.clone(), [[5; 32], [6; 32]], START),
            limits,
            shelf: shelf(),
            address: 0,
            flights: Vec::new(),
            fetched: BTreeSet::new(),
            starts: 0,
            buffer: vec![0; TRAIN_MAX],
        };
        world.settle();
        world
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match Op::ALL[script.choose(Op::ALL.len())] {
            Op::Fetch => {
                let (handle, at) = (script.byte() % 3, script.choose(OBJECTS.len() + 1));
                self.fetch(SetHandle(handle.into()), at);
            }
            Op::Cancel => {
                let at = script.choose(self.fetched.len());
                if let Some((handle, object)) = self.fetched.iter().nth(at).copied() {
                    self.client.cancel(handle, object);
                    self.fetched.remove(&(handle, object));
                }
            }
            Op::Pulse => self
                .client
                .pulse(SetHandle(script.byte().into()), ObjectNumber(script.byte().into())),
            Op::Room => self.client.set_room(self.now, script.number()),
            Op::Wait => self.now += cast::wait(script.byte() % 18),
            Op::Deliver => {
                for _ in 0..=script.byte() % 16 {
                    let at = script.choose(self.flights.len());
                    self.deliver(at, true, None);
                }
            }
            Op::Lose => {
                let at = script.choose(self.flights.len());
                if at < self.flights.len() {
                    self.flights.remove(at);
                }
            }
            Op::Repeat => {
                let at = script.choose(self.flights.len());
                self.deliver(at, false, None);
            }
            Op::Alter => {
                let at = script.choose(self.flights.len());
                if let Some(flight) = self.flights.get(at) {
                    let mut bytes = flight.bytes.clone();
                    script.patch(&mut bytes);
                    self.deliver(at, false, Some(bytes));
                }
            }
            Op::Flow => self.flow(usize::from(script.byte())),
            Op::Cold => {
                let (object, _) = OBJECTS[script.choose(OBJECTS.len())];
                self.shelf.put(SetIndex::FIRST, object, State::Cold);
            }
            Op::Move => self.address = script.choose(3),
            Op::Restart => self.restart(),
            Op::Spoof => {
                let at = script.choose(self.flights.len());
                if let Some(flight) = self.flights.get_mut(at) {
                    flight.from = 3;
                }
            }
        }
    }

    fn fetch(&mut self, handle: SetHandle, at: usize) {
        let (object, len) = match OBJECTS.get(at) {
            Some(&(object, len)) => (object, object.as_segment().map(|_| len as u32)),
            None => (ObjectNumber(99), Some(1000)),
        };
        let answer = self.client.fetch(self.now, handle, object, len, Duration::from_secs(1));
        if answer.is_ok() {
            assert!(self.fetched.insert((handle, object)));
        }
    }

    /// A new process with new secrets at the same address.
    fn restart(&mut self) {
        self.starts = self.starts.wrapping_add(1);
        let (shared, seed) = ([0x60 + self.starts % 16; 32], [0x90 + self.starts % 16; 32]);
        let limits = self.limits.clone();
        self.server = cast::endpoint(limits, [shared, seed], self.now);
    }

    /// The datagram at `at` arrives, as it is or altered; it goes on flying unless it is taken away.
    fn deliver(&mut self, at: usize, take: bool, altered: Option<Vec<u8>>) {
        let Some(flight) = self.flights.get(at) else { return };
        let mut bytes = altered.unwrap_or_else(|| flight.bytes.clone());
        if flight.to_server {
            let path = Path { socket: 0, remote: cast::address(flight.from) };
            let unix = UNIX + self.now.as_nanos() / 1_000_000_000;
            let _ = self.server.handle_datagram(self.now, unix, path, &mut bytes, &self.shelf);
        } else if flight.from == self.address {
            self.client.handle_datagram(self.now, 0, &mut bytes);
        }
        if take {
            self.flights.remove(at);
        }
    }

    /// So many turns of a good network.
    fn flow(&mut self, turns: usize) {
        for _ in 0..turns {
            if self.client.outstanding() == 0 && self.flights.is_empty() {
                break;
            }
            self.now += DELAY;
            for _ in 0..self.flights.len() {
                self.deliver(0, true, None);
            }
            self.settle();
        }
    }

    /// Timers fire, everything goes out, all events are looked at.
    fn settle(&mut self) {
        for turn in 0.. {
            assert!(turn < 300, "an end spins");
            self.client_sends();
            self.server_sends();
            let times = [self.client.poll_timeout(), self.server.poll_timeout()];
            if times.into_iter().flatten().all(|at| at > self.now) {
                break;
            }
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
        }
    }

    fn client_sends(&mut self) {
        let mut out = [0; CLIENT_BUFFER];
        while let Some(len) = self.client.poll_transmit(self.now, &mut out) {
            self.fly(true, self.address, &out[..len]);
        }
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Object(fetched) => {
                    assert!(self.fetched.remove(&(fetched.handle, fetched.object)));
                    assert_eq!(fetched.handle, SetHandle::FIRST);
                    let right = bytes_of(fetched.object).expect("an object that there is");
                    assert!(fetched.bytes == right, "other bytes");
                }
                ClientEvent::ObjectRefused { handle, object, code, .. } => {
                    assert!(self.fetched.remove(&(handle, object)));
                    let right =
                        if handle == SetHandle::FIRST { Code::PastEnd } else { Code::UnknownSet };
                    assert!(
                        code == right && (handle != SetHandle::FIRST || bytes_of(object).is_none()),
                        "{code}"
                    );
                }
                ClientEvent::Closed { code, .. } => assert_eq!(code, Code::Idle),
                ClientEvent::TimedOut | ClientEvent::Open => {}
                ClientEvent::PulseReply { .. } | ClientEvent::Unresponsive => {}
                ClientEvent::Refused { code, .. } => panic!("refused: {code}"),
            }
        }
    }

    fn server_sends(&mut self) {
        let mut out = core::mem::take(&mut self.buffer);
        while let Some(sent) = self.server.poll_transmit(self.now, &self.shelf, &mut out) {
            let to = (0..4).find(|&at| cast::address(at) == sent.path.remote).expect("an address");
            for datagram in out[..sent.len].chunks(sent.datagram_bytes) {
                self.fly(false, to, datagram);
            }
        }
        self.buffer = out;
        while let Some((set, object)) = self.server.next_object() {
            self.shelf.put(SetIndex::FIRST, object, State::Ready);
            self.server.object_ready(self.now, set, object);
        }
        while let Some(event) = self.server.poll_event() {
            match event {
                ServerEvent::SessionClosed(record) => {
                    let right = matches!(record.code, Code::Idle | Code::ClientDone);
                    assert!(right, "an honest client's session was closed: {}", record.code);
                }
                ServerEvent::SessionOpened { .. } => {}
            }
        }
    }

    fn fly(&mut self, to_server: bool, from: usize, bytes: &[u8]) {
        if self.flights.len() == FLIGHTS_MAX {
            self.flights.remove(0);
        }
        self.flights.push(Flight { to_server, from, bytes: bytes.to_vec() });
    }

    /// From here on the network is good: everything that is still wanted comes, unless the session had ended.
    fn finish(&mut self) {
        self.flights.clear();
        self.client.set_room(self.now, 16 << 20);
        for _ in 0..TURNS_MAX {
            if self.client.has_ended() || self.fetched.is_empty() {
                return;
            }
            let times = [self.client.poll_timeout(), self.server.poll_timeout()];
            let next = times.into_iter().flatten().min().expect("someone waits for something");
            let arrive = self.now + DELAY;
            self.now = if self.flights.is_empty() { next.max(self.now) } else { arrive };
            for _ in 0..self.flights.len() {
                self.deliver(0, true, None);
            }
            self.settle();
        }
        panic!("{} objects never came: {:?}", self.fetched.len(), self.client.stats());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_brings_what_it_asks_for() {
        for seed in seeds() {
            let world = play(&seed.bytes);
            let stats = world.client.stats();
            println!("{}: {stats:?}", seed.name);
            assert!(world.fetched.is_empty() && !world.client.has_ended(), "{}", seed.name);
            assert!(stats.data_bytes > 0 || seed.name == "refused", "{}", seed.name);
            assert!(stats.handshakes > 1 || seed.name != "restarted", "{}", seed.name);
            assert!(stats.repair_bytes > 0 || seed.name != "lossy", "{}", seed.name);
        }
    }
}
