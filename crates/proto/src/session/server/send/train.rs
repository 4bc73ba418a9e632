//! One train: what the most urgent request wants next, as much as the rate model allows, sealed from the source.

use super::transmit::{Step, Written};
use crate::limits::{OVERHEAD, TRAIN_DATAGRAMS_MAX, TRAIN_MAX};
use crate::rate::Rate;
use crate::session::server::Endpoint;
use crate::session::server::event::ServerEvent;
use crate::session::server::session::ending::Ending;
use crate::session::server::session::messages;
use crate::session::server::session::notices::seal_ending;
use crate::session::server::session::state::{Refusal, Session};
use crate::session::server::source::{Object, SegmentSource};
use crate::time::Instant;
use crate::wire::code::Code;
use crate::wire::{FLAG_END, FrameHeader, PacketType};
use core::ops::Range;
use rand_core::RngCore;

/// STATUS is repeated this often when nothing is left to send (section 9).
const STATUS_REPEATS: u8 = 2;
/// Up to this datagram size the plaintext of the datagram after next is asked for while one is sealed. The processor's
/// own read-ahead starts anew with each datagram and is soon up to speed in larger ones, where asking costs more.
const PREFETCH_MAX: usize = 4096;

impl Endpoint {
    /// One train of the most urgent request.
    pub(in crate::session::server) fn train<S: SegmentSource>(
        &mut self,
        now: Instant,
        slot: u32,
        source: &S,
        out: &mut [u8],
    ) -> Step {
        let rng = &mut self.rng;
        let Some(session) = self.table.session_mut(slot) else { return Ok(None) };
        if session.work.as_ref().is_none_or(|work| !work.queue.has_work()) {
            return Ok(None);
        }
        session.sender(now, || {
            let mut key = [0; 16];
            rng.fill_bytes(&mut key);
            key
        });
        let sender = session.work.as_mut().and_then(|work| work.sender.as_mut());
        if let (Some(cap), Some(sender)) = (session.rate_cap, sender) {
            // The cap is the client's: all its sessions live on this shard and share it.
            let sessions = u64::from(self.clients.sharing(session.client));
            sender.set_rate_cap(Some(cap.shared_by(sessions).max(Rate::LEAST)));
        }
        let waited = self.schedule.waited(slot, now);
        let budget = session.work.as_mut().and_then(|work| {
            let sender = work.sender.as_mut()?;
            sender.set_waited(waited);
            sender.train_budget(now)
        });
        let Some(budget) = budget else { return Ok(None) };
        let Some((at, bytes, range)) = self.next_range(now, slot, source) else { return Ok(None) };
        self.look_ahead(source);
        let Some(session) = self.table.session_mut(slot) else { return Ok(None) };
        let train = Train { at, bytes, range, budget };
        let skipped = skip(session);
        self.counters.skipped += u64::from(skipped);
        let (written, payload, repair) = seal_train(session, now, train, source, out)?;
        self.egress.sent(now, written.len as u64);
        self.overload.sent(now, payload);
        self.counters.trains += 1;
        self.counters.data_bytes += payload;
        self.counters.repaired_bytes += if repair { payload } else { 0 };
        Ok(Some(written))
    }

    /// The bytes and the range that the most urgent request wants next; ends those that want nothing more.
    fn next_range<'a, S: SegmentSource>(
        &mut self,
        now: Instant,
        slot: u32,
        source: &'a S,
    ) -> Option<(usize, &'a [u8], Range<u32>)> {
        loop {
            let session = self.table.session_mut(slot)?;
            let work = session.work.as_mut()?;
            let at = work.queue.most_urgent()?;
            let request = work.queue.get_mut(at)?;
            let (set, object) = (request.set, request.object);
            let code = match source.object(set, object) {
                Object::Ready(bytes) => {
                    if let Some(range) = work.queue.next_range(at, bytes.len() as u32) {
                        return Some((at, bytes, range));
                    }
                    finish(session, now, at);
                    continue;
                }
                Object::NotResident { .. } => {
                    request.waiting = true;
                    self.counters.waits += 1;
                    let waiters = self.waiters.entry((set, object)).or_default();
                    if waiters.is_empty() {
                        self.events.push_back(ServerEvent::NeedObject { set, object });
                    }
                    waiters.push(slot);
                    continue;
                }
                Object::Damaged => Code::SegmentUnavailable,
                Object::PastEnd => Code::PastEnd,
                Object::Absent => Code::UnknownSet,
            };
            let request = work.queue.remove(at);
            let (id, handle) = (request.id, request.handle);
            self.counters.requests_refused.add(code);
            let refusal = Refusal { id, handle, object, code, retry_after_ms: 0 };
            messages::push_refusal(session, now, refusal);
        }
    }
}

