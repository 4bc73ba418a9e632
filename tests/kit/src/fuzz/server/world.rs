//! The shards of an edge, their clients, and the sums that must agree after every step.

use std::sync::Arc;

use segcast_proto::crypto::Suite;
use segcast_proto::ids::SetIndex;
use segcast_proto::limits::{DATAGRAM_BASE, TRAIN_DATAGRAMS_MAX, TRAIN_MAX};
use segcast_proto::rate::Rate;
use segcast_proto::session::server::{
    Disposition, DropReason, EgressCap, Endpoint, EndpointConfig, Path, SendTicket, ServerEvent,
    Transmit,
};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::{ClearHeader, Code};

use super::viewer::Viewer;
use crate::fuzz::cast::{self, START, UNIX, address};
use crate::fuzz::script::Script;
use crate::fuzz::shelf::{OBJECTS, shelf};
use crate::session::raw::RawClient;
use crate::source::MemorySource;

/// Addresses; the last one is a victim, which never answers anything.
pub(super) const ADDRESSES: usize = 4;
pub(super) const VICTIM: usize = ADDRESSES - 1;
/// Handshakes in one run.
const VIEWERS_MAX: usize = 8;
/// The receiver index of the first viewer.
const FIRST_INDEX: u32 = 0x1000;
/// Datagrams that can be replayed, and sends that can fail.
const MEMORY: usize = 32;
/// Timers that fire at one moment, before it counts as spinning.
const TURNS_MAX: usize = 200;

/// What was seen from outside, to be compared with what the endpoints counted.
#[derive(Default)]
struct Tally {
    datagrams_in: u64,
    bytes_in: u64,
    dropped: u64,
    datagrams_out: u64,
    bytes_out: u64,
    data_bytes: u64,
    opened: u64,
    closed: u64,
    /// To and from each address.
    to: [u64; ADDRESSES],
    from: [u64; ADDRESSES],
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) shards: Vec<Endpoint>,
    pub(super) shelf: MemorySource,
    pub(super) viewers: Vec<Viewer>,
    /// Datagrams of clients, and the addresses they came from.
    pub(super) history: Vec<(usize, Vec<u8>)>,
    pub(super) tickets: Vec<(usize, SendTicket)>,
    limits: EndpointConfig,
    tally: Tally,
    buffer: Vec<u8>,
}

impl World {
    /// Endpoints with limits that are soon reached.
    pub(super) fn new(script: &mut Script<'_>) -> Self {
        let now = START;
        let mut limits = cast::settings();
        limits.shards = 1 + script.byte() % 2;
        limits.cookie_always = script.flag();
        limits.sessions_max = 1 + u32::from(script.byte() % 8);
        limits.pending_max = 1 + u32::from(script.byte() % 8);
        limits.sessions_per_client = 1 + u16::from(script.byte() % 4);
        limits.idle_timeout = Duration::from_secs(5 + u64::from(script.byte()));
        limits.requests_per_second = 1 + u32::from(script.byte());
        limits.epoch_packets = 1 + u64::from(script.byte());
        let egress = script.byte();
        limits.egress_max =
            (egress > 0).then(|| Arc::new(EgressCap::new(Rate::new(u64::from(egress) * 20_000))));
        limits.multicast = true;
        limits.datagram_max = [DATAGRAM_BASE, 1440, 8952][script.choose(3)];
        let shard = |shard: u8| {
            let config = EndpointConfig { shard, ..limits.clone() };
            cast::endpoint(config, [[5; 32], [6 + shard; 32]], now)
        };
        let mut shelf = shelf();
        shelf.playing = Some(Duration::from_secs(3));
        Self {
            now,
            shards: (0..limits.shards).map(shard).collect(),
            shelf,
            viewers: Vec::new(),
            history: Vec::new(),
            tickets: Vec::new(),
            limits,
            tally: Tally::default(),
            buffer: vec![0; TRAIN_MAX],
        }
    }

    fn unix(&self) -> u64 {
        UNIX + self.now.as_nanos() / 1_000_000_000
    }

