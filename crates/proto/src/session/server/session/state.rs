//! One open session: its keys, its address, and, only while it works, its queue and its rate model.
//!
//! An idle session is this struct alone, with hibernating keys: at most 1 KiB with its share of the tables
//! (`docs/internals/invariants.md`). What only working sessions need is boxed and dropped after [`IDLE_AFTER`].

use super::challenge::Challenge;
use super::pace::RequestBucket;
use super::requests::{RequestQueue, RequestWindow};
use super::sets::Sets;
use super::size::SizeSearch;
use crate::congestion::{Phase, Sender, SenderConfig};
use crate::crypto::{Opener, Sealer};
use crate::ids::{ObjectNumber, ReceiverIndex, RequestId};
use crate::limits::TRAIN_MAX;
use crate::rate::Rate;
use crate::session::server::config::EndpointConfig;
use crate::session::server::door::clients::ClientId;
use crate::session::server::door::pending::Pending;
use crate::session::server::event::Path;
use crate::session::server::send::overload::Owed;
use crate::time::{Duration, Instant};
use crate::wire::code::Code;
use std::collections::VecDeque;

/// A session that is silent for this long drops its cipher contexts (some 600 bytes each, 120 ns to build again),
/// and its queue where no rate model lies beside it. Soon, so that a stream of short visits does not hold much.
pub(in crate::session::server) const REST_AFTER: Duration = Duration::from_secs(1);
/// A session without work for this long also drops its rate model.
pub(in crate::session::server) const IDLE_AFTER: Duration = Duration::from_secs(5);
/// A session that is silent for this long may be dead: a client that waits for something asks at least every 2 s …
pub(in crate::session::server) const DOUBT_AFTER: Duration = Duration::from_secs(2);
/// … and it is, when it has not answered for so long, asked about once a second.
const DEAD_AFTER: Duration = Duration::from_secs(3);
/// Pulses that wait for their answer; more are dropped (the client asks again).
pub(in crate::session::server) const PULSES_MAX: usize = 4;
/// Set index of a set that the edge did not have when the session began.
pub(in crate::session::server) const NO_SET: u32 = u32::MAX;

/// One open session.
pub(in crate::session::server) struct Session {
    pub(in crate::session::server) index: ReceiverIndex,
    /// The client's own index for the session.
    pub(in crate::session::server) client_index: ReceiverIndex,
    pub(in crate::session::server) sealer: Sealer,
    pub(in crate::session::server) opener: Opener,
    pub(in crate::session::server) path: Path,
    pub(in crate::session::server) client_public: [u8; 32],
    pub(in crate::session::server) client: ClientId,
    pub(in crate::session::server) token_id: [u8; 8],
    /// Unix time, seconds.
    pub(in crate::session::server) expires: u64,
    pub(in crate::session::server) sets: Sets,
    pub(in crate::session::server) rate_cap: Option<Rate>,
    pub(in crate::session::server) window: RequestWindow,
    pub(in crate::session::server) size: SizeSearch,
    pub(in crate::session::server) datagram_max: u16,
    /// What the client can take, bytes.
    pub(in crate::session::server) room: u64,
    pub(in crate::session::server) rtt: Option<Duration>,
    pub(in crate::session::server) bucket: RequestBucket,
    pub(in crate::session::server) opened: Instant,
    pub(in crate::session::server) heard: Instant,
    /// Since when it is asked whether its client lives; nothing since it was heard last.
    doubted: Instant,
    pub(in crate::session::server) totals: Totals,
    pub(in crate::session::server) work: Option<Box<Work>>,
    pub(in crate::session::server) challenge: Option<Box<Challenge>>,
}

/// What the session's record will say.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::session::server) struct Totals {
    pub(in crate::session::server) bytes: u64,
    pub(in crate::session::server) repaired: u64,
    pub(in crate::session::server) datagrams: u64,
    pub(in crate::session::server) requests: u64,
}

/// What only a session with something to do needs.
pub(in crate::session::server) struct Work {
    pub(in crate::session::server) queue: RequestQueue,
    pub(in crate::session::server) refusals: VecDeque<Refusal>,
    pub(in crate::session::server) pulses: VecDeque<PulseAsked>,
    pub(in crate::session::server) status: StatusTimer,
    /// Made with the first DATA.
    pub(in crate::session::server) sender: Option<Sender>,
    /// First sequence number the sender knows.
    pub(in crate::session::server) sender_base: u64,
    /// Number of the newest REPORT; older ones that arrive late say nothing new.
    pub(in crate::session::server) last_report: u32,
    pub(in crate::session::server) used: Instant,
    /// What overload control counts for the session.
    pub(in crate::session::server) owed: Owed,
}

