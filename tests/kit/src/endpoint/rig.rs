//! A server endpoint, clients of any kind, and a network without delay between them.

use std::net::SocketAddr;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::{EdgeIdentity, StaticSecret};
use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::limits::{DATAGRAM_BASE, SEGMENT_UNIT, TRAIN_MAX};
use segcast_proto::session::client::{ClientConfig, ClientEvent, ClientSession};
use segcast_proto::session::server::{
    Disposition, DropReason, Endpoint, EndpointConfig, Path, ServerEvent,
};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::token::Claims;
use segcast_proto::wire::Code;

use super::{Cast, START, UNIX};
use crate::random::draw;
use crate::session;
use crate::session::raw::{RawClient, RawPacket};
use crate::source::{MemorySource, content, set_id};

/// Segments of the one set, and the bytes of each.
pub const SEGMENTS: u32 = 4;
/// See [`SEGMENTS`].
pub const SEGMENT_BYTES: usize = SEGMENT_UNIT;
/// A millisecond.
pub const MS: Duration = Duration::from_millis(1);

/// The server and everything that makes clients.
pub struct Rig {
    /// The endpoint under test.
    pub server: Endpoint,
    /// What it serves: set 0.
    pub source: MemorySource,
    /// The moment, and only [`Rig::pass`] and the test move it.
    pub now: Instant,
    /// What everything random is drawn from.
    pub rng: ChaCha20Rng,
    cast: Cast,
    settings: EndpointConfig,
    /// The secret of all shards.
    shared: [u8; 32],
    /// What was sent to others while one client shook hands.
    held: Vec<(SocketAddr, Vec<u8>)>,
}

/// The address of client `number`.
#[must_use]
pub fn address(number: u32) -> SocketAddr {
    SocketAddr::from((0x0A00_0000u32.wrapping_add(number).to_be_bytes(), 4000))
}

impl Rig {
    /// A server with default settings but for what `change` changes.
    pub fn new(seed: u64, change: impl FnOnce(&mut EndpointConfig)) -> Self {
        println!("seed {seed}");
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let cast = Cast::draw(&mut rng);
        let mut settings = cast.settings();
        change(&mut settings);
        let shared = draw(&mut rng);
        let server = cast.endpoint(settings.clone(), shared, draw(&mut rng), START);
        let source = MemorySource::new(1, SEGMENTS, SEGMENT_BYTES, 3000);
        Self { server, source, now: START, rng, cast, settings, shared, held: Vec::new() }
    }

    /// Another shard of the same edge, all else as the server has it.
    pub fn shard(&mut self, shard: u8) -> Endpoint {
        let settings = EndpointConfig { shard, ..self.settings.clone() };
        self.cast.endpoint(settings, self.shared, draw(&mut self.rng), self.now)
    }

    /// So many random bytes.
    pub fn draw(&mut self) -> [u8; 32] {
        draw(&mut self.rng)
    }

    /// The server's key pair.
    #[must_use]
    pub fn identity(&self) -> &EdgeIdentity {
        &self.cast.identity
    }

    /// Signs tokens.
    #[must_use]
    pub fn center(&self) -> &SigningKey {
        &self.cast.center
    }

    /// What the token of client `number` says, and the client's secret.
    #[must_use]
    pub fn claims(&self, number: u32) -> (Claims, StaticSecret) {
        let secret = StaticSecret::new(draw(&mut ChaCha20Rng::seed_from_u64(u64::from(number))));
        // The second set is not on the server.
        let claims = session::claims(&secret, vec![set_id(0), set_id(7)], UNIX);
        (Claims { token_id: [number as u8; 8], ..claims }, secret)
    }

    /// A client with this token.
    #[must_use]
    pub fn config_with(&self, secret: StaticSecret, token: Vec<u8>) -> ClientConfig {
        let config = session::config(*self.cast.identity.public(), secret, token);
        ClientConfig { datagram_max: DATAGRAM_BASE, ..config }
    }

    /// A client with a good token.
    #[must_use]
    pub fn config(&self, number: u32) -> ClientConfig {
        let (claims, secret) = self.claims(number);
        self.config_with(secret, self.cast.token(&claims))
    }

    /// Hands the server a datagram.
    pub fn hand(&mut self, from: SocketAddr, datagram: &[u8]) -> Disposition {
        let path = Path { socket: 0, remote: from };
        let mut bytes = datagram.to_vec();
        self.server.handle_datagram(self.now, UNIX, path, &mut bytes, &self.source)
    }