    /// A new handshake of a client with the key `key`; `None` when there were enough.
    pub(super) fn begin(&mut self, key: u8, from: usize, script: &mut Script<'_>) -> Option<usize> {
        let number = self.viewers.len();
        if number == VIEWERS_MAX {
            return None;
        }
        let mut claims = cast::claims(key, number as u8);
        claims.rate_cap_kbits = script.flag().then(|| script.short().into());
        claims.sessions = script.flag().then(|| u16::from(script.byte() % 3));
        let mut config = cast::client(key, &claims, FIRST_INDEX + number as u32);
        script.patch(&mut config.token);
        config.suite = if script.flag() { Suite::Aes256Gcm } else { Suite::Aes128Gcm };
        config.datagram_max = usize::from(script.short()).max(DATAGRAM_BASE);
        config.room_bytes = u64::from(script.short()) << 10;
        config.epoch_packets = 1 + u64::from(script.byte());
        let client = RawClient::new(config, [0x80 + number as u8; 32]);
        self.viewers.push(Viewer::new(client, from.min(VICTIM - 1), self.now));
        Some(number)
    }

    /// A datagram arrives, at the shard that the kernel would choose or at another one.
    pub(super) fn hand(&mut self, from: usize, datagram: &[u8], astray: bool) {
        if self.history.len() == MEMORY {
            self.history.remove(0);
        }
        self.history.push((from, datagram.to_vec()));
        let path = Path { socket: 0, remote: address(from) };
        let sealed = datagram.get(1).is_some_and(|&kind| kind >= 0x10);
        let steered = if sealed { datagram.get(7).map_or(0, |&byte| byte.into()) } else { from };
        let mut shard = (steered + usize::from(astray)) % self.shards.len();
        self.tally.from[from] += datagram.len() as u64;
        for _ in 0..2 {
            self.tally.datagrams_in += 1;
            self.tally.bytes_in += datagram.len() as u64;
            let (now, unix) = (self.now, self.unix());
            let mut bytes = datagram.to_vec();
            let endpoint = &mut self.shards[shard];
            match endpoint.handle_datagram(now, unix, path, &mut bytes, &self.shelf) {
                Disposition::Done => return,
                Disposition::Dropped(reason) => return self.drop(reason),
                Disposition::Stray { shard: other } => {
                    assert_ne!(usize::from(other), shard, "a stray of its own shard");
                    shard = usize::from(other);
                }
                Disposition::Handoff { shard: other, hello } => {
                    assert_ne!(usize::from(other), shard, "a handoff to its own shard");
                    match self.shards[usize::from(other)].handle_handoff(now, unix, *hello) {
                        Disposition::Done => {}
                        Disposition::Dropped(reason) => self.drop(reason),
                        other => panic!("{other:?} after a handoff"),
                    }
                    return;
                }
            }
        }
        panic!("a datagram that belongs to no shard");
    }

    fn drop(&mut self, reason: DropReason) {
        assert!(DropReason::ALL.contains(&reason));
        self.tally.dropped += 1;
    }

    /// Lets timers fire and everything go out that may, until nothing is due.
    pub(super) fn settle(&mut self) {
        for turn in 0.. {
            self.drain();
            let now = self.now;
            let due = |shard: &Endpoint| shard.poll_timeout().is_some_and(|at| at <= now);
            if !self.shards.iter().any(due) {
                break;
            }
            assert!(turn < TURNS_MAX, "a shard spins");
            self.shards.iter_mut().for_each(|shard| shard.handle_timeout(now));
        }
        self.check();
    }

    fn drain(&mut self) {
        for shard in 0..self.shards.len() {
            let mut out = core::mem::take(&mut self.buffer);
            while let Some(sent) = self.shards[shard].poll_transmit(self.now, &self.shelf, &mut out)
            {
                self.sent(shard, &sent, &out);
            }
            self.buffer = out;
            while let Some((set, object)) = self.shards[shard].next_object() {
                let there = OBJECTS.iter().any(|(number, _)| *number == object);
                assert!(set == SetIndex::FIRST && there);
            }
            while let Some(event) = self.shards[shard].poll_event() {
                self.event(&event);
            }
            while self.shards[shard].poll_note().is_some() {}
        }
    }

