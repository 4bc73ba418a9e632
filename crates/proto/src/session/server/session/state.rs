//! One open session: its keys, its address, and, only while it works, its queue and its rate model.
//!
//! An idle session is this struct alone, with hibernating keys: at most 1 KiB with its share of the tables
//! (`docs/internals/invariants.md`). What only working sessions need is boxed and dropped after some
//! seconds of silence.

use super::challenge::Challenge;
use super::ending::Ending;
use super::membership::Memberships;
use super::pace::RequestBucket;
use super::sets::Sets;
use super::size::SizeSearch;
use super::window::RequestWindow;
use super::work::Work;
use crate::congestion::{Phase, Sender, SenderConfig};
use crate::crypto::{Opener, Sealer};
use crate::ids::{ObjectNumber, ReceiverIndex, SetIndex};
use crate::limits::{TOKEN_LEEWAY, TRAIN_MAX};
use crate::rate::Rate;
use crate::session::server::config::EndpointConfig;
use crate::session::server::door::clients::ClientId;
use crate::session::server::door::pending::Pending;
use crate::session::server::event::{Path, SessionRecord};
use crate::session::server::send::overload::{Overload, Owed};
use crate::time::{Duration, Instant};
use crate::wire::code::Code;

/// A client asks for what was lost within two round trips and its probe timer; three are waited for, within these bounds,
/// before a session counts as served.
const REPAIR_MIN: Duration = Duration::from_millis(50);
const REPAIR_MAX: Duration = Duration::from_secs(1);

/// One open session.
pub(in crate::session::server) struct Session {
    index: ReceiverIndex,
    /// The client's own index for the session.
    pub(super) client_index: ReceiverIndex,
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
    pub(super) path: Path,
    client_public: [u8; 32],
    pub(super) client: ClientId,
    token_id: [u8; 8],
    /// When its token has ended for any clock.
    pub(super) ends: Instant,
    pub(super) sets: Sets,
    pub(super) rate_cap: Option<Rate>,
    pub(super) window: RequestWindow,
    pub(super) size: SizeSearch,
    datagram_max: u16,
    /// What the client can take, bytes.
    pub(super) room: u64,
    /// Number of the newest REPORT; older ones that arrive late say nothing.
    pub(super) last_report: u32,
    pub(super) rtt: Option<Duration>,
    pub(super) bucket: RequestBucket,
    opened: Instant,
    pub(super) heard: Instant,
    /// Since when it is asked whether its client lives; nothing since it was heard last.
    pub(super) doubted: Instant,
    pub(super) totals: Totals,
    pub(super) work: Option<Box<Work>>,
    pub(super) challenge: Option<Box<Challenge>>,
    /// What only who asks with HEARS has.
    pub(super) groups: Option<Box<Memberships>>,
}

/// What the session's record will say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) bytes: u64,
    pub(super) repaired: u64,
    datagrams: u64,
    pub(super) requests: u64,
}

impl Session {
    /// The session that a pending handshake becomes with its first sealed packet, which proved `path`. `unix_time`: now,
    /// seconds; later changes of that clock do not move the end of its token.
    pub(in crate::session::server) fn new(
        config: &EndpointConfig,
        index: ReceiverIndex,
        client: ClientId,
        pending: Pending,
        sets: Sets,
        now: Instant,
        unix_time: u64,
    ) -> Self {
        let datagram_max = pending.datagram_max.min(config.datagram_max);
        let round_trip = now.saturating_since(pending.welcomed);
        let grace = u64::from(pending.claims.grace.unwrap_or(0)) + TOKEN_LEEWAY.as_secs();
        let ends = pending.claims.expires.saturating_add(grace);
        let ends = now + Duration::from_secs(ends.saturating_sub(unix_time));
        Self {
            index,
            client_index: ReceiverIndex(pending.hello.sender_index),
            sealer: pending.sealer,
            opener: pending.opener,
            path: pending.path,
            client_public: pending.client_public,
            client,
            token_id: pending.claims.token_id,
            ends,
            sets,
            rate_cap: pending.claims.rate_cap_kbits.map(Rate::from_kilobits),
            window: RequestWindow::default(),
            size: SizeSearch::new(datagram_max),
            datagram_max: datagram_max as u16,
            room: pending.room,
            last_report: 0,
            rtt: (!pending.repeated).then_some(round_trip),
            bucket: RequestBucket::new(config.requests_per_second, now),
            opened: now,
            heard: now,
            doubted: Instant::ZERO,
            totals: Totals::default(),
            work: None,
            challenge: None,
            groups: None,
        }
    }

    /// The working part, made when it is not there.
    pub(super) fn work(&mut self, now: Instant) -> &mut Work {
        let work = self.work.get_or_insert_with(|| Box::new(Work::new(now)));
        work.used = now;
        work
    }

