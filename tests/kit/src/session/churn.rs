//! Sessions that come and go: each opens with a key of its own, fetches a few segments at its intended times, and closes or
//! just disappears; another one takes its place.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::{ObjectNumber, SetHandle, SetId};
use segcast_proto::session::client::{ClientConfig, ClientEvent, ClientSession};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::token::{Claims, mint};
use segcast_proto::wire::Code;
use segcast_sysio::clock;

use super::{claims, config, now};
use crate::random::draw;

/// Sessions at once; slot numbers fill the low bits of receiver indexes, so that what is late finds no session.
const SLOTS: usize = 64;
/// Segments that a session fetches before it goes: up to twice as many.
const FETCHES: u32 = 8;
/// One session of so many goes without a word.
const SILENT: u32 = 8;
/// Fetches under way at once when they follow each other without pause: few enough that the socket's buffer holds them.
const AT_ONCE: usize = 8;
/// After a rest of nearly an edge's shortest idle timeout a request may cross the CLOSE of that edge on its way.
const LONG_REST: Duration = Duration::from_secs(9);
/// Sleep when nothing came.
const NAP: core::time::Duration = core::time::Duration::from_micros(100);
/// Datagrams taken in before timers and fetches get their turn.
const BURST: usize = 256;

/// What all sessions need.
pub struct Shared {
    /// Where the edge is.
    pub edge: SocketAddr,
    /// Its key.
    pub edge_public: [u8; 32],
    /// Who signs tokens.
    pub center: SigningKey,
    /// What is fetched,
    pub set: SetId,
    /// and its bytes, of which each segment has `segment`; whole segments.
    pub title: Vec<u8>,
    /// Bytes of a segment.
    pub segment: usize,
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Segments that came and were compared with the title.
    pub segments: u64,
    /// Sessions that opened.
    pub opened: u64,
    /// Sessions that said CLOSE.
    pub closed: u64,
    /// Sessions that went without a word.
    pub vanished: u64,
    /// Sessions that the edge closed for their silence.
    pub idled: u64,
    /// Fetches that found no free session at their time.
    pub late: u64,
}

struct Slot {
    session: ClientSession,
    generation: u32,
    fetches_left: u32,
    /// When the fetch under way was to begin.
    intended: Option<Instant>,
    /// How long the session had nothing to do before the fetch under way.
    rest: Duration,
    /// When it opened or its last segment came.
    heard: Instant,
    next_segment: u32,
}

/// The sessions.
pub struct Churn {
    shared: Shared,
    socket: UdpSocket,
    slots: Vec<Slot>,
    rng: ChaCha20Rng,
    next_fetch: Instant,
    /// What was done so far.
    pub done: Done,
}

impl Churn {
    /// Begins to open the sessions.
    ///
    /// # Errors
    /// When there is no socket, or a session cannot be made.
    pub fn new(shared: Shared, seed: u64) -> Result<Self, String> {
        let socket = UdpSocket::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
        socket.connect(shared.edge).map_err(|e| e.to_string())?;
        // A timeout of the socket is rounded up to the kernel's ticks: up to ten milliseconds.
        socket.set_nonblocking(true).map_err(|e| e.to_string())?;
        let rng = ChaCha20Rng::seed_from_u64(seed);
        let (slots, done) = (Vec::new(), Done::default());
        let mut churn = Self { shared, socket, slots, rng, next_fetch: now(), done };
        for number in 0..SLOTS {
            let slot = churn.slot(number as u32, 0)?;
            churn.slots.push(slot);
        }
        Ok(churn)
    }

    fn slot(&mut self, number: u32, generation: u32) -> Result<Slot, String> {
        let secret = StaticSecret::new(draw(&mut self.rng));
        let index = generation.wrapping_mul(SLOTS as u32).wrapping_add(number);
        let claims = claims(&secret, vec![self.shared.set], clock::unix_seconds());
        let claims = Claims { token_id: u64::from(index).to_be_bytes(), ..claims };
        let token = mint(&claims, &self.shared.center).map_err(|error| error.to_string())?;
        let config = ClientConfig {
            datagram_max: 1440,
            sender_index: index,
            room_bytes: 16 << 20,
            ..config(self.shared.edge_public, secret, token)
        };
        let session = ClientSession::new(config, draw(&mut self.rng), now());
        let session = session.map_err(|error| error.to_string())?;
        let fetches_left = FETCHES + self.rng.next_u32() % (FETCHES + 1);
        let next_segment = self.rng.next_u32() % self.segments();
        let (intended, rest, heard) = (None, Duration::ZERO, now());
        Ok(Slot { session, generation, fetches_left, intended, rest, heard, next_segment })
    }

    fn segments(&self) -> u32 {
        (self.shared.title.len() / self.shared.segment) as u32
    }

