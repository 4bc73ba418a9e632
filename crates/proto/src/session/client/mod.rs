//! The client's end: one session with one server, fetching objects.
//!
//! A session survives its server: when nothing comes for three probe timeouts it tries a fresh handshake
//! beside the old keys, and asks again for what is missing. What has arrived is kept.

mod backoff;
mod config;
mod gap;
pub mod groups;
mod hello;
mod losses;
mod objects;
mod receive;
mod reports;
mod requests;
mod rtt;
mod stats;
mod transmit;
mod transport;

use std::collections::VecDeque;

pub use backoff::Backoff;
pub use config::{ClientConfig, ClientEvent, FetchError, Fetched, GroupEvent};
use groups::NumberedReport;
use hello::Hello;
use losses::PayloadSizes;
use objects::Objects;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
pub use reports::Reports;
use rtt::Rtt;
pub use stats::{ClientStats, Largest};
use transport::{Message, Transport};

use crate::faults::{Fault, planted};
use crate::handshake::HandshakeError;
use crate::ids::{ObjectNumber, SetHandle};
use crate::session::ranges::RangeSet;
use crate::time::{Duration, Instant};
use crate::wire::code::Code;
use crate::wire::request::{FLAG_HEARS, FLAG_REPAIR};

/// Probe timeouts in a row after which a fresh handshake begins (section 8).
const TIMEOUTS_UNRESPONSIVE: u32 = 3;

/// One session with one server.
pub struct ClientSession {
    config: ClientConfig,
    rng: ChaCha20Rng,
    hello: Option<Hello>,
    transport: Option<Transport>,
    objects: Objects,
    events: VecDeque<ClientEvent>,
    /// Whether it has asked with HEARS.
    hears: bool,
    /// A key of each set and a promise of each object, at most.
    group_events: VecDeque<GroupEvent>,
    rtt: Rtt,
    /// Doublings of the reordering window.
    reordering: u32,
    /// A CLOSE to be sent.
    closing: Option<Code>,
    ended: bool,
    sizes: PayloadSizes,
    stats: ClientStats,
}

impl ClientSession {
    /// A session that is about to send its HELLO. `seed`: fresh randomness.
    ///
    /// # Errors
    /// When the token is longer than a HELLO holds, or the edge's key is not a usable point.
    pub fn new(config: ClientConfig, seed: [u8; 32], now: Instant) -> Result<Self, HandshakeError> {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let hello = Hello::new(now, &config, config.rtt_hint, draw(&mut rng))?;
        Ok(Self {
            rtt: Rtt::new(config.rtt_hint),
            config,
            rng,
            hello: Some(hello),
            transport: None,
            objects: Objects::default(),
            events: VecDeque::new(),
            hears: false,
            group_events: VecDeque::new(),
            reordering: 0,
            closing: None,
            ended: false,
            sizes: PayloadSizes::default(),
            stats: ClientStats { handshakes: 1, ..ClientStats::default() },
        })
    }