    /// Hands the server a datagram that it must drop.
    ///
    /// # Panics
    /// When it does not.
    pub fn dropped(&mut self, from: SocketAddr, datagram: &[u8]) -> DropReason {
        match self.hand(from, datagram) {
            Disposition::Dropped(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// All that the server sends now.
    pub fn drain(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut out = vec![0; TRAIN_MAX];
        let mut all = core::mem::take(&mut self.held);
        while let Some(sent) = self.server.poll_transmit(self.now, &self.source, &mut out) {
            let datagrams = out[..sent.len].chunks(sent.datagram_bytes);
            all.extend(datagrams.map(|bytes| (sent.path.remote, bytes.to_vec())));
        }
        all
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.server.handle_timeout(self.now);
    }

    /// The codes of the sessions that ended.
    pub fn closed(&mut self) -> Vec<Code> {
        let events = core::iter::from_fn(|| self.server.poll_event());
        events
            .filter_map(|event| match event {
                ServerEvent::SessionClosed(record) => Some(record.code),
                _ => None,
            })
            .collect()
    }

    /// What the server wants to have read in, and had not asked for before; in its order.
    pub fn needs(&mut self) -> Vec<ObjectNumber> {
        core::iter::from_fn(|| self.server.next_object()).map(|(_, object)| object).collect()
    }

    /// Does a raw client's handshake; its code says whether it was accepted.
    pub fn shake(&mut self, config: ClientConfig, from: SocketAddr) -> RawClient {
        let seed = self.draw();
        let mut client = RawClient::new(config, seed);
        for _ in 0..2 {
            self.hand(from, &client.hello());
            for (to, mut bytes) in self.drain() {
                if to == from {
                    client.take(self.now, &mut bytes);
                } else {
                    self.held.push((to, bytes));
                }
            }
            if client.code.is_some() {
                break;
            }
        }
        client
    }

    /// A raw client with an open session.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn open(&mut self, number: u32) -> RawClient {
        let config = self.config(number);
        let mut client = self.shake(config, address(number));
        assert_eq!(client.code, Some(Code::Ok));
        let pulse = client.pulse(self.now);
        assert!(matches!(self.hand(address(number), &pulse), Disposition::Done));
        self.hear(&mut client);
        client
    }

    /// All that the server sends now, as this client reads it.
    pub fn hear(&mut self, client: &mut RawClient) -> Vec<RawPacket> {
        let now = self.now;
        self.drain().into_iter().filter_map(|(_, mut bytes)| client.take(now, &mut bytes)).collect()
    }

    /// Runs an honest session until it has all segments, with something hostile before every step.
    ///
    /// # Panics
    /// When it does not get them, or gets wrong ones.
    pub fn fetch_all(
        &mut self,
        number: u32,
        mut hostile: impl FnMut(&mut Self, &mut ClientSession, &[Vec<u8>]),
    ) {
        let seed = self.draw();
        let mut session =
            ClientSession::new(self.config(number), seed, self.now).expect("a session");
        for segment in 0..SEGMENTS {
            let (object, len) = (ObjectNumber(segment), Some(SEGMENT_BYTES as u32));
            session
                .fetch(self.now, SetHandle::FIRST, object, len, Duration::from_secs(1))
                .expect("room");
        }
        let (mut done, mut out) = (0, [0; 2048]);
        for _ in 0..20_000 {
            let mut seen = Vec::new();
            while let Some(len) = session.poll_transmit(self.now, &mut out) {
                seen.push(out[..len].to_vec());
                self.hand(address(number), &out[..len]);
            }
            for (to, mut bytes) in self.drain() {
                if to == address(number) {
                    seen.push(bytes.clone());
                    session.handle_datagram(self.now, 0, &mut bytes);
                }
            }
            while let Some(event) = session.poll_event() {
                match event {
                    ClientEvent::Object(fetched) => {
                        assert_eq!(fetched.bytes, content(0, fetched.object, SEGMENT_BYTES));
                        done += 1;
                    }
                    ClientEvent::Open => {}
                    other => panic!("{other:?}"),
                }
            }
            if done == SEGMENTS {
                return;
            }
            hostile(self, &mut session, &seen);
            self.pass(MS);
            session.handle_timeout(self.now);
        }
        panic!("{done} of {SEGMENTS} segments: {:?}", session.stats());
    }
}
