//! The server's end: one [`Endpoint`] for each shard holds all of its sessions.
//!
//! The endpoint reads the type of each datagram and holds what the rooms share: the table of slots, the counters, the
//! events. What it says to its caller is in `event.rs`, what it is told and asks for in `config.rs` and `source.rs`.
//!
//! **Life of a HELLO** (`door/`). The limiter of floods says whether the shard has the time to look at it, the first
//! hash whether it means this edge. One that is pending already gets the same WELCOME again. Where handshakes are
//! scarce a cookie is demanded, or the client put off. Only then is Noise computed; the client's key says on which
//! shard its sessions live, and so where the handshake goes on. With a valid token, and room for one more session of
//! this client, it becomes a pending handshake in the table. Its first sealed packet (`receive.rs`) makes it a session.
//!
//! **Life of a REQUEST** (`receive.rs`, then `session/`). The session's keys open it in place. Its id says whether it
//! is new, the session's bucket whether it comes too fast, overload control whether the shard could serve it in time.
//! Then it waits in the session's queue, or a REFUSE does. One with HEARS may be held there until its set's group is sent
//! the segment, or until unicast must begin (`holds.rs`, `groups.rs`). Whatever happened, `plan` puts the session where
//! it belongs: into the lists of those with something to send, or into the wheel of timers.
//!
//! **Life of a train** (`send/`). [`Endpoint::poll_transmit`] asks the schedule whose turn it is. The session's rate
//! model says how many bytes may leave, its most urgent request which bytes; they are sealed straight from the source
//! into the caller's buffer, and the session goes back to the end of the round or waits for its pacing. Nothing is kept
//! of what was sent: a repair is a request like any other, and is sealed again.
//!
//! **Time** (`upkeep.rs`) lets timers fire, and walks over all slots to rest, doubt and close silent sessions.

mod config;
mod counters;
mod door;
mod event;
mod groups;
mod holds;
mod receive;
mod send;
mod session;
mod source;
mod upkeep;
mod waiters;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub use config::EndpointConfig;
pub use counters::{ByCode, Counters, Gauges};
use door::answers::Answers;
use door::budget::HandshakeBudget;
use door::clients::ClientCounts;
use door::flood::HelloLimiter;
use door::refused::Refusals;
use door::table::Table;
pub use event::{
    Asked, Disposition, DropReason, Handoff, Path, SendFailure, SendTicket, ServerEvent,
    SessionRecord, Transmit,
};
use holds::Holds;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
pub use send::cap::EgressCap;
use send::egress::Egress;
use send::overload::Overload;
use send::schedule::Schedule;
pub use source::{Object, SegmentSource};
use waiters::Waiters;

use crate::crypto::hash;
use crate::faults::{Fault, planted};
use crate::handshake::CookieJar;
use crate::ids::{ObjectNumber, SetId, SetIndex};
use crate::time::Instant;
use crate::token::{Keyring, VerifiedTokens};
use crate::wire::{ClearHeader, PacketType};

/// All sessions of one shard.
pub struct Endpoint {
    config: EndpointConfig,
    keyring: Arc<Keyring>,
    tokens: VerifiedTokens,
    table: Table,
    schedule: Schedule,
    answers: Answers,
    /// The last thing sent was an answer.
    answered: bool,
    events: VecDeque<ServerEvent>,
    asked: VecDeque<Asked>,
    waiters: Waiters,
    holds: Holds,
    /// Sets whose groups changed, and the first slot whose session may not know it yet.
    telling: BTreeMap<SetId, u32>,
    clients: ClientCounts,
    hello_limiter: HelloLimiter,
    budget: HandshakeBudget,
    refusals: Refusals,
    cookies: CookieJar,
    /// Chooses a client's shard; the same on all shards.
    steering_key: [u8; 32],
    egress: Egress,
    overload: Overload,
    upkeep: upkeep::Upkeep,
    draining: bool,
    /// The time of the drain is over.
    cut: bool,
    counters: Counters,
    rng: ChaCha20Rng,
}

