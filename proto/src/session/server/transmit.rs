//! Sending: answers first, then each session in its turn: messages before DATA, one train at a time.

use super::Endpoint;
use super::answers::ANSWER_MAX;
use super::event::{SendTicket, ServerEvent, Transmit};
use super::receive::Ending;
use super::schedule::Schedule;
use super::session::{Refusal, Session};
use super::source::{Object, SegmentSource};
use super::{answers, messages};
use crate::crypto::SealError;
use crate::faults::{Fault, planted};
use crate::ids::ObjectNumber;
use crate::limits::{OVERHEAD, TRAIN_DATAGRAMS_MAX, TRAIN_MAX};
use crate::time::{Duration, Instant};
use crate::wire::close::Close;
use crate::wire::code::Code;
use crate::wire::pulse::{Presence, PulseReply};
use crate::wire::refuse::Refuse;
use crate::wire::status::Status;
use crate::wire::{FLAG_END, FrameHeader, PacketType};
use core::ops::Range;
use rand_core::RngCore;

/// STATUS is repeated this often when nothing is left to send (section 9).
const STATUS_REPEATS: u8 = 2;
/// A session whose turn came to nothing does not come back sooner.
const TURN_MIN: Duration = Duration::from_micros(50);
const EMPTY_FRAME: FrameHeader =
    FrameHeader { set_handle: 0, object: ObjectNumber(0), offset: 0, send_time: 0 };

/// The outcome of one step: written, nothing to do, or the session ends.
type Step = Result<Option<Written>, Ending>;

/// What a step wrote.
struct Written {
    len: usize,
    datagram_bytes: usize,
    datagrams: usize,
    data: Option<(u32, ObjectNumber)>,
    /// Set when it goes elsewhere than to the session's path.
    path: Option<super::Path>,
}

impl Written {
    fn message(len: usize) -> Self {
        Self { len, datagram_bytes: len, datagrams: 1, data: None, path: None }
    }
}

impl Endpoint {
    /// Writes the next train or message into `out` (at least [`TRAIN_MAX`] bytes). `None`: nothing to send
    /// before [`Self::poll_timeout`] or the next `handle_*`.
    pub fn poll_transmit<S: SegmentSource>(
        &mut self,
        now: Instant,
        source: &S,
        out: &mut [u8],
    ) -> Option<Transmit> {
        if let Some(answer) = self.answers.pop() {
            return Some(self.send_answer(&answer, out));
        }
        for _ in 0..self.schedule.round_len() {
            let slot = self.schedule.next()?;
            let Some(session) = self.table.session_mut(slot) else { continue };
            Schedule::left(&mut session.turn);
            match self.turn(now, slot, source, out) {
                Ok(Some(transmit)) => {
                    self.wake(slot);
                    return Some(transmit);
                }
                Ok(None) => self.wait(now, slot),
                Err(ending) => self.close_session(now, slot, ending),
            }
        }
        let answer = self.answers.pop()?;
        Some(self.send_answer(&answer, out))
    }

    fn send_answer(&mut self, answer: &answers::Answer, out: &mut [u8]) -> Transmit {
        let packet = answer.packet();
        out[..packet.len()].copy_from_slice(packet);
        self.counters.datagrams_out += 1;
        self.counters.bytes_out += packet.len() as u64;
        Transmit {
            path: answer.path,
            len: packet.len(),
            datagram_bytes: packet.len(),
            datagrams: 1,
            data: None,
            ticket: SendTicket::new(crate::ids::ReceiverIndex(0), packet.len()),
        }
    }

    /// One session's turn.
    fn turn<S: SegmentSource>(
        &mut self,
        now: Instant,
        slot: u32,
        source: &S,
        out: &mut [u8],
    ) -> Result<Option<Transmit>, Ending> {
        let written = match self.message(now, slot, source, out)? {
            Some(written) => Some(written),
            None => self.size_probe(now, slot, out)?,
        };
        let written = match written {
            Some(written) => Some(written),
            None => self.train(now, slot, source, out)?,
        };
        let (Some(written), Some(session)) = (written, self.table.session_mut(slot)) else {
            return Ok(None);
        };
        session.totals.datagrams += written.datagrams as u64;
        self.counters.datagrams_out += written.datagrams as u64;
        self.counters.bytes_out += written.len as u64;
        Ok(Some(Transmit {
            path: written.path.unwrap_or(session.path),
            len: written.len,
            datagram_bytes: written.datagram_bytes,
            datagrams: written.datagrams,
            data: written.data,
            ticket: SendTicket::new(session.index, written.datagram_bytes),
        }))
    }