    fn sent(&mut self, shard: usize, sent: &Transmit, out: &[u8]) {
        assert!(sent.len <= TRAIN_MAX && sent.datagrams <= TRAIN_DATAGRAMS_MAX);
        assert!(sent.datagram_bytes <= self.limits.datagram_max.max(DATAGRAM_BASE));
        assert_eq!(sent.datagrams, sent.len.div_ceil(sent.datagram_bytes));
        self.tally.datagrams_out += sent.datagrams as u64;
        self.tally.bytes_out += sent.len as u64;
        let to = (0..ADDRESSES).find(|&at| address(at) == sent.path.remote).expect("an address");
        self.tally.to[to] += sent.len as u64;
        assert!(self.tally.to[VICTIM] <= self.tally.from[VICTIM], "more to a victim than from it");
        if self.tickets.len() == MEMORY {
            self.tickets.remove(0);
        }
        self.tickets.push((shard, sent.ticket));
        for datagram in out[..sent.len].chunks(sent.datagram_bytes) {
            let header = ClearHeader::decode(datagram).expect("a server sends packets");
            let number = header.receiver.0.wrapping_sub(FIRST_INDEX) as usize;
            let viewer = self.viewers.get_mut(number).expect("a viewer's receiver index");
            if to != VICTIM {
                self.tally.data_bytes += viewer.take(self.now, datagram.to_vec());
            }
            assert!(to != VICTIM || sent.data.is_none(), "data to a victim");
        }
    }

    fn event(&mut self, event: &ServerEvent) {
        match event {
            ServerEvent::SessionOpened { .. } => self.tally.opened += 1,
            ServerEvent::SessionClosed(record) => {
                self.tally.closed += 1;
                let viewer = self.viewers.get(usize::from(record.token_id[0]));
                let lied = viewer.expect("a viewer's token").lied;
                assert!(record.code != Code::LyingReport || lied, "an honest client is no liar");
                assert!(record.closed >= record.opened);
                assert!(record.bytes_retransmitted <= record.bytes_sent);
            }
        }
    }

    /// What endpoints count is what was seen, and no table is fuller than its limit.
    fn check(&self) {
        let sum = |count: fn(&Endpoint) -> u64| self.shards.iter().map(count).sum::<u64>();
        let tally = &self.tally;
        assert_eq!(sum(|shard| shard.counters().datagrams_in), tally.datagrams_in);
        assert_eq!(sum(|shard| shard.counters().bytes_in), tally.bytes_in);
        assert_eq!(sum(|shard| shard.counters().dropped.iter().sum()), tally.dropped);
        assert_eq!(sum(|shard| shard.counters().datagrams_out), tally.datagrams_out);
        assert_eq!(sum(|shard| shard.counters().bytes_out), tally.bytes_out);
        // Who changed keys too early cannot read all that comes.
        if !self.viewers.iter().any(|viewer| viewer.rushed) {
            assert_eq!(sum(|shard| shard.counters().data_bytes), tally.data_bytes);
        }
        assert_eq!(sum(|shard| shard.counters().sessions_opened), tally.opened);
        assert_eq!(sum(|shard| shard.counters().sessions_closed), tally.closed);
        assert_eq!(sum(|shard| shard.sessions() as u64), tally.opened - tally.closed);
        for shard in &self.shards {
            let (counters, gauges) = (shard.counters(), shard.gauges());
            assert!(gauges.sessions <= self.limits.sessions_max.into());
            assert!(gauges.pending <= self.limits.pending_max.into());
            assert!(gauges.waiting_objects <= OBJECTS.len() as u64);
            let refused: u64 = counters.requests_refused.counts().iter().sum();
            assert!(counters.repaired_bytes <= counters.data_bytes);
            assert!(counters.lies + counters.floods <= counters.sessions_closed);
            assert!(refused <= counters.requests);
        }
    }
}