/// A REFUSE to be sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::session::server) struct Refusal {
    pub(in crate::session::server) id: RequestId,
    pub(in crate::session::server) handle: u32,
    pub(in crate::session::server) object: ObjectNumber,
    pub(in crate::session::server) code: Code,
    pub(in crate::session::server) retry_after_ms: u32,
}

/// A PULSE to be answered.
#[derive(Clone, Copy, Debug)]
pub(in crate::session::server) struct PulseAsked {
    pub(in crate::session::server) handle: u32,
    pub(in crate::session::server) object: ObjectNumber,
    pub(in crate::session::server) number: u32,
    pub(in crate::session::server) echo: u32,
}

/// When STATUS is due, and how often it will be repeated (section 9).
#[derive(Clone, Copy, Debug)]
pub(in crate::session::server) struct StatusTimer {
    pub(in crate::session::server) due: Option<Instant>,
    pub(in crate::session::server) repeats: u8,
}

impl StatusTimer {
    /// STATUS is due at `at` or earlier.
    pub(in crate::session::server) fn by(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

impl Session {
    /// The session that a pending handshake becomes with its first sealed packet, which proved `path`.
    pub(in crate::session::server) fn new(
        config: &EndpointConfig,
        index: ReceiverIndex,
        client: ClientId,
        pending: Pending,
        sets: Sets,
        now: Instant,
    ) -> Self {
        let datagram_max = pending.datagram_max.min(config.datagram_max);
        let round_trip = now.saturating_since(pending.welcomed);
        Self {
            index,
            client_index: ReceiverIndex(pending.client_index),
            sealer: pending.sealer,
            opener: pending.opener,
            path: pending.path,
            client_public: pending.client_public,
            client,
            token_id: pending.claims.token_id,
            expires: pending.claims.expires,
            sets,
            rate_cap: pending.claims.rate_cap_kbits.map(Rate::from_kilobits),
            window: RequestWindow::default(),
            size: SizeSearch::new(datagram_max),
            datagram_max: datagram_max as u16,
            room: pending.room,
            rtt: (!pending.repeated).then_some(round_trip),
            bucket: RequestBucket::new(config.requests_per_second, now),
            opened: now,
            heard: now,
            doubted: Instant::ZERO,
            totals: Totals::default(),
            work: None,
            challenge: None,
        }
    }

    /// The working part, made when it is not there.
    pub(in crate::session::server) fn work(&mut self, now: Instant) -> &mut Work {
        let work = self.work.get_or_insert_with(|| Box::new(Work::new(now)));
        work.used = now;
        work
    }

    /// The rate model, made with the first DATA.
    pub(in crate::session::server) fn sender(
        &mut self,
        now: Instant,
        skip_key: impl FnOnce() -> [u8; 16],
    ) {
        let (datagram_bytes, next) = (self.size.current(), self.sealer.next_sequence());
        let (initial_rtt, rate_cap, room) = (self.rtt, self.rate_cap, self.room);
        let work = self.work(now);
        if work.sender.is_none() {
            let config =
                SenderConfig { initial_rtt, datagram_bytes, rate_cap, skip_key: skip_key() };
            let mut sender = Sender::new(now, config);
            sender.set_room(room);
            work.sender = Some(sender);
            work.sender_base = next;
        }
    }

    /// Drops what an idle session does not need.
    ///
    /// A client that waits for something asks at least every 2 s (section 14). One that has been silent for
    /// [`IDLE_AFTER`] is gone: its requests count as finished, and should it come back, it asks anew for what is missing.
    pub(in crate::session::server) fn rest(&mut self, now: Instant) {
        if now.saturating_since(self.heard) >= IDLE_AFTER
            && let Some(mut work) = self.work.take()
        {
            work.queue.ids().for_each(|id| self.window.finish(id));
            self.rtt = work.sender.take().map(|sender| sender.min_rtt()).or(self.rtt);
        }
        if self.work.as_ref().is_some_and(|work| !work.is_quiet()) {
            return;
        }
        self.sealer.hibernate();
        self.opener.hibernate(now);
        if self.work.as_ref().is_none_or(|work| work.is_idle(now))
            && let Some(sender) = self.work.take().and_then(|work| work.sender)
        {
            self.rtt = Some(sender.min_rtt());
        }
    }

    /// Asks its client whether it lives, with `secret`; false: it was asked long enough.
    pub(in crate::session::server) fn doubt(&mut self, now: Instant, secret: [u8; 8]) -> bool {
        if self.doubted <= self.heard {
            self.doubted = now;
        } else if now.saturating_since(self.doubted) >= DEAD_AFTER {
            return false;
        }
        self.challenge = Some(Box::new(Challenge::of_life(self.path, secret, now)));
        true
    }

    /// What overload control counts for it.
    pub(in crate::session::server) fn owed(&self) -> Owed {
        self.work.as_ref().map_or_else(Owed::default, |work| work.owed)
    }

    /// What it is to be sent: of its bytes those that its path can carry within `bound`, where the path is known.
    pub(in crate::session::server) fn owes(&self, bound: Duration) -> Owed {
        let Some(work) = &self.work else { return Owed::default() };
        let known = work.sender.as_ref().filter(|sender| sender.phase() != Phase::Startup);
        let path = known.map_or(Rate::MAX, Sender::rate).min(self.rate_cap.unwrap_or(Rate::MAX));
        let carried = path.bytes_in(bound).max(TRAIN_MAX as u64);
        let bytes = carried.min(work.queue.bytes());
        Owed { bytes, requests: work.queue.len() as u32 }
    }

    /// Whether there is a message to send now, or a probe of the datagram size.
    pub(in crate::session::server) fn has_notice(&self, now: Instant) -> bool {
        let Some(work) = &self.work else {
            return self.challenge.as_ref().is_some_and(|challenge| challenge.is_due(now));
        };
        let queued = !work.refusals.is_empty() || !work.pulses.is_empty();
        queued
            || work.status.due.is_some_and(|due| due <= now)
            || (work.sender.is_some() && self.size.due(now).is_some())
            || self.challenge.as_ref().is_some_and(|challenge| challenge.is_due(now))
    }

    /// When the next train may leave; `None` while there is nothing to send or only a report can allow it.
    pub(in crate::session::server) fn train_due(&self, now: Instant) -> Option<Instant> {
        let work = self.work.as_ref().filter(|work| work.queue.has_work())?;
        work.sender.as_ref().map_or(Some(now), Sender::next_send_time)
    }

    /// When something is due that needs no packet from the client: STATUS, or a timeout of the rate model.
    pub(in crate::session::server) fn timer(&self) -> Instant {
        let Some(work) = &self.work else { return Instant::FAR_FUTURE };
        let silence = work.sender.as_ref().and_then(Sender::next_timeout);
        let times = [work.status.due, silence];
        times.into_iter().flatten().min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// The round trip for timers that need one before it is known.
    pub(in crate::session::server) fn rtt_or_default(&self) -> Duration {
        let measured = self.work.as_ref().and_then(|w| w.sender.as_ref()).map(Sender::rtt);
        measured.or(self.rtt).unwrap_or(Duration::from_millis(100))
    }

    /// Starts anew on a proven new address.
    pub(in crate::session::server) fn move_to(&mut self, now: Instant, path: Path) {
        self.path = path;
        self.rtt = None;
        self.size = SizeSearch::new(usize::from(self.datagram_max));
        let datagram_bytes = self.size.current();
        if let Some(sender) = self.work.as_mut().and_then(|work| work.sender.as_mut()) {
            sender.path_changed(now);
            sender.set_datagram_bytes(datagram_bytes);
        }
    }
}

impl Work {
    fn new(now: Instant) -> Self {
        Self {
            queue: RequestQueue::default(),
            refusals: VecDeque::new(),
            pulses: VecDeque::new(),
            status: StatusTimer { due: None, repeats: 0 },
            sender: None,
            sender_base: 0,
            last_report: 0,
            used: now,
            owed: Owed::default(),
        }
    }

    fn is_quiet(&self) -> bool {
        let asked = self.queue.is_empty() && self.refusals.is_empty() && self.pulses.is_empty();
        asked && self.status.due.is_none()
    }

    fn is_idle(&self, now: Instant) -> bool {
        let after = if self.sender.is_some() { IDLE_AFTER } else { REST_AFTER };
        now.saturating_since(self.used) >= after
    }
}