    /// The most pressing message of a session, if it has one.
    fn message<S: SegmentSource>(
        &mut self,
        now: Instant,
        slot: u32,
        source: &S,
        out: &mut [u8],
    ) -> Step {
        let Some(session) = self.table.session_mut(slot) else { return Ok(None) };
        if let Some(written) = challenge(session, now, out)? {
            self.counters.challenges += 1;
            return Ok(Some(written));
        }
        let Some(work) = session.work.as_mut() else { return Ok(None) };
        if let Some(refusal) = work.refusals.pop_front() {
            return refuse(session, now, refusal, out);
        }
        if let Some(asked) = work.pulses.pop_front() {
            let set = session.sets.get(asked.handle as usize).copied();
            let held = match set.map(|set| source.object(set, asked.object)) {
                Some(Object::Ready(_)) => Presence::Yes,
                Some(Object::NotResident { .. }) => Presence::NotResident,
                _ => Presence::No,
            };
            let (load, queue_ms) = (self.egress.load(now), self.egress.queue_ms(now));
            let reply = PulseReply { echo: asked.echo, load, has_segment: held, queue_ms };
            let frame = FrameHeader {
                set_handle: asked.handle,
                object: asked.object,
                offset: asked.number,
                ..EMPTY_FRAME
            };
            return encode(
                |buf| reply.encode(buf),
                |payload| seal(session, now, PacketType::PulseReply, frame, payload, out),
            );
        }
        if work.status.due.is_some_and(|due| due <= now) {
            return status(session, now, out);
        }
        Ok(None)
    }

    /// A probe for larger datagrams, while the session has data to send.
    fn size_probe(&mut self, now: Instant, slot: u32, out: &mut [u8]) -> Step {
        let Some(session) = self.table.session_mut(slot) else { return Ok(None) };
        let sending = session.work.as_ref().is_some_and(|work| work.sender.is_some());
        let Some(size) = session.size.due(now).filter(|&size| sending && size <= out.len()) else {
            return Ok(None);
        };
        let interval = session.rtt_or_default() * 2 + Duration::from_millis(25);
        let sequence = session.sealer.next_sequence();
        // The zeros of the payload: sealed from a constant, not from the buffer.
        static ZEROS: [u8; crate::limits::DATAGRAM_MAX] = [0; crate::limits::DATAGRAM_MAX];
        let payload = ZEROS.get(..size - OVERHEAD).unwrap_or(&ZEROS);
        let written = seal(session, now, PacketType::SizeProbe, EMPTY_FRAME, payload, out)?;
        session.size.sent(now, sequence, size, interval);
        Ok(Some(written))
    }

    /// One train of the most urgent request.
    fn train<S: SegmentSource>(
        &mut self,
        now: Instant,
        slot: u32,
        source: &S,
        out: &mut [u8],
    ) -> Step {
        if self.egress.free_at() > now {
            return Ok(None);
        }
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
        let sessions = u64::from(self.clients.of(&session.client_public)).max(1);
        let sender = session.work.as_mut().and_then(|work| work.sender.as_mut());
        if let (Some(cap), Some(sender)) = (session.rate_cap, sender) {
            // The cap is the client's: all its sessions live on this shard and share it.
            sender.set_rate_cap(Some((cap / sessions).max(1)));
        }
        let budget = session.work.as_mut().and_then(|work| work.sender.as_mut()?.train_budget(now));
        let Some(budget) = budget else { return Ok(None) };
        let Some((at, bytes, range)) = self.next_range(now, slot, source) else { return Ok(None) };
        let Some(session) = self.table.session_mut(slot) else { return Ok(None) };
        let train = Train { at, bytes, range, budget };
        let skipped = skip(session);
        self.counters.skipped += u64::from(skipped);
        let (written, payload, repair) = seal_train(session, now, train, out)?;
        self.egress.sent(now, written.len as u64);
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
                    if let Some(range) = request.next(bytes.len() as u32) {
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
            self.counters.requests_refused += 1;
            let refusal = Refusal { id, handle, object, code, retry_after_ms: 0 };
            messages::push_refusal(session, now, refusal);
        }
    }

    /// Decides when a session without anything to send now comes back.
    fn wait(&mut self, now: Instant, slot: u32) {
        let free_at = self.egress.free_at();
        let Some(session) = self.table.session_mut(slot) else { return };
        let Some(work) = session.work.as_ref() else { return };
        let mut due = work.status.due.unwrap_or(Instant::FAR_FUTURE);
        if !work.refusals.is_empty() || !work.pulses.is_empty() {
            due = now;
        }
        if let Some(sender) = &work.sender {
            due = due.min(sender.next_timeout().unwrap_or(Instant::FAR_FUTURE));
        }
        if work.queue.has_work() {
            let paced = work.sender.as_ref().map_or(Some(now), |sender| sender.next_send_time());
            due = due.min(paced.map_or(Instant::FAR_FUTURE, |at| at.max(free_at)));
        }
        if due < Instant::FAR_FUTURE {
            self.schedule.wait(slot, &mut session.turn, due.max(now + TURN_MIN));
        }
    }

