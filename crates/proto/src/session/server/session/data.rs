//! A session's DATA: what its most urgent request wants next, and one train of it, sealed straight from the source.

use core::ops::Range;

use super::ending::Ending;
use super::notices::seal_ending;
use super::requests::Queued;
use super::state::Session;
use crate::ids::{ObjectNumber, SetIndex};
use crate::limits::{OVERHEAD, TRAIN_DATAGRAMS_MAX, TRAIN_MAX};
use crate::rate::Rate;
use crate::session::server::door::clients::ClientCounts;
use crate::session::server::source::{Object, SegmentSource};
use crate::time::{Duration, Instant};
use crate::wire::code::Code;
use crate::wire::{FLAG_END, FrameHeader, PacketType};

/// STATUS is repeated this often when nothing is left to send (section 9).
const STATUS_REPEATS: u8 = 2;
/// Up to this datagram size the plaintext of the datagram after next is asked for while one is sealed. The processor's
/// own read-ahead starts anew with each datagram and is soon up to speed in larger ones, where asking costs more.
const PREFETCH_MAX: usize = 4096;

/// A range of an object that the most urgent request wants next.
pub(in crate::session::server) struct Piece<'a> {
    /// Position of the request in the queue.
    at: usize,
    /// The whole object.
    bytes: &'a [u8],
    range: Range<u32>,
}

/// What became of the most urgent request when its turn came.
pub(in crate::session::server) enum Next<'a> {
    /// It wants this.
    Piece(Piece<'a>),
    /// Its object is not resident: it waits until the object is.
    Waits {
        /// The source's index of the set.
        set: SetIndex,
        object: ObjectNumber,
    },
    /// Its object cannot be had: a REFUSE is queued.
    Refused(Code),
}

/// One train that was sealed.
pub(in crate::session::server) struct Train {
    /// Bytes written.
    pub(in crate::session::server) len: usize,
    /// Size of every datagram but the last.
    pub(in crate::session::server) datagram_bytes: usize,
    pub(in crate::session::server) datagrams: usize,
    /// Bytes of plaintext.
    pub(in crate::session::server) payload: u64,
    /// So much less is owed now.
    pub(in crate::session::server) owed: u64,
    /// Whether it answers a repair request.
    pub(in crate::session::server) repair: bool,
    /// The source's index of the set.
    pub(in crate::session::server) set: SetIndex,
    pub(in crate::session::server) object: ObjectNumber,
}

