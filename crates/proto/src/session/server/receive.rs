//! Sealed packets: which session, is it authentic, what does it ask for.

use super::Endpoint;
use super::door::table::Slot;
use super::event::{Disposition, DropReason, Path, ServerEvent};
use super::session::challenge::Challenge;
use super::session::ending::Ending;
use super::session::messages;
use super::session::sets::Sets;
use super::session::state::{NO_SET, Session};
use super::source::SegmentSource;
use crate::crypto::{OpenError, Opened};
use crate::faults::{Fault, planted};
use crate::ids::ReceiverIndex;
use crate::time::{Duration, Instant};
use crate::wire::code::Code;
use crate::wire::{ClearHeader, PacketType};
use rand_core::RngCore;

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
        let bytes = datagram.len();
        let opened = match self.open(now, path, index.slot(), datagram) {
            Ok(opened) => opened,
            Err(reason) => return self.dropped(reason),
        };
        if let Some(code) = self.promote(now, index, source) {
            self.close_session(now, index.slot(), code.into());
            return Disposition::Done;
        }
        self.follow_path(now, index.slot(), path, bytes, opened.is_highest);
        let ending = self.dispatch(now, unix_time, path, index.slot(), &opened, source);
        match ending {
            Ok(()) => {
                self.plan(now, index.slot(), Duration::ZERO);
                Disposition::Done
            }
            Err(ending) => {
                let violation = ending.code == Code::ProtocolViolation;
                self.close_session(now, index.slot(), ending);
                if violation { self.dropped(DropReason::Violation) } else { Disposition::Done }
            }
        }
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
            Some(Slot::Open(session)) => &mut session.opener,
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
        index: ReceiverIndex,
        source: &S,
    ) -> Option<Code> {
        let pending = self.table.take_pending(index.slot())?;
        let over = self.limit(&pending.client_public, &pending.claims);
        if over.is_some() {
            self.clients.refused(&pending.client_public, now);
        }
        let find = |id| source.find_set(id).unwrap_or(NO_SET);
        let sets: Sets = pending.claims.sets.iter().map(find).collect();
        let client = self.clients.add(&pending.client_public);
        let session = Session::new(&self.config, index, client, *pending, sets, now);
        self.counters.sessions_opened += 1;
        self.events.push_back(ServerEvent::SessionOpened { index, token_id: session.token_id });
        self.table.open(index.slot(), session);
        self.schedule.open(index.slot());
        over
    }

    /// Notes life, and challenges a new address.
    fn follow_path(&mut self, now: Instant, slot: u32, path: Path, bytes: usize, highest: bool) {
        let Some(session) = self.table.session_mut(slot) else { return };
        session.heard = now;
        if path == session.path {
            return;
        }
        if planted(Fault::AddressNotProven) {
            session.move_to(now, path);
            return;
        }
        match &mut session.challenge {
            Some(challenge) if challenge.path == path => challenge.heard(bytes),
            _ if highest => {
                let mut secret = [0; 8];
                self.rng.fill_bytes(&mut secret);
                session.challenge = Some(Box::new(Challenge::new(path, secret, bytes, now)));
            }
            _ => {}
        }
    }

    /// Acts on an authentic packet.
    fn dispatch<S: SegmentSource>(
        &mut self,
        now: Instant,
        unix_time: u64,
        path: Path,
        slot: u32,
        opened: &Opened<'_>,
        source: &S,
    ) -> Result<(), Ending> {
        let Some(session) = self.table.session_mut(slot) else { return Ok(()) };
        if opened.is_hasty && opened.epoch > session.sealer.epoch() {
            return Err(Code::ProtocolViolation.into());
        }
        session.sealer.on_peer_epoch(now, opened.epoch);
        if opened.header.packet_type != PacketType::Report && messages::on_life(session, now) {
            self.counters.size_reset += 1;
        }
        let context = messages::Context {
            now,
            unix_time,
            requests_per_second: self.config.requests_per_second,
            counters: &mut self.counters,
            overload: &mut self.overload,
        };
        match opened.header.packet_type {
            PacketType::Request => messages::on_request(session, opened, source, context),
            PacketType::Report => messages::on_report(session, opened, context),
            PacketType::Pulse => {
                messages::on_pulse(session, now, &opened.frame);
                Ok(())
            }
            PacketType::PathResponse => {
                if messages::answers_challenge(session, path, opened.payload) {
                    session.challenge = None;
                    if path != session.path {
                        session.move_to(now, path);
                        self.counters.path_changes += 1;
                    }
                }
                Ok(())
            }
            PacketType::Cancel => {
                messages::on_cancel(session, now, opened.frame.request());
                Ok(())
            }
            PacketType::Close => Err(messages::on_close(opened.payload)),
            _ => Ok(()),
        }
    }
}