    /// Ends a session: CLOSE goes out (unless the client began), the slot is free, the record is an event.
    pub(super) fn close_session(&mut self, now: Instant, slot: u32, ending: Ending) {
        let Some(mut session) = self.table.close(slot) else { return };
        if !ending.by_client {
            let mut packet = [0; ANSWER_MAX];
            let close = Close::new(ending.code);
            let sealed = encode(
                |buf| close.encode(buf),
                |payload| {
                    seal(&mut session, now, PacketType::Close, EMPTY_FRAME, payload, &mut packet)
                },
            );
            if let Ok(Some(written)) = sealed {
                self.answers.push(answers::Answer::new(session.path, &packet[..written.len]));
            }
        }
        self.clients.remove(&session.client_public);
        self.counters.sessions_closed += 1;
        let record = super::SessionRecord {
            index: session.index,
            token_id: session.token_id,
            remote: session.path.remote,
            code: ending.code,
            by_client: ending.by_client,
            bytes_sent: session.totals.bytes,
            bytes_retransmitted: session.totals.repaired,
            datagrams_sent: session.totals.datagrams,
            requests: session.totals.requests,
            opened: session.opened,
            closed: now,
        };
        self.events.push_back(ServerEvent::SessionClosed(Box::new(record)));
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
fn seal_train(
    session: &mut Session,
    now: Instant,
    train: Train<'_>,
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
    request.sent_to(end as u32);
    let finished = request.next(train.bytes.len() as u32).is_none();
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

fn seal_ending(error: SealError) -> Ending {
    match error {
        SealError::Exhausted => Code::KeyExhausted.into(),
        SealError::NoRoom { .. } => unreachable!("the caller's buffer holds a train"),
    }
}

/// Seals one message and tells the rate model of its number.
fn seal(
    session: &mut Session,
    now: Instant,
    packet_type: PacketType,
    frame: FrameHeader,
    payload: &[u8],
    out: &mut [u8],
) -> Result<Written, Ending> {
    let frame = FrameHeader { send_time: now.wire_micros(), ..frame };
    let (len, sequence) = session
        .sealer
        .seal(now, 0, packet_type, session.client_index, &frame, payload, out)
        .map_err(seal_ending)?;
    if let Some(sender) = session.work.as_mut().and_then(|work| work.sender.as_mut()) {
        sender.on_control_sent(now, sequence);
    }
    Ok(Written::message(len))
}

/// Encodes a payload of a message (all fit in 128 bytes) and seals it.
fn encode<E: core::fmt::Debug>(
    payload: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    seal: impl FnOnce(&[u8]) -> Result<Written, Ending>,
) -> Step {
    let mut buffer = [0; 128];
    let Ok(len) = payload(&mut buffer) else { unreachable!("messages fit by construction") };
    seal(&buffer[..len]).map(Some)
}

fn challenge(session: &mut Session, now: Instant, out: &mut [u8]) -> Step {
    const BYTES: usize = OVERHEAD + 8;
    let Some(challenge) = session.challenge.as_mut() else { return Ok(None) };
    if !challenge.may_send(now, BYTES) {
        return Ok(None);
    }
    challenge.sent(now, BYTES);
    let (secret, path) = (challenge.secret, challenge.path);
    let written = seal(session, now, PacketType::PathChallenge, EMPTY_FRAME, &secret, out)?;
    Ok(Some(Written { path: Some(path), ..written }))
}

fn refuse(session: &mut Session, now: Instant, refusal: Refusal, out: &mut [u8]) -> Step {
    let payload = Refuse { code: refusal.code, retry_after_ms: refusal.retry_after_ms };
    let frame = FrameHeader {
        set_handle: refusal.handle,
        object: refusal.object,
        offset: refusal.id,
        ..EMPTY_FRAME
    };
    encode(
        |buf| payload.encode(buf),
        |payload| seal(session, now, PacketType::Refuse, frame, payload, out),
    )
}

fn status(session: &mut Session, now: Instant, out: &mut [u8]) -> Step {
    let rtt = session.rtt_or_default();
    let window = session.window;
    let next_sequence = session.sealer.next_sequence();
    let Some(work) = session.work.as_mut() else { return Ok(None) };
    let repeat = work.status.repeats > 0 && !work.queue.has_work();
    work.status.due = repeat.then(|| now + rtt.max(Duration::from_millis(1)));
    work.status.repeats -= u8::from(repeat);
    let shift = u32::from(planted(Fault::StatusShifted));
    let (received, finished) = (window.received >> shift, window.finished >> shift);
    let payload = Status { received, finished, next_sequence };
    let frame = FrameHeader { offset: window.highest, ..EMPTY_FRAME };
    encode(
        |buf| payload.encode(buf),
        |payload| seal(session, now, PacketType::Status, frame, payload, out),
    )
}