impl Session {
    /// Whether some request could be served now.
    pub(in crate::session::server) fn has_data(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.queue.has_work())
    }

    /// Sets the session's part of its client's cap. The cap is the client's: all its sessions live on this shard and
    /// share it.
    pub(in crate::session::server) fn share_rate_cap(&mut self, clients: &ClientCounts) {
        let sender = self.work.as_mut().and_then(|work| work.sender.as_mut());
        if let (Some(cap), Some(sender)) = (self.rate_cap, sender) {
            let sessions = u64::from(clients.sharing(self.client));
            sender.set_rate_cap(Some(cap.shared_by(sessions).max(Rate::LEAST)));
        }
    }

    /// What the rate model allows now, bytes of UDP payload, told that the session `waited` for its turn.
    pub(in crate::session::server) fn train_budget(
        &mut self,
        now: Instant,
        waited: Duration,
    ) -> Option<usize> {
        let sender = self.work.as_mut()?.sender.as_mut()?;
        sender.set_waited(waited);
        sender.train_budget(now)
    }

    /// What the most urgent request wants; ends those that want nothing more. `None`: no request can be served now.
    pub(in crate::session::server) fn next_piece<'a, S: SegmentSource>(
        &mut self,
        now: Instant,
        source: &'a S,
    ) -> Option<Next<'a>> {
        loop {
            let work = self.work.as_mut()?;
            let at = work.queue.most_urgent()?;
            let request = work.queue.get_mut(at)?;
            let (set, object) = (request.set, request.object);
            let code = match source.object(set, object) {
                Object::Ready(bytes) => {
                    if let Some(range) = work.queue.next_range(at, bytes.len() as u32) {
                        return Some(Next::Piece(Piece { at, bytes, range }));
                    }
                    self.finish(now, at);
                    continue;
                }
                Object::NotResident { .. } => {
                    request.waiting = true;
                    return Some(Next::Waits { set, object });
                }
                Object::Damaged => Code::SegmentUnavailable,
                Object::PastEnd => Code::PastEnd,
                Object::Absent => Code::UnknownSet,
            };
            let request = work.queue.remove(at);
            self.refuse_queued(now, &request, code);
            return Some(Next::Refused(code));
        }
    }

    /// Skips a sequence number when the rate model's keyed choice says so. Says whether it did.
    pub(in crate::session::server) fn skip(&mut self) -> bool {
        let next = self.sealer.next_sequence();
        let sender = self.work.as_mut().and_then(|work| work.sender.as_mut());
        let skip = sender.is_some_and(|sender| sender.should_skip(next));
        if skip {
            self.sealer.skip();
        }
        skip
    }

    /// Seals one train of `piece` into `out`, at most `budget` bytes.
    ///
    /// # Errors
    ///
    /// The session must end: its keys are exhausted.
    pub(in crate::session::server) fn seal_train<S: SegmentSource>(
        &mut self,
        now: Instant,
        piece: &Piece<'_>,
        budget: usize,
        source: &S,
        out: &mut [u8],
    ) -> Result<Train, Ending> {
        let datagram_bytes = self.size.current();
        let payload_max = datagram_bytes - OVERHEAD;
        let room = budget.min(TRAIN_MAX).min(out.len()) / datagram_bytes;
        let datagrams_max = room.clamp(1, TRAIN_DATAGRAMS_MAX);
        let start = piece.range.start as usize;
        let end = (piece.range.end as usize).min(start + datagrams_max * payload_max);
        let Some(work) = self.work.as_mut() else { return Err(Code::ProtocolViolation.into()) };
        let Some(request) = work.queue.get_mut(piece.at) else {
            return Err(Code::ProtocolViolation.into());
        };
        let &mut Queued { handle, object, set, repair, .. } = request;
        let owed = work.queue.owed();
        let first = self.sealer.next_sequence();
        let (mut offset, mut len, mut datagrams) = (start, 0, 0);
        while offset < end {
            // A datagram holds one range of one object: where the range ends the last one is shorter.
            let chunk_end = end.min(offset + payload_max);
            if datagram_bytes <= PREFETCH_MAX {
                let ahead = (offset + 2 * payload_max).min(end);
                source.prefetch(&piece.bytes[ahead..end.min(ahead + payload_max)]);
            }
            let flags = if chunk_end == piece.bytes.len() { FLAG_END } else { 0 };
            let send_time = now.wire_micros();
            let frame =
                FrameHeader { set_handle: handle, object, offset: offset as u32, send_time };
            let (chunk, to) = (&piece.bytes[offset..chunk_end], &mut out[len..]);
            let client_index = self.client_index;
            let sealed =
                self.sealer.seal(now, flags, PacketType::Data, client_index, &frame, chunk, to);
            len += sealed.map_err(seal_ending)?.0;
            datagrams += 1;
            offset = chunk_end;
        }
        work.queue.sent_to(piece.at, end as u32);
        let finished = work.queue.next_range(piece.at, piece.bytes.len() as u32).is_none();
        let (payload, owed) = ((end - start) as u64, owed - work.queue.owed());
        self.totals.bytes += payload;
        self.totals.repaired += if repair { payload } else { 0 };
        (work.used, work.served) = (now, now);
        if finished {
            self.finish(now, piece.at);
        }
        let Some(work) = self.work.as_mut() else { return Err(Code::ProtocolViolation.into()) };
        // Told after the queue: a train that empties it says nothing of what the path could carry.
        let app_limited = !work.queue.has_work();
        if let Some(sender) = work.sender.as_mut() {
            sender.on_sent(now, first, datagrams, len as u64, app_limited);
        }
        let datagrams = datagrams as usize;
        Ok(Train { len, datagram_bytes, datagrams, payload, owed, repair, set, object })
    }

    /// The request at `at` has been sent, or is by a group: STATUS is due.
    pub(super) fn finish(&mut self, now: Instant, at: usize) {
        let Some(work) = self.work.as_mut() else { return };
        let request = work.queue.remove(at);
        work.status.by(now);
        work.status.repeats = STATUS_REPEATS;
        self.window.finish(request.id);
    }
}
