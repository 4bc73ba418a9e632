//! Sealed packets: which session, is it authentic, what does it ask for.

use rand_core::RngCore;

use super::Endpoint;
use super::door::table::Slot;
use super::event::{Disposition, DropReason, Path, ServerEvent};
use super::session::ending::Ending;
use super::session::messages::Context;
use super::session::sets::Sets;
use super::session::state::Session;
use super::source::SegmentSource;
use crate::crypto::{OpenError, Opened};
use crate::ids::ReceiverIndex;
use crate::time::{Duration, Instant};
use crate::wire::ClearHeader;
use crate::wire::code::Code;

impl Endpoint {
    /// A sealed packet of a type that a server receives.
    pub(super) fn handle_sealed<S: SegmentSource>(
        &mut self,
        now: Instant,
        unix_time: u64,
        path: Path,
        header: &ClearHeader,
        datagram: &mut [u8],
        source: &S,
    ) -> Disposition {
        let index = header.receiver;
        if index.shard() != self.config.shard {
            if index.shard() < self.config.shards {
                return Disposition::Stray { shard: index.shard() };
            }
            return self.dropped(DropReason::UnknownSession);
        }
        // All bytes that came count for what may be sent to an address that is not proven, sealed or not.
        let bytes = datagram.len();
        let opened = match self.open(now, path, index.slot(), datagram) {
            Ok(opened) => opened,
            Err(reason) => return self.dropped(reason),
        };
        if let Some(code) = self.promote(now, unix_time, index, source) {
            self.close_session(now, index.slot(), code.into());
            return Disposition::Done;
        }
        let Some(session) = self.table.session_mut(index.slot()) else { return Disposition::Done };
        let rng = &mut self.rng;
        session.on_heard(now, path, bytes, opened.is_highest, || {
            let mut secret = [0; 8];
            rng.fill_bytes(&mut secret);
            secret
        });
        let context = Context {
            now,
            requests_per_second: self.config.requests_per_second,
            draining: self.draining,
            counters: &mut self.counters,
            overload: &mut self.overload,
            waiters: &mut self.waiters,
            multicast: self.config.multicast,
            holds: &mut self.holds,
            asked: self.config.tell_requests.then_some(&mut self.asked),
        };
        match session.on_packet(path, &opened, source, context) {
            Ok(()) => {
                self.plan(now, index.slot(), Duration::ZERO);
                Disposition::Done
            }
            Err(ending) => self.end(now, index.slot(), ending),
        }
    }

    /// Ends a session for what its client sent. Only a violation makes the datagram one that was dropped: CLOSE, a flood
    /// and an ended token were understood.
    fn end(&mut self, now: Instant, slot: u32, ending: Ending) -> Disposition {
        let violation = ending.code == Code::ProtocolViolation;
        self.close_session(now, slot, ending);
        if violation { self.dropped(DropReason::Violation) } else { Disposition::Done }
    }

    /// Authenticates and decrypts, with the keys of the session or pending handshake in `slot`.
    fn open<'a>(
        &mut self,
        now: Instant,
        path: Path,
        slot: u32,
        datagram: &'a mut [u8],
    ) -> Result<Opened<'a>, DropReason> {
        let opener = match self.table.slot_mut(slot) {
            Some(Slot::Open(session)) => session.opener(),
            // Only an address that WELCOME went to can begin the session: so it is proven.
            Some(Slot::Pending(pending)) if pending.was_welcomed_at(path) => &mut pending.opener,
            _ => return Err(DropReason::UnknownSession),
        };
        opener.open(now, datagram).map_err(|error| match error {
            OpenError::Decode(_) | OpenError::NotSealed => DropReason::Malformed,
            OpenError::UnknownEpoch | OpenError::Authentication => DropReason::Unauthentic,
            OpenError::Replayed | OpenError::TooOld => DropReason::Replayed,
        })
    }

    /// Makes a pending handshake a session: its first sealed packet came. Gives the reason why it must end at once, if
    /// there is one: others that were pending too may have taken the last places.
    fn promote<S: SegmentSource>(
        &mut self,
        now: Instant,
        unix_time: u64,
        index: ReceiverIndex,
        source: &S,
    ) -> Option<Code> {
        let pending = self.table.take_pending(index.slot())?;
        let over = self.limit(&pending.client_public, &pending.claims);
        if over.is_some() {
            self.clients.refused(&pending.client_public, now);
        }
        let sets: Sets = pending.claims.sets.iter().map(|id| source.find_set(id)).collect();
        let client = self.clients.add(&pending.client_public);
        let token_id = pending.claims.token_id;
        let session = Session::new(&self.config, index, client, *pending, sets, now, unix_time);
        self.counters.sessions_opened += 1;
        self.events.push_back(ServerEvent::SessionOpened { index, token_id });
        self.table.open(index.slot(), session);
        self.schedule.open(index.slot());
        over
    }
}
