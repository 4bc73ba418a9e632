//! One viewer: asks for what it wants as soon as its edge lets it, and gives up what comes too late.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::session::client::{
    Backoff, ClientConfig, ClientEvent, ClientSession, ClientStats,
};
use segcast_proto::time::{Duration, Instant};

use super::{SEGMENTS, address};
use crate::random::draw;
use crate::session;

/// One request that somebody intended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// When, after the start.
    pub at: Duration,
    /// When it had come; none: too late, or never.
    pub done: Option<Duration>,
    /// How often it was refused.
    pub refused: u32,
}

/// Something that is wanted: its number in the report, and until when.
#[derive(Clone, Copy, Debug)]
struct Want {
    asked: usize,
    until: Instant,
}

pub(super) struct Viewer {
    number: u32,
    keys: Keys,
    pub(super) session: ClientSession,
    pub(super) address: SocketAddr,
    /// When it has something to do at the latest.
    pub(super) timer: Instant,
    touched: bool,
    /// When its session begins (again).
    begins: Option<Instant>,
    sessions: Backoff,
    requests: Backoff,
    hold: Instant,
    wanted: VecDeque<Want>,
    under_way: BTreeMap<u32, Want>,
    next_segment: u32,
    before: ClientStats,
    pub(super) fetches: u64,
    pub(super) sessions_refused: u64,
    /// Closes its session when it has all it wants.
    pub(super) leaves: bool,
}

/// Which viewer is at an address.
pub(super) fn number_of(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(v4) => (u32::from(*v4.ip()) & 0x00FF_FFFF) as usize,
        SocketAddr::V6(_) => unreachable!("viewers have IPv4 addresses"),
    }
}

/// What a viewer begins each of its sessions with: the edge's public key, its own secret, its token.
pub(super) type Keys = ([u8; 32], StaticSecret, Vec<u8>);

fn begin(number: u32, keys: &Keys, seed: [u8; 32], now: Instant) -> ClientSession {
    let (edge_public, secret, token) = keys.clone();
    let config = session::config(edge_public, secret, token);
    let config = ClientConfig { sender_index: number, ..config };
    ClientSession::new(config, seed, now).expect("a valid configuration")
}

impl Viewer {
    pub(super) fn new(number: u32, keys: Keys, seed: [u8; 32], begins: Instant) -> Self {
        Self {
            session: begin(number, &keys, seed, begins),
            number,
            keys,
            address: address(number),
            timer: begins,
            touched: false,
            begins: Some(begins),
            sessions: Backoff::default(),
            requests: Backoff::default(),
            hold: Instant::ZERO,
            wanted: VecDeque::new(),
            under_way: BTreeMap::new(),
            next_segment: 0,
            before: ClientStats::default(),
            fetches: 0,
            sessions_refused: 0,
            leaves: false,
        }
    }

    /// Wants one more segment, until then.
    pub(super) fn want(&mut self, asked: usize, until: Instant) {
        self.wanted.push_back(Want { asked, until });
        self.touched = true;
    }

    pub(super) fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8]) {
        self.session.handle_datagram(now, 0, datagram);
        self.touched = true;
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.begins.is_none() {
            self.session.handle_timeout(now);
        }
        self.touched = true;
    }

    /// Does what is to be done now; false: nothing, not even to send.
    pub(super) fn act(
        &mut self,
        now: Instant,
        rng: &mut ChaCha20Rng,
        started: Instant,
        asked: &mut [Asked],
    ) -> bool {
        if !core::mem::take(&mut self.touched) {
            return false;
        }
        match self.begins {
            Some(at) if at > now => {
                self.set_timer();
                return false;
            }
            Some(_) => self.begin_session(now, rng),
            None => {}
        }
        while let Some(event) = self.session.poll_event() {
            self.on_event(now, rng.next_u32(), event, started, asked);
        }
        self.give_up(now);
        if self.begins.is_none() && self.hold <= now {
            self.ask(now);
        }
        let done = self.wanted.is_empty() && self.under_way.is_empty();
        if self.leaves && done && self.session.is_open() {
            self.session.close();
        }
        true
    }

    fn begin_session(&mut self, now: Instant, rng: &mut ChaCha20Rng) {
        self.begins = None;
        if self.session.has_ended() {
            self.before = self.stats();
            self.session = begin(self.number, &self.keys, draw(rng), now);
        }
    }

    fn on_event(
        &mut self,
        now: Instant,
        random: u32,
        event: ClientEvent,
        started: Instant,
        asked: &mut [Asked],
    ) {
        match event {
            ClientEvent::Object(fetched) => {
                self.requests.served();
                self.sessions.served();
                if let Some(want) = self.under_way.remove(&fetched.object.0) {
                    asked[want.asked].done = Some(now.saturating_since(started));
                }
            }
            ClientEvent::ObjectRefused { object, retry_after, .. } => {
                if let Some(want) = self.under_way.remove(&object.0) {
                    asked[want.asked].refused += 1;
                    self.wanted.push_front(want);
                }
                self.hold = self.requests.refused(now, retry_after, random);
            }
            ClientEvent::Refused { retry_after, .. } => {
                self.sessions_refused += 1;
                self.lost(now, retry_after, random);
            }
            ClientEvent::TimedOut | ClientEvent::Closed { .. } => {
                self.lost(now, Duration::ZERO, random);
            }
            _ => {}
        }
    }

    /// The session is gone: another one begins later.
    fn lost(&mut self, now: Instant, retry_after: Duration, random: u32) {
        self.begins = Some(self.sessions.refused(now, retry_after, random));
        for (_, want) in core::mem::take(&mut self.under_way) {
            self.wanted.push_back(want);
        }
    }

    fn ask(&mut self, now: Instant) {
        let mut tried = 0;
        while let Some(&want) = self.wanted.front() {
            let segment = self.next_segment;
            self.next_segment = (segment + 1) % SEGMENTS;
            tried += 1;
            if self.under_way.contains_key(&segment) {
                if tried > SEGMENTS {
                    return;
                }
                continue;
            }
            let (object, deadline) = (ObjectNumber(segment), want.until.saturating_since(now));
            if self.session.fetch(now, SetHandle::FIRST, object, None, deadline).is_err() {
                return;
            }
            self.fetches += 1;
            self.wanted.pop_front();
            self.under_way.insert(segment, want);
        }
    }

    fn give_up(&mut self, now: Instant) {
        self.wanted.retain(|want| want.until > now);
        let late: Vec<u32> =
            self.under_way.iter().filter(|(_, w)| w.until <= now).map(|(s, _)| *s).collect();
        for segment in late {
            self.under_way.remove(&segment);
            self.session.cancel(SetHandle::FIRST, ObjectNumber(segment));
        }
    }

    pub(super) fn set_timer(&mut self) {
        if let Some(at) = self.begins {
            self.timer = at;
            return;
        }
        let session = self.session.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
        let late = self.under_way.values().chain(&self.wanted).map(|want| want.until).min();
        let hold = (!self.wanted.is_empty()).then_some(self.hold);
        let ask = hold.filter(|_| self.under_way.len() < SEGMENTS as usize);
        self.timer = [Some(session), late, ask].into_iter().flatten().min().unwrap_or(session);
    }

    pub(super) fn stats(&self) -> ClientStats {
        let mut all = self.before;
        all += *self.session.stats();
        all
    }
}