    /// Asks for an object, from the set with this handle (its index in the token). `len`: its length, where
    /// the manifest says it. `deadline`: when it is needed, from now.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn fetch(
        &mut self,
        now: Instant,
        handle: SetHandle,
        object: ObjectNumber,
        len: Option<u32>,
        deadline: Duration,
    ) -> Result<(), FetchError> {
        if self.ended {
            return Err(FetchError::Ended);
        }
        self.objects.begin(now, (handle, object), len, now + deadline)?;
        self.request_missing((handle, object), 0);
        Ok(())
    }

    /// The same for an object of `bytes.len()` bytes, into `bytes`, which is taken unless there is an error, and comes
    /// back with [`ClientEvent::Object`]: for who fetches so much that new memory for each object would cost. What is
    /// in it does not matter.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn fetch_into(
        &mut self,
        now: Instant,
        handle: SetHandle,
        object: ObjectNumber,
        bytes: &mut Vec<u8>,
        deadline: Duration,
    ) -> Result<(), FetchError> {
        self.ask_into((handle, object), now, bytes, deadline, false)
    }

    /// The same with HEARS: the server may finish the request without DATA and send the object to a group instead, which
    /// [`GroupEvent::Promised`] then says. It may also say which groups there are.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn fetch_hearing(
        &mut self,
        now: Instant,
        handle: SetHandle,
        object: ObjectNumber,
        bytes: &mut Vec<u8>,
        deadline: Duration,
    ) -> Result<(), FetchError> {
        self.ask_into((handle, object), now, bytes, deadline, true)
    }

    /// The same for what `have` lacks of an object that a group brought in part, asked for with REPAIR. `have` is in
    /// `bytes` already, and ends within it.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn fetch_rest(
        &mut self,
        now: Instant,
        handle: SetHandle,
        object: ObjectNumber,
        bytes: &mut Vec<u8>,
        have: RangeSet,
        deadline: Duration,
    ) -> Result<(), FetchError> {
        if self.ended {
            return Err(FetchError::Ended);
        }
        self.objects.begin_rest(now, (handle, object), bytes, have, now + deadline)?;
        // HEARS: the server learns how much of what it sent to the group is missing.
        self.request_missing((handle, object), FLAG_REPAIR | FLAG_HEARS);
        Ok(())
    }

    /// Sends what [`groups::Groups::poll_report`] gave. One that waits for the same set is replaced.
    pub fn send_group_report(&mut self, handle: SetHandle, report: NumberedReport) {
        if let Some(transport) = &mut self.transport {
            transport.group_reports.insert(handle, report);
        }
    }

    /// Gives up on an object.
    pub fn cancel(&mut self, handle: SetHandle, object: ObjectNumber) {
        let key = (handle, object);
        self.objects.give_up(&key);
        if let Some(transport) = &mut self.transport {
            transport.requests.cancel(&key);
        }
    }

    /// Asks how loaded the server is, and whether it has an object.
    pub fn pulse(&mut self, handle: SetHandle, object: ObjectNumber) {
        if let Some(transport) = &mut self.transport {
            transport.post(Message::Pulse { handle, object });
        }
    }

    /// What the client can take beyond what it has received, bytes.
    pub fn set_room(&mut self, now: Instant, bytes: u64) {
        let opens = self.config.room_bytes < 1024 && bytes >= 1024;
        self.config.room_bytes = bytes;
        if let Some(transport) = self.transport.as_mut().filter(|_| opens) {
            transport.reports.by(now);
        }
    }

    /// Ends the session; `poll_transmit` gives a last CLOSE.
    pub fn close(&mut self) {
        self.closing = self.transport.is_some().then_some(Code::ClientDone);
        self.hello = None;
        self.ended = true;
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// The next event about groups.
    pub fn poll_group_event(&mut self) -> Option<GroupEvent> {
        self.group_events.pop_front()
    }

    /// The smoothed round trip.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt.smoothed()
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> &ClientStats {
        &self.stats
    }

    /// Objects being fetched.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.objects.len()
    }

    /// Whether the session is open: handshake done, not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.transport.is_some() && !self.ended
    }

    /// Whether the session has ended; it will not begin again.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// When to call [`Self::handle_timeout`], at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        let mut times = [self.hello.as_ref().map(Hello::due), None, None, None];
        if let Some(transport) = &self.transport {
            times[1] = transport.reports.due();
            times[2] = transport.requests.next_lost();
            times[3] = self.probe_at(transport);
        }
        times.into_iter().flatten().min()
    }

    /// Lets the timers that are due fire.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.ended {
            return;
        }
        self.hello_timeout(now);
        self.repair(now);
        let due =
            self.transport.as_ref().and_then(|t| self.probe_at(t)).is_some_and(|at| at <= now);
        if due {
            self.probe_timeout(now);
        }
    }

    /// When the server counts as silent.
    fn probe_at(&self, transport: &Transport) -> Option<Instant> {
        let sent =
            transport.requests.last_sent().filter(|_| transport.requests.expects_answer())?;
        let since = sent.max(transport.heard).max(transport.last_timeout);
        // A server that answers, but sends nothing, lets requests wait: to go on asking it as often would only add to
        // what keeps it busy.
        let doublings = transport.timeouts.max(transport.quiet);
        Some(since + self.rtt.probe_timeout(doublings, transport.gap.get()))
    }

    fn hello_timeout(&mut self, now: Instant) {
        let Some(hello) = &mut self.hello else { return };
        if hello.failed(now) {
            let refused = hello.refusal();
            self.hello = None;
            self.end(match refused {
                Some(code) => ClientEvent::Refused { code, retry_after: Duration::ZERO },
                None => ClientEvent::TimedOut,
            });
        } else if hello.is_stale(now) {
            let seed = draw(&mut self.rng);
            self.stats.handshakes += 1;
            // The first attempt succeeded with the same inputs but the seed.
            let _ = hello.refresh(now, &self.config, seed);
        }
    }

    fn probe_timeout(&mut self, now: Instant) {
        let Some(transport) = &mut self.transport else { return };
        transport.timeouts += 1;
        transport.quiet += 1;
        transport.last_timeout = now;
        transport.requests.probe();
        // The server may wait for a REPORT that was lost: one that opened the room, say.
        transport.reports.by(now);
        self.stats.timeouts += 1;
        if transport.timeouts >= TIMEOUTS_UNRESPONSIVE && self.hello.is_none() {
            let seed = draw(&mut self.rng);
            self.hello = Hello::new(now, &self.config, self.rtt.smoothed(), seed).ok();
            self.stats.handshakes += 1;
            self.events.push_back(ClientEvent::Unresponsive);
        }
    }

    /// Asks again for what finished requests left missing.
    fn repair(&mut self, now: Instant) {
        while let Some(lost) = self.transport.as_mut().and_then(|t| t.requests.take_lost(now)) {
            let again = self.transport.as_ref().is_some_and(|t| t.requests.has(&lost.key));
            if planted(Fault::RepairForgotten) {
                continue;
            }
            if again || self.objects.get(&lost.key).is_none() {
                continue;
            }
            if lost.flags & FLAG_HEARS != 0 && self.objects.forget_promised(&lost.key) {
                let (handle, object) = lost.key;
                self.group_events.push_back(GroupEvent::Promised { handle, object });
            } else {
                self.request_missing(lost.key, FLAG_REPAIR);
            }
        }
    }

    fn ask_into(
        &mut self,
        key: objects::Key,
        now: Instant,
        bytes: &mut Vec<u8>,
        deadline: Duration,
        hears: bool,
    ) -> Result<(), FetchError> {
        if self.ended {
            return Err(FetchError::Ended);
        }
        self.objects.begin_into(now, key, bytes, now + deadline)?;
        if hears {
            self.objects.let_hear(&key);
            self.hears = true;
        }
        self.request_missing(key, if hears { FLAG_HEARS } else { 0 });
        Ok(())
    }

    /// Queues a request for what an object lacks.
    fn request_missing(&mut self, key: objects::Key, flags: u16) {
        let Some(object) = self.objects.get(&key) else { return };
        let Some(transport) = &mut self.transport else { return };
        let ranges = object.missing();
        if flags & FLAG_REPAIR != 0 {
            for (range, is_tail) in object.asked(&ranges) {
                self.stats.repair_bytes += u64::from(range.end - range.start);
                self.stats.repair_datagrams += self.sizes.packets(&range, is_tail);
            }
        }
        transport.requests.push(key, ranges, flags, object.deadline);
    }

    fn end(&mut self, event: ClientEvent) {
        self.ended = true;
        self.events.push_back(event);
    }
}

fn draw(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut seed = [0; 32];
    if !planted(Fault::RandomnessRepeats) {
        rng.fill_bytes(&mut seed);
    }
    seed
}