impl Endpoint {
    /// An endpoint without sessions. `shared_secret` is the same for all shards of an edge, `seed` differs;
    /// both are fresh randomness for every start of the process.
    #[must_use]
    pub fn new(
        config: EndpointConfig,
        keyring: Arc<Keyring>,
        shared_secret: [u8; 32],
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        Self {
            keyring,
            tokens: VerifiedTokens::default(),
            table: Table::new(config.pending_max),
            schedule: Schedule::default(),
            answers: Answers::default(),
            answered: false,
            events: VecDeque::new(),
            asked: VecDeque::new(),
            waiters: Waiters::default(),
            holds: Holds::new(config.shard),
            telling: BTreeMap::new(),
            clients: ClientCounts::default(),
            budget: HandshakeBudget::new(config.handshakes_per_second, rng.next_u64(), now),
            refusals: Refusals::default(),
            hello_limiter: HelloLimiter::new(config.handshakes_per_second, rng.next_u64(), now),
            cookies: CookieJar::new(hash::hmac256(&shared_secret, &[b"cookies"])),
            steering_key: hash::hmac256(&shared_secret, &[b"steering"]),
            egress: Egress::new(config.egress_max.clone()),
            overload: Overload::new(config.egress_queue, config.requests_max),
            upkeep: upkeep::Upkeep::new(now),
            draining: false,
            cut: false,
            counters: Counters::default(),
            rng,
            config,
        }
    }

    /// Replaces the center keys; open sessions go on.
    pub fn set_keyring(&mut self, keyring: Arc<Keyring>) {
        self.keyring = keyring;
        self.tokens.clear();
    }

    /// Takes a datagram in. It is decrypted in place; whatever it holds, the endpoint survives.
    ///
    /// `unix_time` (seconds) is for token validity only. Nothing on the server depends on received ECN marks.
    pub fn handle_datagram<S: SegmentSource>(
        &mut self,
        now: Instant,
        unix_time: u64,
        path: Path,
        datagram: &mut [u8],
        source: &S,
    ) -> Disposition {
        self.counters.datagrams_in += 1;
        self.counters.bytes_in += datagram.len() as u64;
        let Ok(header) = ClearHeader::decode(datagram) else {
            return self.dropped(DropReason::Malformed);
        };
        match header.packet_type {
            PacketType::Hello => self.handle_hello(now, unix_time, path, datagram),
            PacketType::Request
            | PacketType::Report
            | PacketType::Pulse
            | PacketType::PathResponse
            | PacketType::Cancel
            | PacketType::Close => {
                self.handle_sealed(now, unix_time, path, &header, datagram, source)
            }
            PacketType::GroupReport if self.config.multicast => {
                self.handle_sealed(now, unix_time, path, &header, datagram, source)
            }
            _ => self.dropped(DropReason::WrongDirection),
        }
    }

    /// The next event; drain after every `handle_*`.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// The next request of those that came, where [`EndpointConfig::tell_requests`] is set; drain after every `handle_*`.
    pub fn poll_asked(&mut self) -> Option<Asked> {
        self.asked.pop_front()
    }

    /// The next object that requests wait for and that was not asked for yet, by turns of the sessions: make it resident,
    /// then call [`Self::object_ready`] or [`Self::object_failed`]. Who takes no more of them than it can read at once
    /// never reads what nobody waits for any more.
    pub fn next_object(&mut self) -> Option<(SetIndex, ObjectNumber)> {
        self.waiters.next()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Open sessions.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.table.sessions()
    }

    /// Pending handshakes.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.table.pending()
    }

    fn dropped(&mut self, reason: DropReason) -> Disposition {
        self.counters.drop(reason);
        Disposition::Dropped(reason)
    }

    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        if !planted(Fault::RandomnessRepeats) {
            self.rng.fill_bytes(&mut seed);
        }
        seed
    }
}