    /// Makes the rate model, unless it is there; `skip_key` chooses the sequence numbers that it leaves out.
    pub(in crate::session::server) fn begin_sending(
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

    pub(in crate::session::server) fn index(&self) -> ReceiverIndex {
        self.index
    }

    /// The client's proven address.
    pub(in crate::session::server) fn path(&self) -> Path {
        self.path
    }

    pub(in crate::session::server) fn client(&self) -> ClientId {
        self.client
    }

    pub(in crate::session::server) fn client_public(&self) -> &[u8; 32] {
        &self.client_public
    }

    /// What opens its client's packets.
    pub(in crate::session::server) fn opener(&mut self) -> &mut Opener {
        &mut self.opener
    }

    /// Whether nothing is left to be done for it: no request, and none to be expected for a repair of what was sent last.
    pub(in crate::session::server) fn is_served(&self, now: Instant) -> bool {
        let repair = (3 * self.rtt_or_default()).clamp(REPAIR_MIN, REPAIR_MAX);
        self.work.as_ref().is_none_or(|work| work.is_served_for(now, repair))
    }

    /// Counts datagrams that were written for it.
    pub(in crate::session::server) fn count_datagrams(&mut self, datagrams: usize) {
        self.totals.datagrams += datagrams as u64;
    }

    /// Lets the rate model's timer fire, if it is due.
    pub(in crate::session::server) fn on_timer(&mut self, now: Instant) {
        let sender = self.work.as_mut().and_then(|work| work.sender.as_mut());
        if let Some(sender) = sender
            && sender.next_timeout().is_some_and(|at| at <= now)
        {
            sender.on_timer(now);
        }
    }

    /// A datagram of so many bytes was refused as too large for its route. Says whether smaller ones are sent from now on.
    pub(in crate::session::server) fn on_too_large(&mut self, now: Instant, bytes: usize) -> bool {
        let reset = self.size.refused(now, bytes).is_some();
        if reset {
            let datagram_bytes = self.size.current();
            if let Some(sender) = self.work.as_mut().and_then(|work| work.sender.as_mut()) {
                sender.set_datagram_bytes(datagram_bytes);
            }
        }
        reset
    }

    /// An object is resident now. Says whether a request waited for it.
    pub(in crate::session::server) fn on_object_ready(
        &mut self,
        set: SetIndex,
        object: ObjectNumber,
    ) -> bool {
        self.work.as_mut().is_some_and(|work| work.queue.wake(set, object))
    }

    /// An object could not be read: its requests for it are refused. Says how many.
    pub(in crate::session::server) fn on_object_failed(
        &mut self,
        now: Instant,
        set: SetIndex,
        object: ObjectNumber,
    ) -> usize {
        let mut refused = 0;
        while let Some(work) = self.work.as_mut()
            && let Some(request) = work.queue.take_for(set, object)
        {
            self.refuse_queued(now, &request, Code::SegmentUnavailable);
            refused += 1;
        }
        refused
    }

    /// What overload control counts for it.
    pub(in crate::session::server) fn owed(&self) -> Owed {
        self.work.as_ref().map_or_else(Owed::default, |work| work.owed)
    }

    /// Tells overload control what it is owed now.
    pub(in crate::session::server) fn recount(&mut self, overload: &mut Overload) {
        let owes = self.owes(overload.bound());
        if let Some(work) = &mut self.work {
            overload.recount(core::mem::replace(&mut work.owed, owes), owes);
        }
    }

    /// What its path carries, where that is known.
    pub(super) fn known_rate(&self) -> Option<Rate> {
        let sender = self.work.as_ref()?.sender.as_ref()?;
        (sender.phase() != Phase::Startup).then(|| sender.rate())
    }

    /// What it is to be sent: of that what its path can carry within `bound`, where the path is known.
    fn owes(&self, bound: Duration) -> Owed {
        let Some(work) = &self.work else { return Owed::default() };
        let path = self.known_rate().unwrap_or(Rate::MAX).min(self.rate_cap.unwrap_or(Rate::MAX));
        let carried = path.bytes_in(bound).max(TRAIN_MAX as u64);
        let bytes = carried.min(work.queue.owed());
        Owed { bytes, requests: work.queue.len() as u32 }
    }

    /// Whether there is a message to send now, or a probe of the datagram size.
    pub(in crate::session::server) fn has_notice(&self, now: Instant) -> bool {
        let of_work = self.work.as_ref().is_some_and(|work| {
            let queued = !work.refusals.is_empty() || !work.pulses.is_empty();
            queued
                || work.status.due.is_some_and(|due| due <= now)
                || (work.sender.is_some() && self.size.due(now).is_some())
        });
        of_work
            || self.challenge.as_ref().is_some_and(|challenge| challenge.is_due(now))
            || self.has_group_key(now)
    }

    /// When the next train may leave; `None` while there is nothing to send or only a report can allow it.
    pub(in crate::session::server) fn train_due(&self, now: Instant) -> Option<Instant> {
        let work = self.work.as_ref().filter(|work| work.queue.has_work())?;
        work.sender.as_ref().map_or(Some(now), Sender::next_send_time)
    }

    /// When something is due that needs no packet from the client: STATUS, a timeout of the rate model, the end of a hold,
    /// or a GROUP_KEY.
    pub(in crate::session::server) fn timer(&self) -> Instant {
        let groups = self.group_timer();
        let Some(work) = &self.work else { return groups };
        let silence = work.sender.as_ref().and_then(Sender::next_timeout);
        let times = [work.status.due, silence];
        times.into_iter().flatten().fold(groups, Instant::min)
    }

    /// The round trip for timers that need one before it is known.
    pub(super) fn rtt_or_default(&self) -> Duration {
        let measured = self.work.as_ref().and_then(|w| w.sender.as_ref()).map(Sender::rtt);
        measured.or(self.rtt).unwrap_or(Duration::from_millis(100))
    }

    /// What there is to say of it when it ends.
    pub(in crate::session::server) fn record(&self, ending: Ending, now: Instant) -> SessionRecord {
        SessionRecord {
            index: self.index,
            token_id: self.token_id,
            remote: self.path.remote,
            code: ending.code,
            by_client: ending.by_client,
            bytes_sent: self.totals.bytes,
            bytes_retransmitted: self.totals.repaired,
            datagrams_sent: self.totals.datagrams,
            requests: self.totals.requests,
            opened: self.opened,
            closed: now,
        }
    }

    /// Starts anew on a proven new address.
    pub(super) fn move_to(&mut self, now: Instant, path: Path) {
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
