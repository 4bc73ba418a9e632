//! Many sessions of many clients on one socket: what fills an edge's tables.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::{ObjectNumber, SetHandle, SetId};
use segcast_proto::session::client::{ClientConfig, ClientEvent, ClientSession};
use segcast_proto::time::Duration;
use segcast_proto::token::{Claims, mint};
use segcast_sysio::clock;

use super::{claims, config, now};
use crate::random::draw;

/// Handshakes or fetches under way at once: few enough that no socket buffer overflows.
const AT_ONCE: usize = 64;
/// Without progress for this long the swarm has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sessions, by the receiver index that the edge uses towards them.
pub struct Swarm {
    socket: UdpSocket,
    sessions: Vec<ClientSession>,
    edge_public: [u8; 32],
    rng: ChaCha20Rng,
}

/// What a session did.
enum Progress {
    Opened,
    Fetched(Vec<u8>),
    Failed(String),
}

impl Swarm {
    /// No sessions yet, towards the edge at `address`.
    ///
    /// # Panics
    /// When no socket can be had.
    #[must_use]
    pub fn new(address: SocketAddr, edge_public: [u8; 32], seed: u64) -> Self {
        let any = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(any).expect("a socket");
        socket.connect(address).expect("a connected socket");
        socket.set_nonblocking(true).expect("a non-blocking socket");
        Self { socket, sessions: Vec::new(), edge_public, rng: ChaCha20Rng::seed_from_u64(seed) }
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Opens `count` more sessions, each of a client of its own, and lets each prove itself by a pulse.
    ///
    /// # Errors
    /// What the first session that failed says.
    pub fn open(&mut self, count: usize, center: &SigningKey, set: SetId) -> Result<(), String> {
        let end = self.sessions.len() + count;
        let (mut opening, mut progress) = (Vec::new(), now());
        while self.sessions.len() < end || !opening.is_empty() {
            while self.sessions.len() < end && opening.len() < AT_ONCE {
                let session = self.client(self.sessions.len(), center, set)?;
                opening.push(self.sessions.len());
                self.sessions.push(session);
            }
            for (at, what) in self.turn(opening.clone().into_iter()) {
                match what {
                    Progress::Opened => {
                        self.sessions[at].pulse(SetHandle::FIRST, ObjectNumber(0));
                        self.flush(at);
                        opening.retain(|&other| other != at);
                        progress = now();
                    }
                    Progress::Fetched(_) => {}
                    Progress::Failed(why) => return Err(format!("session {at}: {why}")),
                }
            }
            if now().saturating_since(progress) > PATIENCE {
                return Err(format!("{} of {end} sessions do not open", opening.len()));
            }
        }
        Ok(())
    }

    /// Lets `which` sessions fetch one segment each of `len` bytes; gives each one's bytes to `check`.
    ///
    /// # Errors
    /// What the first session that failed says.
    pub fn fetch(
        &mut self,
        which: &[usize],
        len: u32,
        mut check: impl FnMut(usize, &[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        for chunk in which.chunks(AT_ONCE / 4) {
            for &at in chunk {
                let (object, deadline) = (ObjectNumber(0), Duration::from_secs(1));
                let asked =
                    self.sessions[at].fetch(now(), SetHandle::FIRST, object, Some(len), deadline);
                asked.map_err(|error| error.to_string())?;
            }
            let (mut missing, mut progress) = (chunk.len(), now());
            while missing > 0 {
                for (at, what) in self.turn(chunk.iter().copied()) {
                    match what {
                        Progress::Fetched(bytes) => check(at, &bytes)?,
                        Progress::Opened => return Err(format!("session {at} was lost")),
                        Progress::Failed(why) => return Err(format!("session {at}: {why}")),
                    }
                    (missing, progress) = (missing - 1, now());
                }
                if now().saturating_since(progress) > PATIENCE {
                    return Err(format!("{missing} sessions got nothing"));
                }
            }
        }
        Ok(())
    }

    fn client(
        &mut self,
        number: usize,
        center: &SigningKey,
        set: SetId,
    ) -> Result<ClientSession, String> {
        let secret = StaticSecret::new(draw(&mut self.rng));
        let claims = claims(&secret, vec![set], clock::unix_seconds());
        let claims = Claims { token_id: (number as u64).to_be_bytes(), ..claims };
        let token = mint(&claims, center).map_err(|error| error.to_string())?;
        let config = ClientConfig {
            datagram_max: 1440,
            sender_index: number as u32,
            room_bytes: 16 << 20,
            ..config(self.edge_public, secret, token)
        };
        ClientSession::new(config, draw(&mut self.rng), now()).map_err(|error| error.to_string())
    }

    /// Sends, receives and fires timers once, for `active` sessions.
    fn turn(&mut self, active: impl Iterator<Item = usize> + Clone) -> Vec<(usize, Progress)> {
        for at in active.clone() {
            if self.sessions[at].poll_timeout().is_some_and(|due| due <= now()) {
                self.sessions[at].handle_timeout(now());
            }
            self.flush(at);
        }
        let mut buffer = [0; 2048];
        for _ in 0..256 {
            match self.socket.recv(&mut buffer) {
                Ok(len) => self.deliver(&mut buffer[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {}
            }
        }
        let mut done = Vec::new();
        for at in active {
            self.flush(at);
            while let Some(event) = self.sessions[at].poll_event() {
                let what = match event {
                    ClientEvent::Open => Progress::Opened,
                    ClientEvent::Object(fetched) => Progress::Fetched(fetched.bytes),
                    ClientEvent::PulseReply { .. } | ClientEvent::Unresponsive => continue,
                    other => Progress::Failed(format!("{other:?}")),
                };
                done.push((at, what));
            }
        }
        done
    }

    fn deliver(&mut self, datagram: &mut [u8]) {
        let Some(index) = datagram.get(4..8) else { return };
        let at = u32::from_be_bytes([index[0], index[1], index[2], index[3]]) as usize;
        if let Some(session) = self.sessions.get_mut(at) {
            session.handle_datagram(now(), 0, datagram);
        }
    }

    fn flush(&mut self, at: usize) {
        let mut out = [0; 2048];
        while let Some(len) = self.sessions[at].poll_transmit(now(), &mut out) {
            // A full buffer or an edge that is not there: the session's timers see to it.
            let _ = self.socket.send(&out[..len]);
        }
    }
}