/// What one train is made of.
struct Train<'a> {
    /// Position of the request in the queue.
    at: usize,
    /// The whole object.
    bytes: &'a [u8],
    /// What the request wants next.
    range: Range<u32>,
    /// What the rate model allows, bytes of UDP payload.
    budget: usize,
}

/// Seals one train; gives what was written, its payload bytes, and whether it was a repair.
fn seal_train<S: SegmentSource>(
    session: &mut Session,
    now: Instant,
    train: Train<'_>,
    source: &S,
    out: &mut [u8],
) -> Result<(Written, u64, bool), Ending> {
    let datagram_bytes = session.size.current();
    let payload_max = datagram_bytes - OVERHEAD;
    let room = train.budget.min(TRAIN_MAX).min(out.len()) / datagram_bytes;
    let datagrams_max = room.clamp(1, TRAIN_DATAGRAMS_MAX);
    let start = train.range.start as usize;
    let end = (train.range.end as usize).min(start + datagrams_max * payload_max);
    let Some(work) = session.work.as_mut() else { return Err(Code::ProtocolViolation.into()) };
    let Some(request) = work.queue.get_mut(train.at) else {
        return Err(Code::ProtocolViolation.into());
    };
    let (handle, object, set, repair) =
        (request.handle, request.object, request.set, request.repair);
    let first = session.sealer.next_sequence();
    let (mut offset, mut len, mut datagrams) = (start, 0, 0);
    while offset < end {
        let chunk_end = end.min(offset + payload_max);
        if datagram_bytes <= PREFETCH_MAX {
            let ahead = (offset + 2 * payload_max).min(end);
            source.prefetch(&train.bytes[ahead..end.min(ahead + payload_max)]);
        }
        let flags = if chunk_end == train.bytes.len() { FLAG_END } else { 0 };
        let send_time = now.wire_micros();
        let frame = FrameHeader { set_handle: handle, object, offset: offset as u32, send_time };
        let (chunk, to) = (&train.bytes[offset..chunk_end], &mut out[len..]);
        let sealed = session.sealer.seal(
            now,
            flags,
            PacketType::Data,
            session.client_index,
            &frame,
            chunk,
            to,
        );
        len += sealed.map_err(seal_ending)?.0;
        datagrams += 1;
        offset = chunk_end;
    }
    work.queue.sent_to(train.at, end as u32);
    let finished = work.queue.next_range(train.at, train.bytes.len() as u32).is_none();
    let payload = (end - start) as u64;
    session.totals.bytes += payload;
    session.totals.repaired += if repair { payload } else { 0 };
    work.used = now;
    if finished {
        finish(session, now, train.at);
    }
    let Some(work) = session.work.as_mut() else { return Err(Code::ProtocolViolation.into()) };
    let app_limited = !work.queue.has_work();
    if let Some(sender) = work.sender.as_mut() {
        sender.on_sent(now, first, datagrams, len as u64, app_limited);
    }
    let datagrams = datagrams as usize;
    let data = Some((set, object));
    Ok((Written { len, datagram_bytes, datagrams, data, path: None }, payload, repair))
}

/// Skips a sequence number when the rate model's keyed choice says so.
fn skip(session: &mut Session) -> bool {
    let next = session.sealer.next_sequence();
    let sender = session.work.as_mut().and_then(|work| work.sender.as_mut());
    let skip = sender.is_some_and(|sender| sender.should_skip(next));
    if skip {
        session.sealer.skip();
    }
    skip
}

/// The request at `at` has been sent: STATUS is due.
fn finish(session: &mut Session, now: Instant, at: usize) {
    let Some(work) = session.work.as_mut() else { return };
    let request = work.queue.remove(at);
    work.status.by(now);
    work.status.repeats = STATUS_REPEATS;
    session.window.finish(request.id);
}