    /// Fetches one segment each `every` for so long (zero: whenever a session is free). Gives `record` the time of each
    /// segment, in nanoseconds from its intended beginning.
    ///
    /// # Errors
    /// What the first session that failed says.
    pub fn run(
        &mut self,
        every: Duration,
        long: Duration,
        mut record: impl FnMut(u64),
    ) -> Result<(), String> {
        let end = now() + long;
        self.next_fetch = now();
        while now() < end {
            self.fetch(every);
            for number in 0..self.slots.len() {
                let slot = &mut self.slots[number];
                if slot.session.poll_timeout().is_some_and(|due| due <= now()) {
                    slot.session.handle_timeout(now());
                }
                self.flush(number);
            }
            if !self.receive()? {
                std::thread::sleep(NAP);
            }
            for number in 0..self.slots.len() {
                self.events(number, &mut record)?;
            }
        }
        Ok(())
    }

    /// Begins the fetches that are due.
    fn fetch(&mut self, every: Duration) {
        let now = now();
        while self.next_fetch <= now {
            let under_way = self.slots.iter().filter(|slot| slot.intended.is_some()).count();
            let room = !every.is_zero() || under_way < AT_ONCE;
            let is_free = |slot: &Slot| room && slot.session.is_open() && slot.intended.is_none();
            let from = self.rng.next_u32() as usize % self.slots.len();
            let order = (from..self.slots.len()).chain(0..from);
            let Some(free) = order.into_iter().find(|&at| is_free(&self.slots[at])) else {
                if every.is_zero() {
                    self.next_fetch = now + Duration::from_micros(200);
                } else {
                    self.done.late += 1;
                    self.next_fetch += every;
                }
                return;
            };
            let segments = self.segments();
            let (len, intended) = (self.shared.segment as u32, self.next_fetch);
            let slot = &mut self.slots[free];
            let object = ObjectNumber(slot.next_segment);
            if slot.session.fetch(now, SetHandle::FIRST, object, Some(len), Duration::ZERO).is_ok()
            {
                slot.intended = Some(intended);
                slot.rest = now.saturating_since(slot.heard);
                slot.next_segment = (slot.next_segment + 1) % segments;
            }
            self.next_fetch =
                if every.is_zero() { now + Duration::from_micros(1) } else { intended + every };
        }
    }

    /// Whether anything came.
    fn receive(&mut self) -> Result<bool, String> {
        let mut buffer = [0; 2048];
        for taken in 0..BURST {
            let len = match self.socket.recv(&mut buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(taken > 0),
                Err(error) => return Err(format!("the socket: {error}")),
            };
            let Some(index) = buffer.get(4..8).filter(|_| len >= 8) else { continue };
            let index = u32::from_be_bytes([index[0], index[1], index[2], index[3]]);
            let number = index as usize % SLOTS;
            self.slots[number].session.handle_datagram(now(), 0, &mut buffer[..len]);
            if !self.slots[number].session.is_open() {
                self.flush(number);
            }
        }
        Ok(true)
    }

    fn events(&mut self, number: usize, record: &mut impl FnMut(u64)) -> Result<(), String> {
        while let Some(event) = self.slots[number].session.poll_event() {
            match event {
                ClientEvent::Open => {
                    self.done.opened += 1;
                    self.slots[number].heard = now();
                }
                ClientEvent::Object(fetched) => {
                    let start = fetched.object.0 as usize * self.shared.segment;
                    if fetched.bytes != self.shared.title[start..start + self.shared.segment] {
                        return Err(format!("{:?} has wrong bytes", fetched.object));
                    }
                    self.done.segments += 1;
                    let slot = &mut self.slots[number];
                    slot.heard = fetched.complete;
                    if let Some(intended) = slot.intended.take() {
                        record(fetched.complete.saturating_since(intended).as_nanos() as u64);
                    }
                    slot.fetches_left -= 1;
                    if slot.fetches_left == 0 {
                        self.leave(number)?;
                    }
                }
                // At a slow pace some wait longer for their turn than an edge waits for them.
                ClientEvent::Closed { code: Code::Idle, .. }
                    if self.slots[number].intended.is_none()
                        || self.slots[number].rest >= LONG_REST =>
                {
                    self.done.idled += 1;
                    return self.renew(number);
                }
                ClientEvent::Unresponsive | ClientEvent::PulseReply { .. } => {}
                other => return Err(format!("session {number}: {other:?}")),
            }
        }
        Ok(())
    }

    /// The session goes, and a new one comes.
    fn leave(&mut self, number: usize) -> Result<(), String> {
        if self.rng.next_u32().is_multiple_of(SILENT) {
            self.done.vanished += 1;
        } else {
            self.slots[number].session.close();
            self.flush(number);
            self.done.closed += 1;
        }
        self.renew(number)
    }

    fn renew(&mut self, number: usize) -> Result<(), String> {
        let generation = self.slots[number].generation.wrapping_add(1);
        self.slots[number] = self.slot(number as u32, generation)?;
        Ok(())
    }

    fn flush(&mut self, number: usize) {
        let mut out = [0; 2048];
        while let Some(len) = self.slots[number].session.poll_transmit(now(), &mut out) {
            // A full buffer is a loss: the session's timers see to it.
            let _ = self.socket.send(&out[..len]);
        }
    }
}
